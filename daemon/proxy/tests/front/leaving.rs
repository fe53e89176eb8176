// SPDX-License-Identifier: Apache-2.0
//! Clients that leave: what was held for them is free again.

use crate::rig::{HOST, Rig, certificate, client, connect};
use proxy::{Front, PodProtocol, Revision};
use rustls::version::TLS13;
use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

/// Returns when this holds of the revision.
async fn until(revision: &Revision, what: &str, is_so: impl Fn(logic::limiter::Counts) -> bool) {
    let so = async {
        while !is_so(revision.counts()) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = timeout(Duration::from_secs(8), so).await;
    assert!(waited.is_ok(), "{what}: {:?}", revision.counts());
}

#[tokio::test]
async fn who_leaves_behind_more_than_is_read_ahead_gives_up_its_place() {
    let rig = Rig::without_pods();
    let (mine, believed) = certificate(&[HOST]);
    rig.certificates.replace(vec![mine]);
    let (plain, secured) = (rig.listen(Front::default()).await, rig.listen(rig.https()).await);
    let body = "x".repeat(100_000);
    let request = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100000\r\n\r\n{body}");
    let mut leaving = TcpStream::connect(plain).await.unwrap();
    leaving.write_all(request.as_bytes()).await.unwrap();
    until(&rig.revision, "it waits", |counts| counts.waiting == 1).await;
    drop(leaving);
    until(&rig.revision, "it has left", |counts| counts.waiting == 0).await;
    let config = client(&[believed], &["http/1.1"], &[&TLS13]);
    let mut leaving = connect(secured, &config, HOST).await.unwrap();
    leaving.write_all(request.as_bytes()).await.unwrap();
    leaving.flush().await.unwrap();
    until(&rig.revision, "it waits, too", |counts| counts.waiting == 1).await;
    drop(leaving);
    until(&rig.revision, "it has left, too", |counts| counts.waiting == 0).await;
    rig.tasks.stop().await;
}

/// An address that nobody answers at: its queue is full.
async fn silent() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        queued.push(stream.unwrap());
    }
    (address, listener, queued)
}

/// A client with a request open, which it gives up when this is dropped.
async fn ask(gateway: SocketAddr, rig: &Rig, is_two: bool) -> Box<dyn std::any::Any> {
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    if !is_two {
        let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        return Box::new(stream);
    }
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    rig.tasks.spawn("client", async move { drop(connection.await) });
    let request = http::Request::get(format!("http://{HOST}/")).body(()).unwrap();
    let (answer, _) = sender.ready().await.unwrap().send_request(request, true).unwrap();
    Box::new(answer)
}

#[tokio::test]
async fn who_leaves_while_its_pod_is_dialled_frees_its_slot() {
    for protocol in [PodProtocol::Http1, PodProtocol::H2c] {
        for is_two in [false, true] {
            let rig = Rig::without_pods_speaking(protocol);
            let (address, _listener, _queued) = silent().await;
            rig.revision.set_pods(&[(address, true)]);
            let gateway = rig.listen(Front::default()).await;
            let leaving = ask(gateway, &rig, is_two).await;
            until(&rig.revision, "it is dialled for", |counts| counts.running == 1).await;
            drop(leaving);
            let what = format!("{protocol:?}, by HTTP/2: {is_two}: it has left");
            until(&rig.revision, &what, |counts| counts.running == 0).await;
            rig.tasks.stop().await;
        }
    }
}

/// Answers with the head of an answer whose type is not said, and then says nothing.
async fn headed(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        .await
        .unwrap();
    pending().await
}

/// The same in HTTP/2.
async fn headed_two(stream: TcpStream) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let Some(Ok((_, mut respond))) = connection.accept().await else {
        return;
    };
    let answer = http::Response::builder().header("content-length", "5").body(());
    let _open = respond.send_response(answer.unwrap(), false).unwrap();
    drop(poll_fn(|context| connection.poll_closed(context)).await);
}

#[tokio::test]
async fn who_leaves_before_the_first_byte_of_a_body_frees_its_slot() {
    for protocol in [PodProtocol::Http1, PodProtocol::H2c] {
        for is_two in [false, true] {
            let rig = match protocol {
                PodProtocol::H2c => Rig::with_pod(protocol, headed_two).await,
                _ => Rig::with_pod(protocol, headed).await,
            };
            let gateway = rig.listen(Front::default()).await;
            let leaving = ask(gateway, &rig, is_two).await;
            until(&rig.revision, "it runs", |counts| counts.running == 1).await;
            // Until the pod's head has come.
            sleep(Duration::from_millis(300)).await;
            drop(leaving);
            let what = format!("{protocol:?}, by HTTP/2: {is_two}: it has left");
            until(&rig.revision, &what, |counts| counts.running == 0).await;
            rig.tasks.stop().await;
        }
    }
}

/// Agrees to HTTP/2, and takes no more of a body than the protocol's first window.
async fn deaf_two(stream: TcpStream) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let _request = connection.accept().await;
    drop(poll_fn(|context| connection.poll_closed(context)).await);
}

/// Reads nothing.
async fn deaf(stream: TcpStream) {
    pending::<()>().await;
    drop(stream);
}

/// Writes until the way is full.
async fn fill<S: AsyncWrite + Unpin>(to: &mut S) {
    let piece = vec![b'x'; 64 << 10];
    while let Ok(written) = timeout(Duration::from_millis(500), to.write(&piece)).await {
        written.unwrap();
    }
}

#[tokio::test]
async fn who_leaves_while_its_body_is_stuck_frees_its_slot() {
    for (protocol, is_tls) in [
        (PodProtocol::Http1, false),
        (PodProtocol::Http1, true),
        (PodProtocol::H2c, false),
        (PodProtocol::H2c, true),
    ] {
        let rig = match protocol {
            PodProtocol::H2c => Rig::with_pod(protocol, deaf_two).await,
            _ => Rig::with_pod(protocol, deaf).await,
        };
        let (mine, believed) = certificate(&[HOST]);
        rig.certificates.replace(vec![mine]);
        let request = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000000000\r\n\r\n");
        let leaving: Box<dyn std::any::Any> = match is_tls {
            true => {
                let config = client(&[believed], &["http/1.1"], &[&TLS13]);
                let gateway = rig.listen(rig.https()).await;
                let mut stream = connect(gateway, &config, HOST).await.unwrap();
                stream.write_all(request.as_bytes()).await.unwrap();
                fill(&mut stream).await;
                // Its end would come behind what nobody reads; a reset does not.
                stream.get_ref().0.set_zero_linger().unwrap();
                Box::new(stream)
            }
            false => {
                let gateway = rig.listen(Front::default()).await;
                let mut stream = TcpStream::connect(gateway).await.unwrap();
                stream.write_all(request.as_bytes()).await.unwrap();
                fill(&mut stream).await;
                stream.set_zero_linger().unwrap();
                Box::new(stream)
            }
        };
        until(&rig.revision, "it runs", |counts| counts.running == 1).await;
        drop(leaving);
        let what = format!("{protocol:?}, by TLS: {is_tls}: it has left");
        until(&rig.revision, &what, |counts| counts.running == 0).await;
        rig.tasks.stop().await;
    }
}

#[tokio::test]
async fn an_end_behind_what_is_stuck_is_seen_if_the_socket_took_it() {
    let rig = Rig::with_pod(PodProtocol::H2c, deaf_two).await;
    let gateway = rig.listen(Front::default()).await;
    // The pod's window takes 65535 bytes.
    let body = "x".repeat(120_000);
    let request = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000000000\r\n\r\n{body}");
    let mut leaving = TcpStream::connect(gateway).await.unwrap();
    leaving.write_all(request.as_bytes()).await.unwrap();
    until(&rig.revision, "it runs", |counts| counts.running == 1).await;
    drop(leaving);
    until(&rig.revision, "it has left", |counts| counts.running == 0).await;
    rig.tasks.stop().await;
}
