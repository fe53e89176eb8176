// SPDX-License-Identifier: Apache-2.0
//! What is not looked at is what the parser would have read, to the pod's last byte.

use super::*;
use crate::headers::{self, HOP_BY_HOP, NextHop};
use crate::limits::Limits;
use crate::message::name;
use crate::wire::parse;
use bytes::Bytes;
use http::header;
use proptest::prelude::*;
use proptest::sample::select;

fn peer() -> Peer {
    Peer::new(([10, 0, 0, 9], 41234).into())
}

fn at_once(head: &str) -> Option<Request> {
    request(head.as_bytes(), Limits::default().header_count, &peer())
}

fn the_long_way(head: &str) -> Option<Request> {
    parse::request(&Bytes::copy_from_slice(head.as_bytes()), &peer(), &Limits::default()).ok()
}

/// All but the fields.
fn outline(request: &Request) -> impl PartialEq + std::fmt::Debug {
    (
        request.method.clone(),
        request.target.clone(),
        request.version,
        request.host.clone(),
        request.body,
        request.expects_continue,
        request.close,
    )
}

/// The lines that the pod gets, in order of their text: those of one name stay where they were.
fn to_pod(request: &mut Request, next: &NextHop) -> Vec<String> {
    if let Some(host) = headers::mark(request, next) {
        request.host = host;
    }
    headers::to_next(request, next);
    let mut out = BytesMut::new();
    write::request(request, &request.host, &mut out);
    let mut lines: Vec<_> = out
        .as_ref()
        .split(|byte: &u8| *byte == b'\n')
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_usual_head_becomes_lines_for_the_pod() {
    let head = "GET /a?b HTTP/1.1\r\nhost: h\r\nuser-agent:curl \r\nACCEPT: */*\r\nContent-Length: 5\r\n\r\n";
    let mut request = at_once(head).unwrap();
    assert!(request.headers.is_empty());
    assert_eq!(request.body, BodySize::Known(5));
    assert_eq!(
        request.rest.as_deref(),
        Some(&b"User-Agent: curl\r\nAccept: */*\r\n"[..])
    );
    unfold(&mut request);
    assert_eq!(request.rest, None);
    assert_eq!(
        (&request.headers["user-agent"], &request.headers["accept"]),
        (&"curl".parse().unwrap(), &"*/*".parse().unwrap())
    );
}

/// The fuzz target once took the order of two fields for a difference: a map that gives one up moves another to its place.
#[test]
fn fields_of_other_names_may_change_places_and_nothing_else() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Lehgth: 5\r\nTransfer-Enco+ding: chunked\r\n\r\n";
    let (mut quick, mut long) = (at_once(head).unwrap(), the_long_way(head).unwrap());
    assert_eq!(outline(&quick), outline(&long));
    let next = NextHop::App { restore_host: false };
    assert_eq!(to_pod(&mut quick, &next), to_pod(&mut long, &next));
    unfold(&mut quick);
    long.headers.remove(name::FORWARDED_FOR);
    quick.headers.remove(name::FORWARDED_FOR);
    assert_eq!(quick.headers, long.headers);
}

#[test]
fn whatever_asks_for_a_closer_look_gets_it() {
    let usual = |fields: &str| at_once(&format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
    assert!(usual("A: b\r\n").is_some());
    let mut odd: Vec<String> = [
        "Host: h\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 05\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length : 5\r\n",
        "Content-Length: 5\n",
        "Transfer-Encoding: chunked\r\n",
        "transfer-encoding: x\r\n",
        "X: a\r\n b\r\n",
        "X: a\x01\r\n",
        "X: a\rb\r\n",
        "X\r\n",
        ": x\r\n",
        "User-Agent: \r\n",
        "User-Agent: kube-probe/1.30\r\n",
        "User-Agent: Knative-Activator-Probe\r\n",
    ]
    .map(str::to_owned)
    .to_vec();
    let known = [
        header::EXPECT,
        header::FORWARDED,
        name::NETWORK_PROBE,
        name::NETWORK_HASH,
        name::KUBELET_PROBE,
        name::ORIGINAL_HOST,
        name::PROXY_REQUEST,
        name::PASSTHROUGH,
        name::REVISION,
        name::NAMESPACE,
        name::FORWARDED_FOR,
        name::FORWARDED_PROTO,
        name::FORWARDED_HOST,
    ];
    odd.extend(HOP_BY_HOP.iter().chain(&known).map(|name| format!("{name}: x\r\n")));
    for fields in odd {
        assert!(usual(&fields).is_none(), "{fields:?}");
    }
    for line in [
        "GET / HTTP/1.0",
        "GET  / HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET http://h/ HTTP/1.1",
        "GET /%zz HTTP/1.1",
        "CONNECT / HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "G@T / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET /",
    ] {
        assert!(at_once(&format!("{line}\r\nHost: h\r\n\r\n")).is_none(), "{line}");
    }
    assert!(at_once("GET / HTTP/1.1\r\nA: b\r\n\r\n").is_none(), "no host");
    assert!(at_once("GET / HTTP/1.1\r\nHost: a b\r\n\r\n").is_none());
    let few = |most| request(b"GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\n\r\n", most, &peer());
    assert!(few(3).is_some() && few(2).is_none());
}

/// Fields as clients send them, and as they should not.
fn line() -> impl Strategy<Value = String> {
    line::odd(
        &[
            "Host",
            "Content-Length",
            "content-length",
            "Transfer-Encoding",
            "Connection",
            "Keep-Alive",
            "Upgrade",
            "TE",
            "Trailer",
            "Proxy-Connection",
            "Proxy-Authorization",
            "Expect",
            "Forwarded",
            "X-Forwarded-For",
            "x-forwarded-proto",
            "X-Forwarded-Host",
            "K-Original-Host",
            "K-Network-Probe",
            "Knative-Serving-Revision",
            "traceparent",
            "b3",
            "User-Agent",
            "Cookie",
            "Cookie",
            "Accept",
            "x_b!",
            "X-Hop",
            "Pragma",
            "Cache-Control",
            "Idempotency-Key",
            "X ",
            " X",
            "",
        ],
        &[
            "Upgrade",
            "no-cache",
            "100-continue",
            "h:80",
            "kube-probe/1",
            "a, b",
            "trailers",
        ],
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn both_ways_read_the_same_request_and_write_the_same_lines(
        first in select(vec![
            "GET / HTTP/1.1", "POST /a?b=\"c HTTP/1.1", "DELETE /a%20b HTTP/1.1", "PURGE /a;b HTTP/1.1", "HEAD /[] HTTP/1.1",
            "GET http://o/ HTTP/1.1", "CONNECT h:1 HTTP/1.1", "OPTIONS * HTTP/1.1", "GET / HTTP/1.0", "GET / HTTP/1.2", "GET /",
        ]),
        host in select(vec!["Host: h\r\n", "Host: h\r\n", "HOST:h:80\r\n", "host: \r\n", ""]),
        lines in proptest::collection::vec(line(), 0..4),
        restore_host in any::<bool>(),
        is_proxy in any::<bool>(),
    ) {
        let head = format!("{first}\r\n{host}{}\r\n", lines.concat());
        // A head ends with its first empty line.
        let end = parse::Search::default().end(head.as_bytes()).unwrap_or(head.len());
        let head = &head[..end];
        if let Some(mut quick) = at_once(head) {
            let mut long = the_long_way(head).unwrap();
            prop_assert_eq!(outline(&quick), outline(&long));
            let next = match is_proxy {
                true => NextHop::Proxy { private_host: restore_host },
                false => NextHop::App { restore_host },
            };
            let mut unfolded = at_once(head).unwrap();
            unfold(&mut unfolded);
            prop_assert_eq!(&unfolded.headers, &long.headers);
            let due = to_pod(&mut long, &next);
            prop_assert_eq!(to_pod(&mut quick, &next), due.clone());
            prop_assert_eq!(to_pod(&mut unfolded, &next), due);
            prop_assert_eq!(outline(&quick), outline(&long));
        }
    }

    #[test]
    fn no_bytes_panic_or_pass_without_a_host(head in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(request(&head, 100, &peer()).is_none_or(|_| head.ends_with(b"\r\n\r\n")));
    }
}
