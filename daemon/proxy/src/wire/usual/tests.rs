// SPDX-License-Identifier: Apache-2.0
//! What is written at once is what the long way would have written.

use super::*;
use crate::headers;
use crate::limits::Limits;
use crate::wire::parse;
use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::select;

const CLIENT: Client = Client {
    version: Version::One1,
    is_head: false,
    close: false,
};

/// The head, its empty line included, and how the body is delimited.
fn at_once(head: &str, to: &Client) -> Option<(String, Framing)> {
    let mut out = BytesMut::from("before");
    let usual = usual(head.as_bytes(), Limits::default().header_count, to, &mut out);
    let Some(usual) = usual else {
        assert_eq!(out, "before", "nothing is left of {head:?}");
        return None;
    };
    write::end(usual.has_date, &mut out);
    let text = String::from_utf8(out.to_vec()).unwrap();
    Some((text.strip_prefix("before").unwrap().to_owned(), usual.framing))
}

fn the_long_way(head: &str, to: &Client) -> Option<(String, Framing)> {
    let head = Bytes::copy_from_slice(head.as_bytes());
    let (mut response, framing) = parse::response(&head, &Limits::default(), to.is_head).ok()?;
    headers::to_client(&mut response.headers);
    let mut out = BytesMut::new();
    write::response(&response, framing, to, &mut out);
    Some((String::from_utf8(out.to_vec()).unwrap(), framing))
}

/// The lines but for a date of our own, in order of their text.
fn sorted(head: &str) -> Vec<&str> {
    let mut lines: Vec<_> = head.lines().filter(|line| !line.starts_with("Date: ")).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_usual_head_goes_on_as_it_is() {
    let head = "HTTP/1.1 200 Fine\r\nx-a: 1\r\ncontent-length:5 \r\nDATE: now\r\n\r\n";
    let due = "HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 5\r\nDate: now\r\n\r\n";
    assert_eq!(at_once(head, &CLIENT), Some((due.to_owned(), Framing::Length(5))));
    let closing = Client { close: true, ..CLIENT };
    assert!(at_once(head, &closing).unwrap().0.contains("Connection: close\r\n"));
}

#[test]
fn whatever_asks_for_a_closer_look_gets_it() {
    let usual = |fields: &str| at_once(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"), &CLIENT);
    assert!(usual("Content-Length: 5\r\n").is_some());
    for fields in [
        "",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 05\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked\x0c\r\n",
        "Content-Length: 5\r\r\n",
        "Content-Length: 5\n",
        "Content-Length : 5\r\n",
        "Content-Length: 5\r\nConnection: close\r\n",
        "Content-Length: 5\r\nKeep-Alive: timeout=5\r\n",
        "Content-Length: 5\r\nX: a\r\n b\r\n",
        "Content-Length: 5\r\nX: a\x01\r\n",
        "Content-Length: 5\r\nX\r\n",
        "Content-Length: 5\r\n: x\r\n",
    ] {
        assert_eq!(usual(fields), None, "{fields:?}");
    }
    for line in [
        "HTTP/1.0 200 OK",
        "HTTP/1.1 204 No Content",
        "HTTP/1.1 304 Not Modified",
        "HTTP/1.1 103 Early",
        "HTTP/1.1 2000 OK",
    ] {
        assert_eq!(
            at_once(&format!("{line}\r\nContent-Length: 5\r\n\r\n"), &CLIENT),
            None,
            "{line}"
        );
    }
    let few = usual_of(3, "A: 1\r\nB: 2\r\nContent-Length: 5\r\n");
    assert!(few.is_some() && usual_of(2, "A: 1\r\nB: 2\r\nContent-Length: 5\r\n").is_none());
}

#[test]
fn every_header_of_one_hop_gets_the_closer_look() {
    for name in &headers::HOP_BY_HOP {
        assert_eq!(
            usual_of(9, &format!("{name}: x\r\nContent-Length: 5\r\n")),
            None,
            "{name}"
        );
    }
}

fn usual_of(most: usize, fields: &str) -> Option<Usual> {
    let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    usual(head.as_bytes(), most, &CLIENT, &mut BytesMut::new())
}

/// Fields as pods send them, and as they should not.
fn line() -> impl Strategy<Value = String> {
    line::odd(
        &[
            "Content-Length",
            "content-length",
            "Transfer-Encoding",
            "TRANSFER-encoding",
            "Connection",
            "X-Hop",
            "x_b!",
            "Date",
            "Content-Type",
            "TE",
            "Trailer",
            "Upgrade",
            "Keep-Alive",
            "Proxy-Connection",
            "Set-Cookie",
            " X",
            "X ",
            "",
            "Expect",
        ],
        &["Chunked", "gzip", "\x0cchunked"],
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn both_ways_write_the_same_lines(
        first in select(vec!["HTTP/1.1 200 OK", "HTTP/1.1 404", "HTTP/1.1 599 x", "HTTP/1.1 204 n", "HTTP/1.1  200 OK", "HTTP/1.0 200 OK", "HTTP/1.1 20"]),
        lines in proptest::collection::vec(line(), 0..4),
        has_length in any::<bool>(),
        close in any::<bool>(),
    ) {
        let length = if has_length { "Content-Length: 7\r\n" } else { "" };
        let head = format!("{first}\r\n{length}{}\r\n", lines.concat());
        let client = Client { close, ..CLIENT };
        if let Some((text, framing)) = at_once(&head, &client) {
            let (long, long_framing) = the_long_way(&head, &client).unwrap();
            prop_assert_eq!(sorted(&text), sorted(&long));
            prop_assert_eq!(framing, long_framing);
        }
    }

    #[test]
    fn no_bytes_panic_or_pass_without_a_status(head in proptest::collection::vec(any::<u8>(), 0..200)) {
        let passed = usual(&head, 100, &CLIENT, &mut BytesMut::new());
        prop_assert!(passed.is_none() || head.starts_with(b"HTTP/1.1 "));
    }
}
