// SPDX-License-Identifier: Apache-2.0
//! Heads that must not be read in two ways.

use super::*;
use proptest::prelude::*;
use std::net::SocketAddr;

fn read(head: &str) -> Result<Request, Fault> {
    request(
        &Bytes::copy_from_slice(head.as_bytes()),
        &Peer::new(SocketAddr::from(([127, 0, 0, 1], 1))),
        &Limits::default(),
    )
}

fn body(fields: &str) -> Result<BodySize, Fault> {
    read(&format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n")).map(|request| request.body)
}

#[test]
fn a_length_beside_a_coding_goes_no_further_and_ends_the_connection() {
    let request =
        read("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    assert_eq!(request.body, BodySize::Open);
    assert!(request.close && !request.headers.contains_key("content-length"));
}

#[test]
fn a_body_that_two_readers_could_end_differently_is_refused() {
    for fields in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999\r\n",
    ] {
        assert_eq!(body(fields), Err(Fault::Malformed), "{fields}");
    }
    for fields in [
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ] {
        assert_eq!(body(fields), Err(Fault::Coding), "{fields}");
    }
    assert_eq!(body("Transfer-Encoding : chunked\r\n"), Err(Fault::HeaderName));
    assert_eq!(
        read("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap_err(),
        Fault::Malformed
    );
}

#[test]
fn a_control_byte_is_no_space() {
    for value in ["chunked\r", "\x0bchunked", "chunked\x0c", "\x00chunked"] {
        assert_eq!(
            body(&format!("Transfer-Encoding: {value}\r\n")),
            Err(Fault::Malformed),
            "{value:?}"
        );
    }
}

#[test]
fn a_folded_line_cannot_hide_a_header() {
    let request = read("GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n Content-Length: 5\r\n\r\n").unwrap();
    assert_eq!(request.headers["x-a"], "1 Content-Length: 5");
    assert_eq!(request.body, BodySize::None);
}

#[test]
fn what_frames_a_message_is_not_folded() {
    for fields in ["Transfer-Encoding:\r\n chunked\r\n", "Content-Length: 5\r\n\t\r\n"] {
        assert_eq!(body(fields), Err(Fault::Malformed), "{fields:?}");
    }
    let request = read("GET / HTTP/1.1\r\nHost: h\r\nX-A:\r\n 1\r\n \r\n\r\n").unwrap();
    assert_eq!(request.headers["x-a"], "1", "nothing around it");
}

#[test]
fn what_an_answer_says_of_its_connection_is_kept_beside_its_end() {
    for (head, due) in [
        ("HTTP/1.1 200 OK\r\nConnection: close, X-A\r\n\r\n", &["close, X-A"][..]),
        ("HTTP/1.0 200 OK\r\nConnection: X-A\r\n\r\n", &["X-A", "close"]),
        ("HTTP/1.0 200 OK\r\n\r\n", &["close"]),
        ("HTTP/1.1 200 OK\r\nConnection: X-A\r\n\r\n", &["X-A"]),
    ] {
        let (response, _) = response(&Bytes::from(head), &Limits::default(), false).unwrap();
        let said: Vec<_> = response.headers.get_all("connection").iter().collect();
        assert_eq!(said, due, "{head:?}");
    }
}

#[test]
fn pragma_says_no_cache_where_nothing_else_does() {
    for (fields, due) in [
        ("Pragma: no-cache\r\n", Some("no-cache")),
        ("Pragma: no-cache\r\nCache-Control: private\r\n", Some("private")),
        ("Pragma: other\r\n", None),
    ] {
        let request = read(&format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n")).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        let (response, _) = response(&Bytes::from(head), &Limits::default(), false).unwrap();
        for headers in [request.headers, response.headers] {
            assert_eq!(
                headers.get("cache-control").map(|value| value.to_str().unwrap()),
                due,
                "{fields}"
            );
        }
    }
}

#[test]
fn a_connection_of_the_older_version_goes_on_if_asked_and_not_told_otherwise() {
    for (fields, closes) in [
        ("", true),
        ("Connection: keep-alive\r\n", false),
        ("Connection: close\r\nConnection: keep-alive\r\n", true),
    ] {
        let request = read(&format!("GET / HTTP/1.0\r\n{fields}\r\n")).unwrap();
        assert_eq!(request.close, closes, "{fields}");
    }
}

#[test]
fn a_field_with_a_space_in_its_name_goes_no_further_than_the_pod() {
    let read = |fields: &str| {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}X-A: 1\r\n\r\n");
        response(&Bytes::from(head), &Limits::default(), false)
    };
    for fields in [
        "X-B : 2\r\n",
        "X B: 2\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding : chunked\r\n",
    ] {
        let (response, framing) = read(fields).unwrap();
        assert_eq!((response.headers.len(), framing), (1, Framing::UntilClose), "{fields}");
    }
    for fields in ["X(B): 2\r\n", "X\tB: 2\r\n", " : 2\r\n", ": 2\r\n", "X-B\r\n"] {
        assert!(read(fields).is_err(), "{fields}");
    }
}

#[test]
fn trailers_are_announced_where_some_can_come() {
    for (fields, is_there) in [
        ("Transfer-Encoding: chunked\r\n", true),
        ("Content-Length: 5\r\n", false),
        ("", false),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\nTrailer: X-A\r\n{fields}\r\n");
        let (response, _) = response(&Bytes::from(head), &Limits::default(), false).unwrap();
        assert_eq!(response.headers.contains_key("trailer"), is_there, "{fields}");
    }
}

proptest! {
    #[test]
    fn no_head_panics(head in proptest::collection::vec(any::<u8>(), 0..200)) {
        let limits = Limits::default();
        drop(request(&head.clone().into(), &Peer::new(SocketAddr::from(([127, 0, 0, 1], 1))), &limits));
        drop(response(&head.clone().into(), &limits, false));
        drop(trailers(&head.into(), &limits));
    }

    #[test]
    fn a_head_is_found_however_it_arrives(cut in 0_usize..40) {
        let bytes = b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\nbody\r\n\r\n";
        let mut search = Search::default();
        let cut = cut.min(bytes.len());
        let early = search.end(&bytes[..cut]);
        let found = early.or_else(|| search.end(bytes));
        prop_assert_eq!(found, Some(33));
    }
}
