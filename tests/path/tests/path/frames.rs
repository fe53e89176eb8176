// SPDX-License-Identifier: Apache-2.0
//! HTTP/2 that would be two requests in HTTP/1.1: nothing of it reaches a pod.
//!
//! Mechanism: frames and header blocks are written by hand (RFC 7541 6.2.2), as no library would send them.
//! Depends on: gateway, pods.

use crate::gateway::{Gateway, Service};
use crate::pods::{self, line};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

type Fields = &'static [(&'static str, &'static str)];

/// After these four come a case's own.
const ORDINARY: Fields = &[
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "strict.test"),
    (":path", "/h"),
];

/// Whether the ordinary ones come first, its own, its body.
const CASES: &[(bool, Fields, &str)] = &[
    (
        true,
        &[("x", "y\r\ntransfer-encoding: chunked")],
        "0\r\n\r\nGET /p HTTP/1.1\r\n\r\n",
    ),
    (
        true,
        &[("x", "y\r\n\r\nGET /p HTTP/1.1\r\nhost: strict.test\r\n\r\n")],
        "",
    ),
    (true, &[("x", "y\ncontent-length: 0")], "GET /p"),
    (true, &[("x", "y\rz")], ""),
    (true, &[("x", "y\0z")], ""),
    (true, &[("x: y\r\ntransfer-encoding", "chunked")], "0\r\n\r\n"),
    (true, &[("x y", "z")], ""),
    (true, &[("X", "y")], ""),
    (true, &[("x:", "y")], ""),
    (true, &[("", "y")], ""),
    (
        true,
        &[("transfer-encoding", "chunked")],
        "0\r\n\r\nGET /p HTTP/1.1\r\n\r\n",
    ),
    (true, &[("connection", "close")], ""),
    (true, &[("keep-alive", "1")], ""),
    (true, &[("upgrade", "websocket")], ""),
    (true, &[("te", "gzip")], ""),
    (true, &[("content-length", "0")], "GET /p HTTP/1.1\r\n\r\n"),
    (true, &[("content-length", "500")], "hello"),
    (true, &[("content-length", "5"), ("content-length", "6")], "hello"),
    (true, &[("content-length", "+5")], "hello"),
    (true, &[("x", "y"), (":path", "/p")], ""),
    (true, &[(":path", "/p")], ""),
    (true, &[(":method", "GET")], ""),
    (true, &[(":authority", "other.test")], ""),
    (true, &[(":status", "200")], ""),
    (true, &[(":other", "x")], ""),
    (true, &[("host", "a.test"), ("host", "b.test\r\nx: y")], ""),
    (
        false,
        &[
            (":method", "GET /p HTTP/1.1\r\nx: y\r\n\r\nGET"),
            (":scheme", "http"),
            (":authority", "strict.test"),
            (":path", "/h"),
        ],
        "",
    ),
    (
        false,
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "strict.test\r\nx: y"),
            (":path", "/h"),
        ],
        "",
    ),
    (
        false,
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "strict.test"),
            (":path", "/h HTTP/1.1\r\nhost: strict.test\r\n\r\nGET /p"),
        ],
        "",
    ),
    (
        false,
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "strict.test"),
            (":path", "/h HTTP/1.1"),
        ],
        "",
    ),
    (
        false,
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "strict.test"),
            (":path", ""),
        ],
        "",
    ),
    (
        false,
        &[(":method", "GET"), (":authority", "strict.test"), (":path", "/h")],
        "",
    ),
    (
        false,
        &[
            ("x", "y"),
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "strict.test"),
            (":path", "/h"),
        ],
        "",
    ),
];

pub(crate) fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Literals without indexing, all shorter than 127 bytes.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            out.push(u8::try_from(text.len()).unwrap());
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

/// Whether a stream, or all of them, has come to its end by these frames.
fn has_ended(mut frames: &[u8]) -> bool {
    // Nine bytes: length, kind, flags, stream.
    while let [high, middle, low, kind, flags, _, _, _, _, rest @ ..] = frames {
        match kind {
            // DATA and HEADERS, the last ones.
            0 | 1 if flags & 1 == 1 => return true,
            // RST_STREAM, GOAWAY.
            3 | 7 => return true,
            _ => {}
        }
        let length = u32::from_be_bytes([0, *high, *middle, *low]);
        frames = rest.get(length as usize..).unwrap_or_default();
    }
    false
}

/// One stream on a connection of its own; everything that came back, until its end and a while after it.
async fn send(gateway: SocketAddr, fields: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    let ends = u8::from(body.is_empty());
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, b""));
    bytes.extend(frame(1, 4 | ends, 1, &block(fields)));
    if ends == 0 {
        bytes.extend(frame(0, 1, 1, body.as_bytes()));
    }
    stream.write_all(&bytes).await.unwrap();
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    let patience = |all: &[u8]| Duration::from_millis(if has_ended(all) { 700 } else { 20_000 });
    while let Ok(Ok(length @ 1..)) = timeout(patience(&all), stream.read(&mut piece)).await {
        all.extend_from_slice(&piece[..length]);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_that_would_be_two_requests_reaches_no_pod() {
    let (pod, seen) = pods::strict().await;
    let gateway = Gateway::start(&[Service::new("strict.test", &[pod])]);
    let address = gateway.address;
    let mut clients = JoinSet::new();
    for (is_first, own, body) in CASES {
        let fields = if *is_first {
            [ORDINARY, own].concat()
        } else {
            own.to_vec()
        };
        clients.spawn(async move { send(address, &fields, body).await });
    }
    let answers = clients.join_all().await;
    assert!(answers.iter().all(|answer| has_ended(answer)), "one has no end");
    // The frames themselves are sound: without anything odd they are a request.
    let answer = send(address, ORDINARY, "hello").await;
    assert!(answer.windows(8).any(|bytes| bytes == b"/h\nhello"));
    assert_eq!(seen.all(), [line("POST", "/h", b"hello")]);
}
