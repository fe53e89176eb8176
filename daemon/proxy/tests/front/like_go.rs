// SPDX-License-Identifier: Apache-2.0
//! What Go's HTTP does beside the standard's letter, and clients and applications of Knative have come to know.

use crate::rig::{HOST, Rig};
use proxy::{Front, PodProtocol};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The next head and what came with it, or what came before the end.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && stream.read_buf(&mut head).await.unwrap_or(0) > 0 {}
    String::from_utf8(head).unwrap()
}

/// Sends a request of this method and these fields, and reads an answer without a body.
async fn ask(stream: &mut TcpStream, method: &str, fields: &str) -> String {
    let request = format!("{method} / HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = timeout(Duration::from_secs(20), head(stream)).await;
    answer.unwrap()
}

#[tokio::test]
async fn a_probe_by_head_is_not_told_of_a_body_that_no_probe_has() {
    let rig = Rig::new().await;
    let mut client = TcpStream::connect(rig.listen(Front::default()).await).await.unwrap();
    for (method, has_length) in [("HEAD", false), ("GET", true), ("HEAD", false)] {
        let answer = ask(&mut client, method, "K-Network-Probe: probe\r\nK-Network-Hash: h\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert_eq!(
            answer.contains("Content-Length: 0\r\n"),
            has_length,
            "{method}: {answer}"
        );
    }
    rig.tasks.stop().await;
}

/// Answers the first request of all connections and those after the second, and ends the connection of the second.
async fn pod(mut stream: TcpStream, asked: Arc<AtomicUsize>) {
    while !head(&mut stream).await.is_empty() {
        if asked.fetch_add(1, Relaxed) == 1 {
            return;
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    }
}

#[tokio::test]
async fn who_gives_a_request_a_key_has_it_sent_again_when_a_kept_connection_ends() {
    for (fields, is_repeated) in [
        ("Idempotency-Key: k\r\n", true),
        ("X-Idempotency-Key: k\r\nContent-Length: 0\r\n", true),
        ("", false),
    ] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let rig = Rig::with_pod(PodProtocol::Http1, move |stream| pod(stream, Arc::clone(&count))).await;
        let mut client = TcpStream::connect(rig.listen(Front::default()).await).await.unwrap();
        assert!(ask(&mut client, "GET", "").await.starts_with("HTTP/1.1 204 "));
        let answer = ask(&mut client, "POST", fields).await;
        let (status, times) = if is_repeated { ("204", 3) } else { ("502", 2) };
        assert_eq!(answer.get(9..12), Some(status), "{fields}: {answer}");
        assert_eq!(asked.load(Relaxed), times, "{fields}");
        rig.tasks.stop().await;
    }
}

#[tokio::test]
async fn an_absolute_target_without_a_host_leaves_it_to_the_header() {
    let rig = Rig::new().await;
    let mut client = TcpStream::connect(rig.listen(Front::default()).await).await.unwrap();
    let request = format!("GET http:///x HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let reading = client.read_to_string(&mut answer);
    timeout(Duration::from_secs(20), reading).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.to_lowercase().contains(&format!("host: {HOST}")), "{answer}");
    rig.tasks.stop().await;
}
