// SPDX-License-Identifier: Apache-2.0
//! Answers that last until their connection ends, as a client of HTTP/1.0 gets one without a length: what broke off must not
//! look whole (RFC 9112 8).

use crate::rig::{HOST, Rig, certificate, client, connect};
use bytes::Bytes;
use proxy::{Front, PodProtocol};
use rustls::version::TLS13;
use std::future::pending;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Says hello, and ends as its path says.
async fn pod(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let answer: &[u8] = match head.get(..7) {
        Some(b"GET /wh") => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Some(b"GET /un" | b"GET /re") => b"HTTP/1.1 200 OK\r\n\r\nhello",
        _ => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    };
    stream.write_all(answer).await.unwrap();
    match head.get(..7) {
        Some(b"GET /re") => stream.set_zero_linger().unwrap(),
        Some(b"GET /st") => pending().await,
        _ => {}
    }
}

/// The same in HTTP/2.
async fn pod_two(stream: TcpStream) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut stuck = Vec::new();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let mut out = respond.send_response(http::Response::new(()), false).unwrap();
        let path = request.uri().path();
        let is_whole = matches!(path, "/whole" | "/until-close");
        out.send_data(Bytes::from_static(b"hello"), is_whole).unwrap();
        match path {
            "/stuck" => stuck.push(out),
            // Its end is a reset of the stream, too.
            _ => drop(out),
        }
    }
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A gateway, and a client of it that has asked for this.
async fn asked(protocol: PodProtocol, is_tls: bool, path: &str) -> (Rig, Box<dyn Io>) {
    let rig = match protocol {
        PodProtocol::H2c => Rig::with_pod(protocol, pod_two).await,
        _ => Rig::with_pod(protocol, pod).await,
    };
    let (mine, believed) = certificate(&[HOST]);
    rig.certificates.replace(vec![mine]);
    let mut stream: Box<dyn Io> = match is_tls {
        true => {
            let config = client(&[believed], &["http/1.1"], &[&TLS13]);
            let gateway = rig.listen(rig.https()).await;
            Box::new(connect(gateway, &config, HOST).await.unwrap())
        }
        false => Box::new(TcpStream::connect(rig.listen(Front::default()).await).await.unwrap()),
    };
    let request = format!("GET {path} HTTP/1.0\r\nHost: {HOST}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    (rig, stream)
}

const WAYS: [(PodProtocol, bool); 4] = [
    (PodProtocol::Http1, false),
    (PodProtocol::Http1, true),
    (PodProtocol::H2c, false),
    (PodProtocol::H2c, true),
];

/// All that comes, until an end.
async fn rest(stream: &mut Box<dyn Io>) -> io::Result<String> {
    let mut got = String::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_string(&mut got)).await;
    read.unwrap().map(|_| got)
}

#[tokio::test]
async fn what_breaks_off_ends_in_an_error_and_what_is_whole_does_not() {
    for (protocol, is_tls) in WAYS {
        for path in ["/whole", "/until-close", "/broken", "/reset"] {
            let (rig, mut stream) = asked(protocol, is_tls, path).await;
            let got = rest(&mut stream).await;
            let is_whole = matches!(path, "/whole" | "/until-close");
            assert_eq!(got.is_ok(), is_whole, "{protocol:?}, by TLS: {is_tls}, {path}: {got:?}");
            if let Ok(got) = got {
                assert!(
                    got.starts_with("HTTP/1.0 200 OK\r\n") && got.ends_with("\r\n\r\nhello"),
                    "{got}"
                );
                assert!(!got.contains("Content-Length"), "{got}");
            }
            rig.tasks.stop().await;
        }
    }
}

#[tokio::test]
async fn who_is_still_answered_when_the_process_ends_sees_an_error() {
    for (protocol, is_tls) in WAYS {
        let (rig, mut stream) = asked(protocol, is_tls, "/stuck").await;
        let mut got = Vec::new();
        while !got.ends_with(b"hello") {
            assert!(stream.read_buf(&mut got).await.unwrap() > 0);
        }
        rig.tasks.stop().await;
        let got = rest(&mut stream).await;
        assert!(got.is_err(), "{protocol:?}, by TLS: {is_tls}: {got:?}");
    }
}
