// SPDX-License-Identifier: Apache-2.0
//! Any bytes as a chunked body: what is taken is what hyper takes, however it arrives, and what is written is read alike.
//!
//! Where readers may differ: hyper takes more (spaces and tabs around a size, any trailer); what is taken here, it takes.
#![no_main]
#![allow(clippy::panic, reason = "this is how a target fails")]

use daemon_fuzz::{cuts, hyper_server};
use proxy::fuzz::{Chunked, Reading, chunks};

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nhost: a\r\n\r\n";

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let reading = chunks(data, &[]);
    let in_pieces = chunks(data, &cuts::of(data));
    let (Reading::Whole(body, length), Reading::Whole(again, same_length)) = (&reading, &in_pieces) else {
        // Sooner or later: a chunk's data is taken before its end is seen.
        return assert_eq!(reading, in_pieces, "it depends on how it arrives");
    };
    assert_eq!(
        (&body.data, &body.trailers, length),
        (&again.data, &again.trailers, same_length)
    );
    sizes(data.get(..*length).unwrap_or_default());
    // A folded trailer is joined (RFC 9112 5.2), as in heads; hyper refuses it.
    if !data.windows(2).any(|pair| matches!(pair, [b'\n', b' ' | b'\t'])) {
        by_hyper(data.get(..*length).unwrap_or_default(), body);
    }
    for written in [&body.written, &again.written] {
        let Reading::Whole(read, end) = chunks(written, &[]) else {
            panic!("not read again: {}", written.escape_ascii());
        };
        assert_eq!(
            (&read.data, &read.trailers, end),
            (&body.data, &body.trailers, written.len())
        );
        by_hyper(written, body);
    }
});

/// The body is one message, and what comes after it another.
fn by_hyper(bytes: &[u8], body: &Chunked) {
    let asked = hyper_server::requests(&[HEAD, bytes, NEXT].concat());
    let [first, second] = &asked[..] else {
        panic!("{} requests: {}", asked.len(), bytes.escape_ascii());
    };
    assert_eq!(second.target, "/next");
    let Some((data, trailers)) = &first.body else {
        panic!("refused by hyper: {}", bytes.escape_ascii());
    };
    assert_eq!(data, &body.data);
    for field in &body.trailers {
        assert!(trailers.contains(field), "{field:?} is missing");
    }
}

/// Walks the chunks by the sizes that httparse reads.
fn sizes(mut rest: &[u8]) {
    loop {
        let Ok(httparse::Status::Complete((line, size))) = httparse::parse_chunk_size(rest) else {
            panic!("no size: {}", rest.escape_ascii());
        };
        if size == 0 {
            return;
        }
        let next = usize::try_from(size).ok().and_then(|size| rest.get(line + size + 2..));
        rest = next.unwrap_or_else(|| panic!("a chunk beyond the body: {}", rest.escape_ascii()));
    }
}
