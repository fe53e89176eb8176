// SPDX-License-Identifier: Apache-2.0
//! Pods that die: a client gets a clean answer or a visibly broken one, never a short one that looks whole.
//!
//! Depends on: gateway, pods.

use crate::gateway::{Gateway, Service};
use crate::pods;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Says these bytes to each request and closes (resets, if so said); counts the requests.
async fn pod(says: &'static str, resets: bool) -> (SocketAddr, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let address = pods::listen(move |mut stream| {
        let counted = Arc::clone(&counted);
        async move {
            let mut piece = [0; 4096];
            // To reset is to close with bytes unread.
            if resets {
                drop(stream.readable().await);
            } else {
                drop(stream.read(&mut piece).await);
            }
            counted.fetch_add(1, Relaxed);
            drop(stream.write_all(says.as_bytes()).await);
        }
    })
    .await;
    (address, count)
}

/// The whole answer, to the end of the connection.
async fn ask(gateway: SocketAddr, method: &str) -> String {
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    let request = format!("{method} / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    // A reset is an end, too.
    assert!(read.is_ok(), "no end in 20 s");
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_dies_before_or_within_a_head_is_a_502_and_not_asked_twice() {
    for (says, resets) in [
        ("", false),
        ("", true),
        ("HTTP/1.1 200 OK\r\nX: ", false),
        ("nonsense\r\n\r\n", false),
    ] {
        let (pod, count) = pod(says, resets).await;
        let gateway = Gateway::start(&[Service::new("app.test", &[pod])]);
        for method in ["GET", "POST"] {
            let answer = ask(gateway.address, method).await;
            assert!(answer.starts_with("HTTP/1.1 502 "), "{says:?} {method}: {answer}");
        }
        assert_eq!(count.load(Relaxed), 2, "{says:?} {resets}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_never_looks_whole() {
    let (pod, _) = pod("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell", false).await;
    let gateway = Gateway::start(&[Service::new("app.test", &[pod])]);
    let answer = ask(gateway.address, "GET").await;
    assert!(
        answer.contains("Content-Length: 9\r\n") && answer.ends_with("\r\n\r\nhell"),
        "{answer}"
    );
    let (pod, _) = self::pod(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n",
        false,
    )
    .await;
    let gateway = Gateway::start(&[Service::new("app.test", &[pod])]);
    let answer = ask(gateway.address, "GET").await;
    assert!(answer.contains("hell") && !answer.contains("\r\n0\r\n"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_refuses_costs_no_request() {
    let (good, _) = pods::hyper().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = gone.local_addr().unwrap();
    drop(gone);
    let gateway = Gateway::start(&[Service::new("app.test", &[refusing, good])]);
    for _ in 0..20 {
        let answer = ask(gateway.address, "POST").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_never_answers_is_a_504() {
    let silent = pods::listen(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let gateway = Gateway::start(&[Service::with("app.test", &[silent], "timeout_seconds: 1")]);
    let answer = ask(gateway.address, "GET").await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
}
