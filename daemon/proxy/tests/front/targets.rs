// SPDX-License-Identifier: Apache-2.0
//! Targets as a pod of HTTP/2 gets them: what may stand in no URI is escaped.

use crate::rig::{HOST, Rig};
use crate::two::{all, raw};
use proxy::{Front, PodProtocol};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Everything that the gateway says to these bytes, to the end of the connection.
pub(crate) async fn told(gateway: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut got = Vec::new();
    let end = timeout(Duration::from_secs(20), stream.read_to_end(&mut got)).await;
    end.unwrap().unwrap();
    String::from_utf8(got).unwrap()
}

/// The whole answer to a GET by HTTP/1.1.
pub(crate) async fn ask(gateway: SocketAddr, target: &[u8]) -> String {
    let rest = format!(" HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    told(gateway, &[b"GET ", target, rest.as_bytes()].concat()).await
}

#[tokio::test]
async fn a_query_reaches_a_pod_of_http_2_whatever_stands_in_it() {
    let rig = Rig::speaking(PodProtocol::H2c).await;
    let gateway = rig.listen(Front::default()).await;
    for (asked, seen) in [
        (&b"/?q={\"a\":1}"[..], "/?q={%22a%22:1}"),
        (b"/?a=<b>", "/?a=%3Cb%3E"),
        (b"/?a=\xc3\xa9&b=\xff", "/?a=%C3%A9&b=%FF"),
        (b"/?a#b", "/?a%23b"),
        (b"/\xc3\xa9\"#?a=%22%zz|^`", "/%C3%A9%22%23?a=%22%zz|^`"),
    ] {
        let got = ask(gateway, asked).await;
        let line = format!("HTTP/2.0 GET http://{HOST}{seen}\n");
        assert!(got.starts_with("HTTP/1.1 200 ") && got.contains(&line), "{got}");
    }
    let mut sender = raw(gateway, &rig).await;
    let uri = http::Uri::builder().scheme("http").authority(HOST);
    let uri = uri.path_and_query("/?a=\u{e9}").build().unwrap();
    let asked = http::Request::get(uri).body(()).unwrap();
    let (answer, _) = sender.send_request(asked, true).unwrap();
    let (got, _) = all(answer.await.unwrap().into_body()).await.unwrap();
    let line = format!("HTTP/2.0 GET http://{HOST}/?a=%C3%A9\n");
    let got = String::from_utf8(got).unwrap();
    assert!(got.starts_with(&line), "{got}");
    rig.tasks.stop().await;
}

#[tokio::test]
async fn a_target_that_is_too_long_for_a_pod_of_http_2_is_a_414() {
    let rig = Rig::with_pod(PodProtocol::H2c, |stream| async move {
        let mut server = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, mut respond))) = server.accept().await {
            let length = request.uri().path_and_query().unwrap().as_str().len();
            let answer = http::Response::builder().header("x-length", length).body(()).unwrap();
            respond.send_response(answer, true).unwrap();
        }
    })
    .await;
    let gateway = rig.listen(Front::default()).await;
    for (piece, most) in [("a", 65_532), ("<", 65_532 / 3)] {
        let target = |count| format!("/?{}", piece.repeat(count));
        let got = ask(gateway, target(most).as_bytes()).await;
        assert!(
            got.starts_with("HTTP/1.1 200 ") && got.contains("X-Length: 65534\r\n"),
            "{got:.200}"
        );
        let got = ask(gateway, target(most + 1).as_bytes()).await;
        let told = "request target above 65534 bytes";
        assert!(got.starts_with("HTTP/1.1 414 ") && got.contains(told), "{got:.200}");
    }
    rig.tasks.stop().await;
}
