// SPDX-License-Identifier: Apache-2.0
//! CONNECT: a tunnel to a pod, which has no content before the pod has agreed (RFC 9110 9.3.6).

use crate::rig::{HOST, Rig};
use crate::targets::told;
use crate::two::{all, raw, request, said_to};
use bytes::Bytes;
use proxy::{Front, Limits, PodProtocol};
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// To the application, by HTTP/2.
fn connecting() -> http::Request<()> {
    let asked = http::Request::connect(format!("{HOST}:443"));
    asked.version(http::Version::HTTP_2).body(()).unwrap()
}

/// To the application, by HTTP/1.1: this comes after the host.
fn connect(rest: &str) -> String {
    format!("CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}\r\n{rest}")
}

/// Agrees, and sends back what comes.
async fn agreeing(mut stream: TcpStream) {
    let head = said_to(&mut stream, b"").await;
    assert!(head.starts_with("CONNECT app.example.com:443 HTTP/1.1\r\n"), "{head}");
    assert!(
        !head.contains("Transfer-Encoding") && !head.contains("Content-Length"),
        "{head}"
    );
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello, ").await.unwrap();
    let (mut from, mut to) = stream.split();
    tokio::io::copy(&mut from, &mut to).await.unwrap();
}

#[tokio::test]
async fn a_stream_of_http_2_becomes_a_tunnel_to_any_pod() {
    for protocol in [PodProtocol::Http1, PodProtocol::AsClient, PodProtocol::H2c] {
        let rig = Rig::with_pod(protocol, agreeing).await;
        let mut sender = raw(rig.listen(Front::default()).await, &rig).await;
        let (answer, mut to) = sender.send_request(connecting(), false).unwrap();
        // It need not wait for the pod; the pod gets it all the same only after it has agreed.
        to.send_data(Bytes::from_static(b"early"), false).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200, "{protocol:?}");
        to.send_data(Bytes::from_static(b" and late"), true).unwrap();
        let (got, _) = all(answer.into_body()).await.unwrap();
        assert_eq!(String::from_utf8(got).unwrap(), "hello, early and late");
        rig.tasks.stop().await;
        assert_eq!(rig.revision.counts(), logic::limiter::Counts::default());
    }
}

#[tokio::test]
async fn a_length_or_a_coding_is_refused_and_reaches_no_pod() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let rig = Rig::with_pod(PodProtocol::Http1, move |mut stream| {
        counted.fetch_add(1, Relaxed);
        async move {
            drop(
                said_to(
                    &mut stream,
                    b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n",
                )
                .await,
            )
        }
    })
    .await;
    let gateway = rig.listen(Front::default()).await;
    let hidden = format!("GET /admin HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    for framing in [
        format!("Content-Length: {}\r\n\r\n{hidden}", hidden.len()),
        format!(
            "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{hidden}\r\n0\r\n\r\n",
            hidden.len()
        ),
    ] {
        let said = told(gateway, connect(&framing).as_bytes()).await;
        assert!(
            said.starts_with("HTTP/1.1 400 Bad Request: content in a CONNECT request\r\n"),
            "{said}"
        );
        assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said}");
    }
    let mut sender = raw(gateway, &rig).await;
    let mut asked = connecting();
    asked.headers_mut().insert("content-length", hidden.len().into());
    let (answer, mut to) = sender.send_request(asked, false).unwrap();
    to.send_data(Bytes::from(hidden), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 400);
    assert_eq!(count.load(Relaxed), 0);
    rig.tasks.stop().await;
}

#[tokio::test]
async fn a_pod_that_refuses_a_tunnel_gets_nothing_more_on_that_connection() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let rig = Rig::with_pod(PodProtocol::Http1, move |mut stream| {
        counted.fetch_add(1, Relaxed);
        async move {
            let answer = b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n";
            while said_to(&mut stream, answer).await.starts_with("CONNECT ") {}
        }
    })
    .await;
    let gateway = rig.listen(Front::default()).await;
    // What a client sends as the first bytes of a tunnel is no request to anybody.
    let hidden = format!("GET /admin HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let said = told(gateway, connect(&format!("\r\n{hidden}")).as_bytes()).await;
    assert!(
        said.starts_with("HTTP/1.1 405 ") && said.contains("\r\nConnection: close\r\n"),
        "{said}"
    );
    assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said}");
    let mut sender = raw(gateway, &rig).await;
    let (answer, _to) = sender.send_request(connecting(), false).unwrap();
    assert_eq!(answer.await.unwrap().status(), 405);
    let (answer, _) = sender.send_request(request("GET", "/"), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 405);
    assert_eq!(count.load(Relaxed), 3);
    rig.tasks.stop().await;
}

/// A listener whose tunnels may stand still for a moment.
async fn impatient(rig: &Rig) -> SocketAddr {
    let limits = Limits {
        half_open_time: Duration::from_millis(200),
        ..Limits::default()
    };
    rig.listen_within(Front::default(), limits).await
}

/// A client in a tunnel by HTTP/1.1.
async fn tunnelled(gateway: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    stream.write_all(connect("\r\n").as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"hello") {
        assert!(stream.read_buf(&mut head).await.unwrap() > 0);
    }
    assert!(
        head.starts_with(b"HTTP/1.1 200 OK\r\n"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    stream
}

/// What comes until the end.
async fn rest(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut got = Vec::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut got)).await;
    read.unwrap().map(|_| got)
}

/// Agrees, and says no more after its client's end.
async fn falling_silent(mut stream: TcpStream) {
    said_to(&mut stream, b"HTTP/1.1 200 OK\r\n\r\nhello").await;
    drop(stream.read_to_end(&mut Vec::new()).await);
    pending::<()>().await;
}

/// Agrees, and breaks off.
async fn breaking(mut stream: TcpStream) {
    said_to(&mut stream, b"HTTP/1.1 200 OK\r\n\r\nhello").await;
    drop(stream.read_u8().await);
    stream.set_zero_linger().unwrap();
}

#[tokio::test]
async fn what_is_cut_off_in_a_tunnel_does_not_look_whole() {
    for is_silent in [true, false] {
        let rig = match is_silent {
            true => Rig::with_pod(PodProtocol::Http1, falling_silent).await,
            false => Rig::with_pod(PodProtocol::Http1, breaking).await,
        };
        let gateway = impatient(&rig).await;
        let mut stream = tunnelled(gateway).await;
        stream.write_all(b"!").await.unwrap();
        if is_silent {
            stream.shutdown().await.unwrap();
        }
        let ended = rest(&mut stream).await;
        assert!(
            ended.is_err(),
            "by HTTP/1, a pod that is silent: {is_silent}: {ended:?}"
        );
        let mut sender = raw(gateway, &rig).await;
        let (answer, mut to) = sender.send_request(connecting(), false).unwrap();
        let answer = answer.await.unwrap();
        to.send_data(Bytes::from_static(b"!"), is_silent).unwrap();
        let ended = timeout(Duration::from_secs(20), all(answer.into_body())).await.unwrap();
        assert!(
            ended.is_err(),
            "by HTTP/2, a pod that is silent: {is_silent}: {ended:?}"
        );
        rig.tasks.stop().await;
    }
}

#[tokio::test]
async fn a_client_that_stands_still_after_its_pods_end_has_all_and_the_pod_sees_a_reset() {
    let (sender, mut ended) = tokio::sync::mpsc::channel(1);
    let rig = Rig::with_pod(PodProtocol::Http1, move |mut stream| {
        let sender = sender.clone();
        async move {
            said_to(&mut stream, b"HTTP/1.1 200 OK\r\n\r\nhello").await;
            stream.shutdown().await.unwrap();
            sender.send(rest(&mut stream).await).await.unwrap();
        }
    })
    .await;
    let mut stream = tunnelled(impatient(&rig).await).await;
    assert_eq!(rest(&mut stream).await.unwrap(), b"");
    let ended = timeout(Duration::from_secs(20), ended.recv()).await.unwrap().unwrap();
    assert!(ended.is_err(), "{ended:?}");
    rig.tasks.stop().await;
}
