// SPDX-License-Identifier: Apache-2.0
//! Bytes in which two readers could see different requests: client and pod never disagree on boundaries.
//!
//! Mechanism: each case asks for `/c` and hides `/p`, which by RFC 9112 is no request; the pods must have seen exactly what the
//! case says, and what others ask afterwards through the same pods' connections.
//! Depends on: gateway, pods.

use crate::gateway::{Gateway, Service};
use crate::pods::{self, Seen, line};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// What a client sends (`@` is the host line), the status it gets first, and the request the pod sees, if any.
type Case = (&'static str, u16, Option<(&'static str, &'static str)>);

const SEEN_EMPTY: Option<(&str, &str)> = Some(("POST", ""));
const SEEN_HELLO: Option<(&str, &str)> = Some(("POST", "hello"));

/// Which length, which coding.
const FRAMING: &[Case] = &[
    // Both: the coding stands, and the connection ends.
    (
        "POST /c HTTP/1.1\r\n@Content-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        200,
        SEEN_EMPTY,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        200,
        SEEN_HELLO,
    ),
    (
        "POST /c HTTP/1.1\r\n@X: y\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        200,
        SEEN_HELLO,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: \tchunked \t\r\nContent-Length: 4\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        200,
        SEEN_HELLO,
    ),
    (
        "POST /c HTTP/1.1\r\n@Connection: Transfer-Encoding, Content-Length, Host\r\nContent-Length: 5\r\n\r\nhello",
        200,
        SEEN_HELLO,
    ),
    (
        "POST /c HTTP/1.1\r\n@Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        200,
        SEEN_HELLO,
    ),
    // Codings that are not `chunked`, or only to some.
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        501,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        501,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        501,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\nhelloGET /p HTTP/1.1\r\n@\r\n",
        501,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        501,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding:\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        501,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n \r\n\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Content-Length:\r\n\t5\r\n\r\nhelloGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    ("POST /c HTTP/1.1\r\nHost:\r\n #\r\n\r\n", 400, None),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding : chunked\r\n\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@X: y\x00Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@\x00Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.0\r\n@Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    // Lengths.
    (
        "POST /c HTTP/1.1\r\n@Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        200,
        SEEN_HELLO,
    ),
    ("POST /c HTTP/1.1\r\n@Content-Length: 005\r\n\r\nhello", 200, SEEN_HELLO),
    (
        "POST /c HTTP/1.1\r\n@Content_Length: 50\r\nContent-Length: 5\r\n\r\nhello",
        200,
        SEEN_HELLO,
    ),
    (
        "POST /c HTTP/1.1\r\n@Content-Length: 5\r\nContent-Length: 0\r\n\r\nhelloGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Content-Length: 5, 5\r\n\r\nhelloGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Content-Length: +5\r\n\r\nhelloGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Content-Length: -5\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Content-Length: 0x5\r\n\r\nhelloGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Content-Length: 5 5\r\n\r\nhelloGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Content-Length: 5_0\r\n\r\nhelloGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Content-Length:\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Content-Length: 5;\r\n\r\nhelloGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Content-Length: 99999999999999999999\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Content-Length: 18446744073709551616\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Content-Length : 5\r\n\r\nhelloGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@X: y\r\n Content-Length: 5\r\n\r\nhello",
        200,
        SEEN_EMPTY,
    ),
];

/// Chunks.
const CHUNKS: &[Case] = &[
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n5;ext=\"a;b\"\r\nhello\r\n0;x\r\n\r\n",
        200,
        SEEN_HELLO,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n0005\r\nhello\r\n000\r\n\r\n",
        200,
        SEEN_HELLO,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n",
        200,
        SEEN_HELLO,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 40\r\nTransfer-Encoding: chunked\r\nHost: other\r\nX-Sum: 1\r\n\r\n",
        200,
        SEEN_HELLO,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n 5\r\nhello\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n5 5\r\nhello\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n5;a\rb\r\nhello\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n0\r\nGET /p HTTP/1.1\r\n\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nbad\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n+0\r\n0\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
    (
        "POST /c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n0\r\n\nGET /p HTTP/1.1\r\n@\r\n",
        400,
        None,
    ),
];

/// Request lines, names, hosts.
const HEADS: &[Case] = &[
    (
        "POST /c HTTP/1.1\r\n@X: 1\r\n 2\r\n\t3\r\nContent-Length: 5\r\n\r\nhello",
        200,
        SEEN_HELLO,
    ),
    ("POST http://# /c HTTP/1.1\r\n@\r\n", 400, None),
    (
        "POST http://#/c HTTP/1.1\r\nHost: other.test\r\nContent-Length: 5\r\n\r\nhello",
        200,
        SEEN_HELLO,
    ),
    (
        "POST http://other.test/c HTTP/1.1\r\n@Content-Length: 5\r\n\r\nhello",
        404,
        None,
    ),
    (
        "GET /c HTTP/1.1\r\n@Content-Length: 5\r\n\r\nhello",
        200,
        Some(("GET", "hello")),
    ),
    ("GET /c HTTP/1.1\r\n@Host: other.test\r\n\r\n", 400, None),
    ("GET /c HTTP/1.1\r\n@@\r\n", 400, None),
    ("GET /c HTTP/1.1\r\n@Host : other.test\r\n\r\n", 400, None),
    ("GET /c HTTP/1.1\r\nHost: #\x00.test\r\n\r\n", 400, None),
    ("GET /c HTTP/1.1\r\n\r\n", 400, None),
    ("GET /c HTTP/1.1\r\n X: y\r\n@\r\n", 400, None),
    ("GET /c HTTP/1.1\r\n: y\r\n@\r\n", 400, None),
    ("GET /c HTTP/1.1\r\nX\r\n@\r\n", 400, None),
    ("GET /c HTTP/1.1 \r\n@\r\n", 400, None),
    ("GET  /c HTTP/1.1\r\n@\r\n", 400, None),
    ("GET\t/c HTTP/1.1\r\n@\r\n", 400, None),
    ("GET /c\r\n@\r\n", 400, None),
    ("GET /c HTTP/1.1\rX: y\r\n@\r\n", 400, None),
    ("GET /c\x00 HTTP/1.1\r\n@\r\n", 400, None),
    ("GET /c HTTP/2.0\r\n@\r\n", 505, None),
    ("GET /c http/1.1\r\n@\r\n", 400, None),
    (
        "GET /c HTTP/1.1\r\n@Expect: 200-ok\r\nContent-Length: 60\r\n\r\nGET /p HTTP/1.1\r\n@\r\n",
        417,
        None,
    ),
    (
        "GET /c HTTP/1.1\r\n@Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n",
        200,
        Some(("GET", "")),
    ),
];

/// Sends it, and reads until nothing comes any more after an answer's first line; the first status.
async fn send(gateway: SocketAddr, bytes: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    let patience = |answer: &[u8]| Duration::from_secs(if answer.contains(&b'\n') { 1 } else { 20 });
    while let Ok(Ok(length @ 1..)) = timeout(patience(&answer), stream.read(&mut piece)).await {
        answer.extend_from_slice(&piece[..length]);
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    text.split(' ').nth(1).map_or(0, |status| status.parse().unwrap())
}

/// The whole corpus by this host; what is wrong.
async fn corpus(gateway: SocketAddr, host: &'static str, seen: &Seen) -> Vec<String> {
    let cases: Vec<Case> = [FRAMING, CHUNKS, HEADS].concat();
    let mut clients = JoinSet::new();
    for (number, (text, status, _)) in cases.iter().copied().enumerate() {
        let bytes = text
            .replace("/c", &format!("/c{number}"))
            .replace("/p", &format!("/p{number}"))
            .replace('@', &format!("Host: {host}\r\n"))
            .replace('#', host);
        clients.spawn(async move {
            let got = send(gateway, bytes.as_bytes()).await;
            (got != status).then(|| format!("{host}: {status} was to come, {got} came for {text:?}"))
        });
    }
    let mut wrong: Vec<String> = clients.join_all().await.into_iter().flatten().collect();
    let mut due: Vec<String> = cases
        .iter()
        .enumerate()
        .filter_map(|(number, case)| {
            case.2
                .map(|(method, body)| line(method, &format!("/c{number}"), body.as_bytes()))
        })
        .collect();
    let after: Vec<_> = (0..30).map(|number| format!("/after{number}")).collect();
    for target in &after {
        let status = send_last(gateway, host, target).await;
        if status != Some(format!("GET {target}\n")) {
            wrong.push(format!("{host}: {target} got {status:?}"));
        }
        due.push(line("GET", target, b""));
    }
    // What a pod writes is read by a thread of its own.
    let deadline = Instant::now() + Duration::from_secs(20);
    while seen.all().len() < due.len() && Instant::now() < deadline {
        sleep(Duration::from_millis(20)).await;
    }
    let all = seen.all();
    wrong.extend(
        due.iter()
            .filter(|line| !all.contains(line))
            .map(|line| format!("{host}: missing {line}")),
    );
    wrong.extend(
        all.iter()
            .filter(|line| !due.contains(line))
            .map(|line| format!("{host}: too much {line}")),
    );
    if all.len() != due.len() {
        wrong.push(format!("{host}: {} requests instead of {}", all.len(), due.len()));
    }
    wrong
}

/// An innocent request; the body of its answer.
async fn send_last(gateway: SocketAddr, host: &str, target: &str) -> Option<String> {
    let mut stream = TcpStream::connect(gateway).await.ok()?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_behind_us_sees_a_request_that_was_hidden() {
    let python = pods::python();
    let ((hyper, by_hyper), (strict, strictly)) = (pods::hyper().await, pods::strict().await);
    let gateway = Gateway::start(&[
        Service::new("python.test", &[python.address]),
        Service::new("hyper.test", &[hyper]),
        Service::new("strict.test", &[strict]),
    ]);
    let mut wrong = Vec::new();
    for (host, seen) in [
        ("python.test", &python.seen),
        ("hyper.test", &by_hyper),
        ("strict.test", &strictly),
    ] {
        wrong.extend(corpus(gateway.address, host, seen).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
