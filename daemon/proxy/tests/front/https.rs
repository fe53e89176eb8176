// SPDX-License-Identifier: Apache-2.0
//! TLS: who gets which certificate, and what a handshake may cost.

use crate::rig::{HOST, Rig, ask, certificate, client, connect, connect_over, get, one, said, shown, two};
use bytes::Bytes;
use proxy::{Front, Limits, PodProtocol, Room};
use rustls::ClientConfig;
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;

#[tokio::test]
async fn both_protocols_are_served_over_both_versions() {
    let rig = Rig::new().await;
    let (mine, believed) = certificate(&[HOST]);
    assert!(rig.certificates.replace(vec![mine]).is_empty());
    let gateway = rig.listen(rig.https()).await;
    for version in [&TLS12, &TLS13] {
        let config = client(std::slice::from_ref(&believed), &["h2", "http/1.1"], &[version]);
        let stream = connect(gateway, &config, HOST).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut sender = two(stream, &rig.tasks).await;
        let answer = said(sender.send_request(get("https://app.example.com/a?b")).await).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body.contains("x-forwarded-proto: https\n"), "{answer:?}");
        for alpn in [&["http/1.1"][..], &[]] {
            let config = client(std::slice::from_ref(&believed), alpn, &[version]);
            let stream = connect(gateway, &config, HOST).await.unwrap();
            let mut sender = one(stream, &rig.tasks).await;
            for _ in 0..2 {
                let answer = said(sender.send_request(get("/a?b")).await).await;
                assert!(answer.body.starts_with("HTTP/1.1 GET /a?b\n"), "{answer:?}");
            }
        }
    }
    rig.tasks.stop().await;
}

#[tokio::test]
async fn the_name_that_a_client_asks_for_chooses_the_certificate() {
    let rig = Rig::without_pods();
    let (exact, exact_der) = certificate(&[HOST]);
    let (wild, wild_der) = certificate(&["*.example.com"]);
    let (mut any, any_der) = certificate(&["other.test"]);
    assert!(rig.certificates.replace(vec![exact.clone(), wild.clone()]).is_empty());
    let gateway = rig.listen(rig.https()).await;
    let believed = [exact_der.clone(), wild_der.clone(), any_der.clone()];
    let config = client(&believed, &["http/1.1"], &[&TLS13]);
    let presented = async |host| connect(gateway, &config, host).await.map(|stream| shown(&stream));
    assert_eq!(presented(HOST).await.unwrap(), exact_der);
    assert_eq!(presented("b.example.com").await.unwrap(), wild_der);
    assert!(presented("other.test").await.is_err());
    any.names = vec!["*".to_owned()];
    assert!(rig.certificates.replace(vec![exact, wild, any]).is_empty());
    assert_eq!(presented("other.test").await.unwrap(), any_der);
    rig.tasks.stop().await;
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_open_ones_go_on() {
    let rig = Rig::new().await;
    let ((old, old_der), (new, new_der)) = (certificate(&[HOST]), certificate(&[HOST]));
    rig.certificates.replace(vec![old]);
    let gateway = rig.listen(rig.https()).await;
    let config = || client(&[old_der.clone(), new_der.clone()], &["http/1.1"], &[&TLS13]);
    let stream = connect(gateway, &config(), HOST).await.unwrap();
    assert_eq!(shown(&stream), old_der);
    let mut sender = one(stream, &rig.tasks).await;
    assert_eq!(said(sender.send_request(get("/")).await).await.status, 200);
    assert!(rig.certificates.replace(vec![new]).is_empty());
    assert_eq!(said(sender.send_request(get("/")).await).await.status, 200);
    assert_eq!(shown(&connect(gateway, &config(), HOST).await.unwrap()), new_der);
    rig.tasks.stop().await;
}

#[tokio::test]
async fn a_client_that_comes_back_resumes_its_session() {
    let rig = Rig::new().await;
    let (mine, believed) = certificate(&[HOST]);
    rig.certificates.replace(vec![mine]);
    let gateway = rig.listen(rig.https()).await;
    let config = client(&[believed], &["http/1.1"], &[&TLS13]);
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut stream = connect(gateway, &config, HOST).await.unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(expected));
        let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        // An end without its notice would be an error here.
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    rig.tasks.stop().await;
}

#[tokio::test]
async fn who_says_nothing_is_let_go_and_holds_up_nobody() {
    let rig = Rig::new().await;
    let (mine, believed) = certificate(&[HOST]);
    rig.certificates.replace(vec![mine]);
    let limits = Limits {
        handshakes: 1,
        handshake_time: Duration::from_millis(1500),
        ..Limits::default()
    };
    let gateway = rig.listen_within(rig.https(), limits).await;
    let mut silent = Vec::new();
    for beginning in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let mut stream = TcpStream::connect(gateway).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        silent.push(stream);
    }
    let config = client(&[believed], &["http/1.1"], &[&TLS13]);
    let stream = connect(gateway, &config, HOST).await.unwrap();
    let mut sender = one(stream, &rig.tasks).await;
    assert_eq!(said(sender.send_request(get("/")).await).await.status, 200);
    for mut stream in silent {
        let mut rest = Vec::new();
        // Reset or ended: over.
        drop(stream.read_to_end(&mut rest).await);
    }
    rig.tasks.stop().await;
}

#[tokio::test]
async fn who_stops_after_the_first_message_holds_up_nobody() {
    let rig = Rig::new().await;
    let (mine, believed) = certificate(&[HOST]);
    rig.certificates.replace(vec![mine]);
    let limits = Limits {
        handshakes: 1,
        handshake_time: Duration::from_secs(20),
        ..Limits::default()
    };
    let gateway = rig.listen_within(rig.https(), limits).await;
    let config = client(&[believed], &["http/1.1"], &[&TLS13]);
    let mut hello = Vec::new();
    let name = rustls::pki_types::ServerName::try_from(HOST).unwrap();
    let mut stopping = rustls::ClientConnection::new(Arc::clone(&config), name).unwrap();
    stopping.write_tls(&mut hello).unwrap();
    let mut stopped = TcpStream::connect(gateway).await.unwrap();
    stopped.write_all(&hello).await.unwrap();
    // The answer to its first message: now its second is waited for.
    assert!(stopped.read(&mut [0; 1024]).await.unwrap() > 0);
    let shaken = timeout(Duration::from_secs(10), connect(gateway, &config, HOST)).await;
    let mut sender = one(shaken.unwrap().unwrap(), &rig.tasks).await;
    assert_eq!(said(sender.send_request(get("/")).await).await.status, 200);
    drop(stopped);
    rig.tasks.stop().await;
}

/// More than the sockets on the way hold, and no multiple of what is written at once.
const MUCH: usize = (1 << 20) + 40_000;
/// What it is made of; no head has it.
const MARK: u8 = b'~';

/// A pod that sends `MUCH` in the way its path asks for, and then waits for more to do.
async fn generous(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let kind = "Content-Type: a/b\r\n";
    let answer = match head.get(..6) {
        Some(b"GET /l") => format!("HTTP/1.1 200 OK\r\n{kind}Content-Length: {MUCH}\r\n\r\n"),
        Some(b"GET /e") => format!("HTTP/1.1 200 OK\r\n{kind}Transfer-Encoding: chunked\r\n\r\n{MUCH:x}\r\n"),
        _ => "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: much\r\n\r\n".to_owned(),
    };
    drop(stream.write_all(answer.as_bytes()).await);
    drop(stream.write_all(&vec![MARK; MUCH]).await);
    pending().await
}

/// The same in HTTP/2.
async fn generous_two(stream: TcpStream) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let Some(Ok((_, mut respond))) = connection.accept().await else {
        return;
    };
    let answer = http::Response::builder()
        .header("content-type", "a/b")
        .body(())
        .unwrap();
    let mut out = respond.send_response(answer, false).unwrap();
    let mut rest = Bytes::from(vec![MARK; MUCH]);
    let sending = async {
        while !rest.is_empty() {
            out.reserve_capacity(rest.len());
            let room = poll_fn(|context| out.poll_capacity(context)).await.unwrap().unwrap();
            out.send_data(rest.split_to(room.min(rest.len())), false).unwrap();
        }
        pending::<()>().await;
    };
    tokio::select! {
        () = sending => {}
        _ = connection.accept() => {}
    }
}

/// A client with little room for what it is sent.
async fn narrow(gateway: SocketAddr, config: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let stream = socket.connect(gateway).await.unwrap();
    connect_over(stream, config, HOST).await.unwrap()
}

#[tokio::test]
async fn nothing_of_an_answer_stays_behind_when_its_client_is_slow() {
    for (protocol, path) in [
        (PodProtocol::Http1, "/length"),
        (PodProtocol::Http1, "/endless"),
        (PodProtocol::Http1, "/upgrade"),
        (PodProtocol::H2c, "/endless"),
    ] {
        let rig = match protocol {
            PodProtocol::H2c => Rig::with_pod(protocol, generous_two).await,
            _ => Rig::with_pod(protocol, generous).await,
        };
        let (mine, believed) = certificate(&[HOST]);
        rig.certificates.replace(vec![mine]);
        let gateway = rig.listen_narrow(rig.https(), Limits::default());
        let config = client(&[believed], &["http/1.1"], &[&TLS13]);
        let mut stream = narrow(gateway, &config).await;
        let upgrade = match path {
            "/upgrade" => "Connection: Upgrade\r\nUpgrade: much\r\n",
            _ => "",
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{upgrade}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut got = 0;
        let mut piece = vec![0; 16 << 10];
        let reading = async {
            while got < MUCH {
                let length = stream.read(&mut piece).await.unwrap();
                assert!(length > 0, "{path} ends after {got}");
                got += piece.iter().take(length).filter(|byte| **byte == MARK).count();
                // Slower than the pod: what was written last finds the socket full.
                sleep(Duration::from_micros(500)).await;
            }
        };
        let read = timeout(Duration::from_secs(10), reading).await;
        assert!(read.is_ok(), "{protocol:?} {path}: {got} of {MUCH} came");
        drop(stream);
        rig.tasks.stop().await;
    }
}

#[tokio::test]
async fn who_does_not_read_loses_its_place() {
    let rig = Rig::with_pod(PodProtocol::Http1, generous).await;
    let (mine, believed) = certificate(&[HOST]);
    rig.certificates.replace(vec![mine]);
    let limits = Limits {
        connections: 1,
        write_time: Duration::from_secs(1),
        ..Limits::default()
    };
    let room = Room::default();
    let front = Front {
        room: room.clone(),
        ..rig.https()
    };
    let gateway = rig.listen_narrow(front, limits);
    let config = client(&[believed], &["http/1.1"], &[&TLS13]);
    let mut stream = narrow(gateway, &config).await;
    let request = format!("GET /length HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    // There is one place; the next client has it when the first has lost it.
    let next = timeout(Duration::from_secs(10), connect(gateway, &config, HOST)).await;
    assert!(next.expect("the place is free again").is_ok());
    let mut ended = room.refusals().filter(|(_, count)| *count > 0);
    assert_eq!(
        ended.next().map(|(limit, count)| (limit.name(), count)),
        Some(("write_time", 1))
    );
    drop(stream);
    rig.tasks.stop().await;
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_told_so() {
    let rig = Rig::without_pods();
    let gateway = rig.listen(rig.https()).await;
    let answer = ask(gateway, get("/")).await;
    assert_eq!((answer.status, answer.body.as_str()), (400, "this port speaks HTTPS\n"));
    rig.tasks.stop().await;
}

#[tokio::test]
async fn tls_on_a_plain_port_is_refused_without_a_wait() {
    let rig = Rig::without_pods();
    let patient = Limits {
        head_time: Duration::from_secs(1000),
        ..Limits::default()
    };
    let gateway = rig.listen_within(Front::default(), patient).await;
    let (_, believed) = certificate(&[HOST]);
    let config = client(&[believed], &["http/1.1"], &[&TLS13]);
    let shaken = timeout(Duration::from_secs(20), connect(gateway, &config, HOST)).await;
    assert!(shaken.unwrap().is_err());
    rig.tasks.stop().await;
}

#[tokio::test]
async fn draining_ends_idle_connections_with_notice() {
    let rig = Rig::new().await;
    let (mine, believed) = certificate(&[HOST]);
    rig.certificates.replace(vec![mine]);
    let gateway = rig.listen(rig.https()).await;
    let config = client(&[believed], &["http/1.1"], &[&TLS13]);
    let mut stream = connect(gateway, &config, HOST).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut piece = [0; 4096];
    assert!(stream.read(&mut piece).await.unwrap() > 0);
    rig.tasks.drain();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    rig.tasks.stop().await;
}
