// SPDX-License-Identifier: Apache-2.0
//! Any head of a request: read alike by httparse and hyper, however it arrives; and what is written of it is read alike by all.
//!
//! Where readers may differ: `is_ours_only` has what is taken here and not by httparse, `is_stricter` what is not taken here.
#![no_main]
#![allow(clippy::panic, reason = "this is how a target fails")]

use daemon_fuzz::{cuts, hyper_server};
use proxy::fuzz::{Length, Reading, RequestHead, request};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let reading = request(data, &[]);
    assert_eq!(reading, request(data, &cuts::of(data)), "it depends on how it arrives");
    let mut fields = [httparse::EMPTY_HEADER; 1000];
    let mut theirs = httparse::Request::new(&mut fields);
    let parsed = theirs.parse(data);
    match (&reading, parsed) {
        (Reading::Whole(head, length), Ok(httparse::Status::Complete(end))) => {
            assert_eq!(*length, end, "ends elsewhere");
            same(head, &theirs);
        }
        (Reading::Whole(head, _), other) => assert!(is_ours_only(data, head), "{other:?}: {head:?}"),
        (Reading::Refused(why), Ok(httparse::Status::Complete(_))) => {
            assert!(is_stricter(&theirs), "refused for {why}: {theirs:?}");
        }
        _ => {}
    }
    if let Reading::Whole(head, _) = &reading {
        if let Some(asked) = hyper_server::requests(data).first() {
            assert_eq!(asked.method, head.method);
            assert_eq!(framing(asked.length), plain(head.length), "{head:?} {asked:?}");
        }
        written(head);
    }
});

fn same(head: &RequestHead, theirs: &httparse::Request<'_, '_>) {
    assert_eq!(Some(&*head.method), theirs.method);
    assert_eq!(Some(&*head.target), theirs.path);
    assert_eq!(Some(u8::from(!head.is_one0)), theirs.version);
    let mut fields: Vec<_> = theirs
        .headers
        .iter()
        .map(|field| (field.name.to_ascii_lowercase(), field.value.to_vec()))
        .filter(|field| !["host", "content-length", "transfer-encoding"].contains(&&*field.0))
        .collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(head.fields, fields);
}

/// Folded lines (RFC 9112 5.2), bytes in a target that go on escaped, versions 1.2 to 1.9 (RFC 9112 2.3: as 1.1), CR
/// without LF before the request line.
fn is_ours_only(data: &[u8], head: &RequestHead) -> bool {
    let is_folded = data.windows(2).any(|pair| matches!(pair, [b'\n', b' ' | b'\t']));
    let is_odd_target = head.target.bytes().any(|byte| !byte.is_ascii_graphic());
    let is_later = data
        .windows(8)
        .any(|word| word.starts_with(b"HTTP/1.") && !matches!(word[7], b'0' | b'1'));
    let starts_odd = data
        .windows(2)
        .take_while(|pair| matches!(pair[0], b'\r' | b'\n'))
        .any(|pair| pair[0] == b'\r' && pair[1] != b'\n');
    is_folded || is_odd_target || is_later || starts_odd
}

/// What Go refuses, and framing that two readers could see differently.
fn is_stricter(theirs: &httparse::Request<'_, '_>) -> bool {
    let names = ["host", "content-length", "transfer-encoding", "expect"];
    let named = |name: &str| {
        theirs
            .headers
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name))
            .count()
    };
    let target = theirs.path.unwrap_or_default();
    let is_plain_target = target.starts_with('/') && !target.contains('%');
    !is_plain_target
        || theirs.method == Some("CONNECT")
        || named("host") != 1
        || names[1..].iter().any(|name| named(name) > 0)
        || theirs
            .headers
            .iter()
            .any(|field| field.name.eq_ignore_ascii_case("host") && !field.value.iter().all(u8::is_ascii_alphanumeric))
}

fn framing(length: Option<u64>) -> Length {
    match length {
        Some(0) => Length::None,
        Some(length) => Length::Known(length),
        None => Length::Chunked,
    }
}

/// A length of nothing is no body to hyper.
fn plain(length: Length) -> Length {
    match length {
        Length::Known(0) => Length::None,
        other => other,
    }
}

/// A pod reads what was written: one message, with the same everything.
fn written(head: &RequestHead) {
    let Reading::Whole(again, length) = request(&head.written, &[]) else {
        panic!("not read again: {}", head.written.escape_ascii());
    };
    assert_eq!(length, head.written.len());
    assert_eq!(
        (&again.method, &again.fields, again.length),
        (&head.method, &head.fields, head.length)
    );
    assert_eq!((&again.host, &again.target_to_pod), (&head.host, &head.target_to_pod));
    if !head.target_to_pod.is_ascii() {
        // Any byte may stand in a query, as with Go; httparse takes UTF-8 only.
        return;
    }
    let mut fields = [httparse::EMPTY_HEADER; 1000];
    let mut theirs = httparse::Request::new(&mut fields);
    let parsed = theirs.parse(&head.written);
    assert_eq!(
        parsed,
        Ok(httparse::Status::Complete(length)),
        "{}",
        head.written.escape_ascii()
    );
    same(&again, &theirs);
    if head.target_to_pod.parse::<http::Uri>().is_err() {
        // Nor does hyper take every byte of ASCII there.
        return;
    }
    let asked = hyper_server::requests(&head.written);
    let [asked] = &asked[..] else {
        panic!("{} requests in {}", asked.len(), head.written.escape_ascii());
    };
    assert_eq!(
        (&asked.method, framing(asked.length)),
        (&head.method, plain(head.length))
    );
}
