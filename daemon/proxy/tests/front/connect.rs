// SPDX-License-Identifier: Apache-2.0
//! CONNECT: a tunnel to a pod, which has no content before the pod has agreed (RFC 9110 9.3.6).

use crate::rig::{HOST, Rig};
use crate::targets::told;
use crate::two::{all, raw, request, said_to};
use bytes::Bytes;
use proxy::{Front, PodProtocol};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

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
