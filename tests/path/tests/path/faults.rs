// SPDX-License-Identifier: Apache-2.0
//! Pods that die: a client gets a clean answer or a visibly broken one, never a short one that looks whole.
//!
//! Depends on: gateway, pods.

use crate::frames::frame;
use crate::gateway::{Gateway, Service};
use crate::pods::{self, Seen};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
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
    ask_for("app.test", gateway, method).await
}

async fn ask_for(host: &str, gateway: SocketAddr, method: &str) -> String {
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    let request = format!("{method} / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
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
    for says in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n0\r\nbad\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhell\r\nbad\r\n",
    ] {
        let (pod, _) = self::pod(says, false).await;
        let gateway = Gateway::start(&[Service::new("app.test", &[pod])]);
        let answer = ask(gateway.address, "GET").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{says:?}: {answer}");
        assert!(
            answer.contains("hell") && !answer.contains("\r\n0\r\n"),
            "{says:?}: {answer}"
        );
    }
    // A reset is no end of a body that lasts until the connection ends.
    let seen = Arc::new(Notify::new());
    let pods = Arc::clone(&seen);
    let resetting = pods::listen(move |mut stream| {
        let seen = Arc::clone(&pods);
        async move {
            drop(stream.read(&mut [0; 4096]).await);
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhell").await);
            seen.notified().await;
            stream.set_zero_linger().unwrap();
        }
    })
    .await;
    let gateway = Gateway::start(&[Service::new("app.test", &[resetting])]);
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: app.test\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"4\r\nhell\r\n") {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
    }
    seen.notify_one();
    let mut rest = Vec::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    assert!(read.is_ok() && rest.is_empty(), "{read:?}: {rest:?}");
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

/// Takes no connection: its queue is full. Those in it are the second.
async fn deaf() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(500), TcpStream::connect(address)).await {
        queue.push(stream.unwrap());
        assert!(queue.len() < 10, "the queue has no end");
    }
    (listener, queue)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_takes_no_connection_costs_no_request() {
    let (good, seen) = pods::hyper().await;
    let (listener, _queue) = deaf().await;
    let gateway = Gateway::start(&[Service::new("app.test", &[listener.local_addr().unwrap(), good])]);
    for _ in 0..20 {
        let answer = ask(gateway.address, "POST").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert_eq!(seen.all(), ["POST /"; 20]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_pod_is_dialled_until_it_takes_a_connection_or_time_is_up() {
    let (listener, queue) = deaf().await;
    let pod = [listener.local_addr().unwrap()];
    let gateway = Gateway::start(&[
        Service::with("app.test", &pod, "timeout_seconds: 60"),
        Service::with("hasty.test", &pod, "timeout_seconds: 1"),
    ]);
    let answer = ask_for("hasty.test", gateway.address, "POST").await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    let (address, (asks, mut answers)) = (gateway.address, tokio::sync::mpsc::channel(1));
    tokio::spawn(async move { asks.send(ask(address, "POST").await).await });
    let early = timeout(Duration::from_millis(300), answers.recv()).await;
    assert!(early.is_err(), "{early:?}");
    drop(queue);
    let mut heads = 0;
    let answer = loop {
        tokio::select! {
            answer = answers.recv() => break answer.unwrap(),
            // Dials that were given up are in the queue, too.
            accepted = listener.accept() => {
                let (mut stream, mut head) = (accepted.unwrap().0, [0; 4096]);
                let read = timeout(Duration::from_millis(500), stream.read(&mut head)).await;
                if matches!(read, Ok(Ok(1..))) {
                    heads += 1;
                    drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await);
                }
            }
        }
    };
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(heads, 1, "it was sent once");
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

/// A pod of HTTP/2 that says these frames to the first request of its first connections, so many, and then serves.
async fn fickle(says: Vec<Vec<u8>>) -> (SocketAddr, Seen, Arc<AtomicUsize>) {
    let (seen, count) = (Seen::default(), Arc::new(AtomicUsize::new(0)));
    let (into, counted) = (seen.clone(), Arc::clone(&count));
    let address = pods::listen(move |mut stream| {
        let says = says.get(counted.fetch_add(1, Relaxed)).cloned();
        let seen = into.clone();
        async move {
            let Some(says) = says else {
                return pods::two(stream, seen).await;
            };
            let settings = frame(4, 0, 0, b"");
            drop(stream.write_all(&settings).await);
            // Preface, settings, and a window are 60 bytes and something; a request comes after them.
            let (mut all, mut piece) = (Vec::new(), [0; 4096]);
            while !has_headers(&all) {
                match stream.read(&mut piece).await {
                    Ok(length @ 1..) => all.extend_from_slice(&piece[..length]),
                    _ => return,
                }
            }
            drop(stream.write_all(&says).await);
            // The connection stays, and what it says must be enough.
            while let Ok(1..) = stream.read(&mut piece).await {}
        }
    })
    .await;
    (address, seen, count)
}

/// Whether a frame of headers is among these, after the preface.
fn has_headers(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(24..).unwrap_or_default();
    while let Some([a, b, c, kind, ..]) = rest.get(..9) {
        if *kind == 1 {
            return true;
        }
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        rest = rest.get(9 + length..).unwrap_or_default();
    }
    false
}

/// A pod of HTTP/2 that refuses its first streams, so many, and then answers.
async fn refusing(most: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let address = pods::listen(move |stream| {
        let count = Arc::clone(&counted);
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                if count.fetch_add(1, Relaxed) < most {
                    respond.send_reset(h2::Reason::REFUSED_STREAM);
                } else {
                    drop(respond.send_response(hyper::Response::new(()), true));
                }
            }
        }
    })
    .await;
    (address, count)
}

/// GOAWAY without a fault; streams up to `last` were processed.
fn leaving(last: u8) -> Vec<u8> {
    frame(7, 0, 0, &[0, 0, 0, last, 0, 0, 0, 0])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_pod_of_http2_has_not_looked_at_is_sent_again() {
    for method in ["GET", "POST"] {
        let (leaves, seen, connections) = fickle(vec![leaving(0), leaving(0)]).await;
        let (refuses, streams) = refusing(2).await;
        let gateway = Gateway::start(&[
            Service::with("app.test", &[leaves], "protocol: h2c"),
            Service::with("refusing.test", &[refuses], "protocol: h2c"),
        ]);
        let answer = ask(gateway.address, method).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{method}: {answer}");
        assert_eq!(seen.all(), [format!("{method} /")]);
        assert_eq!(connections.load(Relaxed), 3);
        let answer = ask_for("refusing.test", gateway.address, method).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{method}: {answer}");
        assert_eq!(streams.load(Relaxed), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_pod_of_http2_may_have_looked_at_is_not_sent_again() {
    // INTERNAL_ERROR of the stream; an end that says the stream was looked at, and then nothing; an end without a word.
    let broken = frame(3, 0, 1, &2_u32.to_be_bytes());
    for says in [broken, leaving(1)] {
        let (pod, seen, count) = fickle(vec![says]).await;
        let gateway = Gateway::start(&[Service::with("app.test", &[pod], "protocol: h2c, timeout_seconds: 1")]);
        let answer = ask(gateway.address, "GET").await;
        assert!(answer.starts_with("HTTP/1.1 50"), "{answer}");
        assert_eq!((seen.all().len(), count.load(Relaxed)), (0, 1), "{answer}");
    }
}
