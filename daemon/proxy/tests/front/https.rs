// SPDX-License-Identifier: Apache-2.0
//! TLS: who gets which certificate, and what a handshake may cost.

use crate::rig::{HOST, Rig, ask, certificate, client, connect, get, one, said, shown, two};
use proxy::{Front, Limits};
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

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
