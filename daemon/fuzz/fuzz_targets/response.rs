// SPDX-License-Identifier: Apache-2.0
//! Any head of a response: read alike by httparse, framed as RFC 9112 6.3 says, and what is written of it is read alike.
#![no_main]
#![allow(clippy::panic, reason = "this is how a target fails")]

use daemon_fuzz::cuts;
use proxy::fuzz::{Length, Reading, ResponseHead, response};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for is_to_head in [false, true] {
        let reading = response(data, &[], is_to_head);
        assert_eq!(
            forget_date(reading),
            forget_date(response(data, &cuts::of(data), is_to_head))
        );
        let Reading::Whole(head, length) = response(data, &[], is_to_head) else {
            continue;
        };
        let mut fields = [httparse::EMPTY_HEADER; 1000];
        let mut theirs = httparse::Response::new(&mut fields);
        match theirs.parse(data) {
            Ok(httparse::Status::Complete(end)) => {
                assert_eq!(length, end, "ends elsewhere");
                assert_eq!(Some(head.status), theirs.code);
                assert_eq!(head.length, due(&theirs, is_to_head), "{theirs:?}");
            }
            other => assert!(is_ours_only(data), "{other:?}: {head:?}"),
        }
        written(&head, is_to_head);
    }
});

/// The clock is no part of what is compared.
fn forget_date(reading: Reading<ResponseHead>) -> Reading<ResponseHead> {
    match reading {
        Reading::Whole(head, length) => Reading::Whole(
            ResponseHead {
                written: Vec::new(),
                ..head
            },
            length,
        ),
        other => other,
    }
}

/// RFC 9112 6.3, for what is known to be sound.
fn due(theirs: &httparse::Response<'_, '_>, is_to_head: bool) -> Length {
    let value = |name: &str| {
        theirs
            .headers
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    };
    let status = theirs.code.unwrap_or_default();
    if is_to_head || status < 200 || status == 204 || status == 304 {
        return Length::None;
    }
    let is_one1 = theirs.version == Some(1);
    match (value("transfer-encoding").filter(|_| is_one1), value("content-length")) {
        (Some(_), _) => Length::Chunked,
        (None, Some(length)) => {
            let text = std::str::from_utf8(length).unwrap_or_default();
            text.parse()
                .map_or_else(|_| panic!("taken as a length: {text}"), Length::Known)
        }
        (None, None) => Length::UntilClose,
    }
}

/// Folded lines, as of old servers; names with a space in them, which go no further; and words of the status line that httparse
/// does not take: more than one space, a reason of other bytes, none at all, a later HTTP/1.
fn is_ours_only(data: &[u8]) -> bool {
    let is_folded = data.windows(2).any(|pair| matches!(pair, [b'\n', b' ' | b'\t']));
    let mut lines = data.split(|byte| *byte == b'\n');
    let line = lines.next().unwrap_or_default();
    let is_spaced = |line: &[u8]| {
        line.split(|byte| *byte == b':')
            .next()
            .is_some_and(|name| name.contains(&b' '))
    };
    let is_usual = line.get(7).is_some_and(|minor| b"01".contains(minor))
        && line.get(8) == Some(&b' ')
        && line.get(9..12).is_some_and(|code| code.iter().all(u8::is_ascii_digit))
        && line
            .get(12)
            .is_none_or(|byte| *byte == b' ' || (*byte == b'\r' && line.len() == 13))
        && line
            .iter()
            .all(|byte| *byte == b'\t' || (b' '..0x7f).contains(byte) || *byte == b'\r');
    is_folded || lines.any(is_spaced) || !is_usual || line.iter().rev().skip(1).any(|byte| *byte == b'\r')
}

fn written(head: &ResponseHead, is_to_head: bool) {
    let Reading::Whole(again, length) = response(&head.written, &[], is_to_head) else {
        panic!("not read again: {}", head.written.escape_ascii());
    };
    assert_eq!(length, head.written.len());
    assert_eq!((again.status, again.length), (head.status, head.length));
    let mut fields = [httparse::EMPTY_HEADER; 1000];
    let mut theirs = httparse::Response::new(&mut fields);
    let parsed = theirs.parse(&head.written);
    assert_eq!(
        parsed,
        Ok(httparse::Status::Complete(length)),
        "{}",
        head.written.escape_ascii()
    );
    assert_eq!(due(&theirs, is_to_head), head.length);
    // Without chunks no trailer can come, and none is told of.
    let is_told = |name: &str| name != "trailer" || head.length == Length::Chunked;
    for field in head.fields.iter().filter(|(name, _)| is_told(name)) {
        assert!(again.fields.contains(field), "{field:?} is missing");
    }
}
