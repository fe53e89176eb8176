// SPDX-License-Identifier: Apache-2.0
//! HTTP/2 on either side: what is translated, what goes through, what breaks.

use crate::rig::{HOST, Rig, ask, certificate, client, connect, get, said, two};
use crate::unread;
use bytes::Bytes;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http_body_util::Full;
use hyper::HeaderMap;
use proxy::{Front, PodProtocol};
use rustls::version::TLS13;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// Reads a head, answers with these bytes, and hangs up.
async fn canned(mut stream: TcpStream, answer: &'static [u8]) {
    said_to(&mut stream, answer).await;
}

/// Reads a head, which is returned, and answers with these bytes.
pub(crate) async fn said_to(stream: &mut TcpStream, answer: &[u8]) -> String {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap() == 0 {
            return String::new();
        }
    }
    stream.write_all(answer).await.unwrap();
    String::from_utf8(head).unwrap()
}

/// A client of h2 itself.
pub(crate) async fn raw(gateway: SocketAddr, rig: &Rig) -> h2::client::SendRequest<Bytes> {
    let stream = TcpStream::connect(gateway).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    rig.tasks.spawn("client", async move { drop(connection.await) });
    sender.ready().await.unwrap()
}

pub(crate) fn request(method: &str, path: &str) -> http::Request<()> {
    let uri = format!("http://{HOST}{path}");
    http::Request::builder().method(method).uri(uri).body(()).unwrap()
}

/// The rest of a body, its window given back, and the trailers.
pub(crate) async fn all(mut body: RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut got = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        got.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len())?;
    }
    Ok((got, body.trailers().await?))
}

/// Sends what the window allows, until all is sent.
async fn send(to: &mut SendStream<Bytes>, mut data: Bytes) {
    while !data.is_empty() {
        to.reserve_capacity(data.len());
        let room = poll_fn(|context| to.poll_capacity(context)).await.unwrap().unwrap();
        to.send_data(data.split_to(room.min(data.len())), false).unwrap();
    }
}

#[tokio::test]
async fn each_client_reaches_each_pod_in_the_pods_protocol() {
    for (protocol, spoken) in [
        (PodProtocol::Http1, ["HTTP/1.1", "HTTP/1.1"]),
        (PodProtocol::H2c, ["HTTP/2.0", "HTTP/2.0"]),
        (PodProtocol::AsClient, ["HTTP/1.1", "HTTP/2.0"]),
    ] {
        let rig = Rig::speaking(protocol).await;
        let gateway = rig.listen(Front::default()).await;
        let mut sender = two(TcpStream::connect(gateway).await.unwrap(), &rig.tasks).await;
        for method in ["GET", "POST", "HEAD", "DELETE"] {
            let body = if method == "POST" { "said" } else { "" };
            let asked = |uri: &str| {
                let request = hyper::Request::builder().method(method).uri(uri).header("x-a", "1");
                request.body(Full::from(body))
            };
            let mut one = asked("/a?b").unwrap();
            one.headers_mut().insert("host", HOST.parse().unwrap());
            let by_one = ask(gateway, one).await;
            let by_two = said(sender.send_request(asked("http://app.example.com/a?b").unwrap()).await).await;
            for (answer, spoken) in [by_one, by_two].iter().zip(spoken) {
                assert_eq!(answer.status, 200, "{answer:?}");
                assert!(answer.headers["content-length"].to_str().unwrap() > "0", "{answer:?}");
                if method == "HEAD" {
                    assert_eq!(answer.body, "");
                    continue;
                }
                assert!(answer.body.starts_with(&format!("{spoken} {method} ")), "{answer:?}");
                let lines = ["x-a: 1\n", "x-forwarded-for: 127.0.0.1\n"];
                assert!(lines.iter().all(|line| answer.body.contains(line)), "{answer:?}");
                assert!(answer.body.ends_with(&format!("\n{body}")), "{answer:?}");
            }
        }
        rig.tasks.stop().await;
    }
}

#[tokio::test]
async fn bodies_of_megabytes_pass_both_ways_at_once() {
    // Every byte comes back as it goes in.
    let echo = |mut stream: TcpStream| async move {
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            stream.read_buf(&mut head).await.unwrap();
        }
        let end = head.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        stream.write_all(&head[end..]).await.unwrap();
        let (mut from, mut to) = stream.split();
        drop(tokio::io::copy(&mut from, &mut to).await);
    };
    let rig = Rig::with_pod(PodProtocol::Http1, echo).await;
    let gateway = rig.listen(Front::default()).await;
    let mut sender = raw(gateway, &rig).await;
    let (answer, mut to) = sender.send_request(request("POST", "/"), false).unwrap();
    let sent: Vec<u8> = (0..6_000_000_u32).map(|number| (number % 251) as u8).collect();
    let copy = Bytes::from(sent.clone());
    rig.tasks.spawn("upload", async move {
        send(&mut to, copy).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        to.send_trailers(trailers).unwrap();
    });
    let (got, trailers) = all(answer.await.unwrap().into_body()).await.unwrap();
    assert!(got == sent);
    assert_eq!(trailers.unwrap()["x-sum"], "1");
    rig.tasks.stop().await;
}

#[tokio::test]
async fn informational_heads_and_trailers_reach_a_client_of_http_2() {
    const ANSWER: &[u8] =
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
        Trailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n";
    let of_one = Rig::with_pod(PodProtocol::Http1, |stream| canned(stream, ANSWER)).await;
    let of_two = Rig::with_pod(PodProtocol::H2c, |stream| async move {
        let mut server = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = server.accept().await {
            let hints = http::Response::builder().status(103).header("link", "</a>").body(());
            respond.send_informational(hints.unwrap()).unwrap();
            let mut body = respond.send_response(http::Response::new(()), false).unwrap();
            body.send_data(Bytes::from_static(b"ok"), false).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", "7".parse().unwrap());
            body.send_trailers(trailers).unwrap();
        }
    })
    .await;
    for rig in [of_one, of_two] {
        let gateway = rig.listen(Front::default()).await;
        let mut sender = raw(gateway, &rig).await;
        let (mut answer, _) = sender.send_request(request("GET", "/"), true).unwrap();
        let hints = poll_fn(|context| answer.poll_informational(context))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (hints.status().as_u16(), hints.headers()["link"].as_bytes()),
            (103, &b"</a>"[..])
        );
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        let (body, trailers) = all(answer.into_body()).await.unwrap();
        assert_eq!(
            (body.as_slice(), &trailers.unwrap()["x-sum"]),
            (&b"ok"[..], &"7".parse().unwrap())
        );
        rig.tasks.stop().await;
    }
}

#[tokio::test]
async fn a_client_of_http_1_hears_hints_and_trailers_of_a_pod_of_http_2() {
    let rig = Rig::with_pod(PodProtocol::H2c, |stream| async move {
        let mut server = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, mut respond))) = server.accept().await {
            assert_eq!(request.headers().get("content-length"), None);
            respond
                .send_informational(http::Response::builder().status(103).body(()).unwrap())
                .unwrap();
            let mut body = respond.send_response(http::Response::new(()), false).unwrap();
            body.send_data(Bytes::from_static(b"ok"), false).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", "7".parse().unwrap());
            body.send_trailers(trailers).unwrap();
        }
    })
    .await;
    let gateway = rig.listen(Front::default()).await;
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    for _ in 0..2 {
        let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        while !got.ends_with(b"0\r\nX-Sum: 7\r\n\r\n") {
            assert!(
                stream.read_buf(&mut got).await.unwrap() > 0,
                "{}",
                String::from_utf8_lossy(&got)
            );
        }
        let got = String::from_utf8(got).unwrap();
        assert!(
            got.starts_with("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n"),
            "{got}"
        );
        assert!(got.contains("\r\n\r\n2\r\nok\r\n0\r\n"), "{got}");
    }
    rig.tasks.stop().await;
}

#[tokio::test]
async fn a_pod_of_http_2_that_switches_protocols_is_a_502() {
    let rig = Rig::with_pod(PodProtocol::H2c, |stream| async move {
        let mut server = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = server.accept().await {
            let switches = http::Response::builder().status(101).body(()).unwrap();
            respond.send_informational(switches).unwrap();
            // Who is told no more may have gone.
            drop(respond.send_response(http::Response::new(()), true));
        }
    })
    .await;
    let gateway = rig.listen(Front::default()).await;
    let mut sender = raw(gateway, &rig).await;
    let (mut answer, _) = sender.send_request(request("GET", "/"), true).unwrap();
    let told = poll_fn(|context| answer.poll_informational(context)).await;
    assert!(told.is_none(), "{told:?}");
    assert_eq!(answer.await.unwrap().status(), 502);
    let answer = ask(gateway, get("/")).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    rig.tasks.stop().await;
}

/// Trailers with what is not for them.
fn odd_trailers() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    for name in ["content-length", "host", "trailer", "x-sum"] {
        trailers.insert(name, "7".parse().unwrap());
    }
    trailers
}

#[tokio::test]
async fn framing_and_routing_do_not_pass_as_trailers() {
    let of_one = |stream: TcpStream| {
        canned(
            stream,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Length: 7\r\nHost: 7\r\n\
            Trailer: 7\r\nConnection: close\r\nKeep-Alive: 7\r\nX-Sum: 7\r\n\r\n",
        )
    };
    let of_two = |stream: TcpStream| async move {
        let mut server = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = server.accept().await {
            let mut body = respond.send_response(http::Response::new(()), false).unwrap();
            body.send_data(Bytes::from_static(b"ok"), false).unwrap();
            body.send_trailers(odd_trailers()).unwrap();
        }
    };
    for rig in [
        Rig::with_pod(PodProtocol::Http1, of_one).await,
        Rig::with_pod(PodProtocol::H2c, of_two).await,
    ] {
        let gateway = rig.listen(Front::default()).await;
        let mut sender = raw(gateway, &rig).await;
        let (answer, _) = sender.send_request(request("GET", "/"), true).unwrap();
        let (_, trailers) = all(answer.await.unwrap().into_body()).await.unwrap();
        assert_eq!(trailers.unwrap().keys().collect::<Vec<_>>(), ["x-sum"]);
        let mut stream = TcpStream::connect(gateway).await.unwrap();
        let head = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        let got = String::from_utf8(got).unwrap();
        assert!(got.ends_with("\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n"), "{got}");
        rig.tasks.stop().await;
    }
}

#[tokio::test]
async fn nor_as_trailers_of_a_request() {
    let (said, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let rig = Rig::with_pod(PodProtocol::Http1, move |mut stream: TcpStream| {
        let said = said.clone();
        async move {
            let mut got = Vec::new();
            while !got.ends_with(b"X-Sum: 7\r\n\r\n") {
                assert!(stream.read_buf(&mut got).await.unwrap() > 0);
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            said.send(String::from_utf8(got).unwrap()).unwrap();
        }
    })
    .await;
    let mut sender = raw(rig.listen(Front::default()).await, &rig).await;
    let (answer, mut to) = sender.send_request(request("POST", "/"), false).unwrap();
    to.send_data(Bytes::from_static(b"ok"), false).unwrap();
    to.send_trailers(odd_trailers()).unwrap();
    assert_eq!(answer.await.unwrap().status(), 204);
    let got = hears.recv().await.unwrap();
    assert!(got.ends_with("\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n"), "{got}");
    rig.tasks.stop().await;
}

#[tokio::test]
async fn who_waits_to_send_a_body_is_told_to_go_on() {
    for protocol in [PodProtocol::Http1, PodProtocol::H2c] {
        let rig = Rig::speaking(protocol).await;
        let gateway = rig.listen(Front::default()).await;
        let mut sender = raw(gateway, &rig).await;
        let mut asked = request("POST", "/");
        asked.headers_mut().insert("expect", "100-continue".parse().unwrap());
        let (mut answer, mut body) = sender.send_request(asked, false).unwrap();
        let told = poll_fn(|context| answer.poll_informational(context))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(told.status(), 100);
        body.send_data(Bytes::from_static(b"said"), true).unwrap();
        let (got, _) = all(answer.await.unwrap().into_body()).await.unwrap();
        let got = String::from_utf8(got).unwrap();
        assert!(got.ends_with("\nsaid") && !got.contains("expect"), "{got}");
        // The same by HTTP/1.1.
        let mut stream = TcpStream::connect(gateway).await.unwrap();
        let head = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut told = [0; 25];
        stream.read_exact(&mut told).await.unwrap();
        assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"said").await.unwrap();
        let mut got = Vec::new();
        while !got.ends_with(b"\nsaid") {
            assert!(stream.read_buf(&mut got).await.unwrap() > 0);
        }
        rig.tasks.stop().await;
    }
}

#[tokio::test]
async fn a_client_may_end_its_body_after_an_answer_that_did_not_wait_for_it() {
    let rig = Rig::with_pod(PodProtocol::Http1, |stream| {
        canned(
            stream,
            b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge",
        )
    })
    .await;
    let gateway = rig.listen(Front::default()).await;
    let mut sender = raw(gateway, &rig).await;
    let (answer, mut to) = sender.send_request(request("POST", "/"), false).unwrap();
    to.send_data(Bytes::from_static(b"some"), false).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 413);
    assert_eq!(all(answer.into_body()).await.unwrap().0, b"large");
    // A reset that came with the answer would be here before another one.
    let (other, _) = sender.send_request(request("GET", "/"), true).unwrap();
    assert_eq!(other.await.unwrap().status(), 413);
    let reset = poll_fn(|context| Poll::Ready(to.poll_reset(context))).await;
    assert!(reset.is_pending(), "{reset:?}");
    to.send_data(Bytes::from_static(b"the rest"), true).unwrap();
    // Who goes on is told to stop.
    let (answer, mut to) = sender.send_request(request("POST", "/"), false).unwrap();
    assert_eq!(answer.await.unwrap().status(), 413);
    let reset = poll_fn(|context| to.poll_reset(context)).await.unwrap();
    assert_eq!(reset, h2::Reason::NO_ERROR);
    rig.tasks.stop().await;
}

/// Says hello in a WebSocket's stead, then echoes.
async fn websocket(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_buf(&mut head).await.unwrap();
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("GET /chat?a HTTP/1.1\r\n"), "{head}");
    let lines = [
        "Connection: Upgrade\r\n",
        "Upgrade: websocket\r\n",
        "Sec-Websocket-Version: 13\r\n",
        "Sec-Websocket-Key: ",
    ];
    assert!(lines.iter().all(|line| head.contains(line)), "{head}");
    let answer =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\
        Sec-WebSocket-Protocol: chat\r\n\r\nhello";
    stream.write_all(answer).await.unwrap();
    let (mut from, mut to) = stream.split();
    tokio::io::copy(&mut from, &mut to).await.unwrap();
}

fn chat() -> http::Request<()> {
    let mut request = request("CONNECT", "/chat?a");
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    request
        .headers_mut()
        .insert("sec-websocket-version", "13".parse().unwrap());
    request
}

/// A client that has heard that extended CONNECT is known.
async fn extended(gateway: SocketAddr, rig: &Rig) -> h2::client::SendRequest<Bytes> {
    let sender = raw(gateway, rig).await;
    while !sender.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
    }
    sender
}

#[tokio::test]
async fn an_extended_connect_becomes_an_upgrade_of_a_pod_of_http_1() {
    for protocol in [PodProtocol::Http1, PodProtocol::AsClient] {
        let rig = Rig::with_pod(protocol, websocket).await;
        let mut sender = extended(rig.listen(Front::default()).await, &rig).await;
        let (answer, mut to) = sender.send_request(chat(), false).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.headers().get("sec-websocket-accept")),
            (200, None)
        );
        assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
        to.send_data(Bytes::from_static(b", world"), true).unwrap();
        let (got, _) = all(answer.into_body()).await.unwrap();
        assert_eq!(String::from_utf8(got).unwrap(), "hello, world");
        rig.tasks.stop().await;
        assert_eq!(rig.revision.counts(), logic::limiter::Counts::default());
    }
}

#[tokio::test]
async fn a_pod_that_does_not_upgrade_answers_an_extended_connect_its_own_way() {
    let rig = Rig::with_pod(PodProtocol::Http1, |stream| {
        canned(stream, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    })
    .await;
    let mut sender = extended(rig.listen(Front::default()).await, &rig).await;
    let (answer, _to) = sender.send_request(chat(), false).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 403);
    assert_eq!(all(answer.into_body()).await.unwrap().0, b"no");
    rig.tasks.stop().await;
}

#[tokio::test]
async fn a_200_of_a_pod_that_does_not_upgrade_is_no_agreement_to_an_extended_connect() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"[..],
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ] {
        let rig = Rig::with_pod(PodProtocol::Http1, move |stream| canned(stream, answer)).await;
        let mut sender = extended(rig.listen(Front::default()).await, &rig).await;
        let (answer, _to) = sender.send_request(chat(), false).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 502);
        let (body, _) = all(answer.into_body()).await.unwrap();
        assert_eq!(
            String::from_utf8(body).unwrap(),
            "the application did not switch to the protocol \"websocket\"\n"
        );
        rig.tasks.stop().await;
    }
}

#[tokio::test]
async fn an_extended_connect_goes_through_to_a_pod_that_knows_it() {
    for knows in [true, false] {
        let rig = Rig::with_pod(PodProtocol::H2c, move |stream| async move {
            let mut builder = h2::server::Builder::new();
            if knows {
                builder.enable_connect_protocol();
            }
            let mut server = builder.handshake::<_, Bytes>(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = server.accept().await {
                assert_eq!(request.extensions().get::<Protocol>().unwrap().as_str(), "websocket");
                assert_eq!((request.method().as_str(), request.uri().path()), ("CONNECT", "/chat"));
                let mut to = respond.send_response(http::Response::new(()), false).unwrap();
                let mut from = request.into_body();
                // The connection is served by `accept`, so the first data is there or comes with the next turn.
                let data = tokio::select! {
                    data = from.data() => data.unwrap().unwrap(),
                    _ = server.accept() => return,
                };
                to.send_data(data, true).unwrap();
            }
        })
        .await;
        let mut sender = extended(rig.listen(Front::default()).await, &rig).await;
        let (answer, mut to) = sender.send_request(chat(), false).unwrap();
        to.send_data(Bytes::from_static(b"hi"), true).unwrap();
        let answer = answer.await.unwrap();
        match knows {
            true => assert_eq!(all(answer.into_body()).await.unwrap().0, b"hi"),
            false => assert_eq!(answer.status(), 502),
        }
        rig.tasks.stop().await;
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_reset_and_not_ended() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 10\r\n\r\nhalf"[..],
        b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    ] {
        let rig = Rig::with_pod(PodProtocol::Http1, move |stream| canned(stream, answer)).await;
        let mut sender = raw(rig.listen(Front::default()).await, &rig).await;
        let (response, _) = sender.send_request(request("GET", "/"), true).unwrap();
        // A reset may overtake the head.
        let fault = match response.await {
            Ok(response) => all(response.into_body()).await.unwrap_err(),
            Err(fault) => fault,
        };
        assert!(fault.is_reset(), "{fault}");
        rig.tasks.stop().await;
    }
}

#[tokio::test]
async fn a_reset_is_not_the_end_of_a_body_without_a_length() {
    let seen = Arc::new(Notify::new());
    let pods = Arc::clone(&seen);
    let rig = Rig::with_pod(PodProtocol::Http1, move |mut stream| {
        let seen = Arc::clone(&pods);
        async move {
            let answer = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\nhalf";
            said_to(&mut stream, answer).await;
            seen.notified().await;
            stream.set_zero_linger().unwrap();
        }
    })
    .await;
    let gateway = rig.listen(Front::default()).await;
    let mut sender = raw(gateway, &rig).await;
    let (answer, _) = sender.send_request(request("GET", "/"), true).unwrap();
    let mut body = answer.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "half");
    seen.notify_one();
    let fault = body.data().await.unwrap().unwrap_err();
    assert!(fault.is_reset(), "{fault}");
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"4\r\nhalf\r\n") {
        assert!(stream.read_buf(&mut got).await.unwrap() > 0);
    }
    seen.notify_one();
    let mut rest = Vec::new();
    drop(stream.read_to_end(&mut rest).await);
    assert_eq!(rest, b"");
    rig.tasks.stop().await;
}

#[tokio::test]
async fn what_is_no_answer_is_a_502() {
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\nA", b"nonsense\r\n\r\n"] {
        let rig = Rig::with_pod(PodProtocol::Http1, move |stream| canned(stream, answer)).await;
        let mut sender = raw(rig.listen(Front::default()).await, &rig).await;
        let (response, _) = sender.send_request(request("GET", "/"), true).unwrap();
        assert_eq!(response.await.unwrap().status(), 502);
        rig.tasks.stop().await;
    }
}

#[tokio::test]
async fn a_client_that_resets_its_stream_ends_the_pods_request() {
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let rig = Rig::with_pod(PodProtocol::Http1, move |mut stream: TcpStream| {
        let ended = ended.clone();
        async move {
            let mut rest = Vec::new();
            drop(stream.read_to_end(&mut rest).await);
            ended.send(rest.len()).unwrap();
        }
    })
    .await;
    let mut sender = raw(rig.listen(Front::default()).await, &rig).await;
    let (answer, mut to) = sender.send_request(request("POST", "/"), false).unwrap();
    while rig.revision.counts().running == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    to.send_reset(h2::Reason::CANCEL);
    drop(answer);
    assert!(ends.recv().await.is_some());
    rig.tasks.stop().await;
    assert_eq!(rig.revision.counts(), logic::limiter::Counts::default());
}

#[tokio::test]
async fn grpc_goes_through_by_tls() {
    let rig = Rig::with_pod(PodProtocol::H2c, |stream| async move {
        let mut server = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, mut respond))) = server.accept().await {
            assert_eq!(request.headers()["te"], "trailers");
            assert_eq!(request.headers()["content-type"], "application/grpc");
            let answer = http::Response::builder()
                .header("content-type", "application/grpc")
                .body(())
                .unwrap();
            let mut body = respond.send_response(answer, false).unwrap();
            body.send_data(Bytes::from_static(b"\0\0\0\0\x02\x08\x01"), false)
                .unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            body.send_trailers(trailers).unwrap();
        }
    })
    .await;
    let (mine, believed) = certificate(&[HOST]);
    rig.certificates.replace(vec![mine]);
    let gateway = rig.listen(rig.https()).await;
    let config = client(&[believed], &["h2"], &[&TLS13]);
    let stream = connect(gateway, &config, HOST).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    rig.tasks.spawn("client", async move { drop(connection.await) });
    let mut asked = request("POST", "/grpc.health.v1.Health/Check");
    for (name, value) in [("te", "trailers"), ("content-type", "application/grpc")] {
        asked.headers_mut().insert(name, value.parse().unwrap());
    }
    let (answer, mut body) = sender.ready().await.unwrap().send_request(asked, false).unwrap();
    body.send_data(Bytes::from_static(b"\0\0\0\0\0"), true).unwrap();
    let (got, trailers) = all(answer.await.unwrap().into_body()).await.unwrap();
    assert_eq!(got, b"\0\0\0\0\x02\x08\x01");
    assert_eq!(trailers.unwrap()["grpc-status"], "0");
    rig.tasks.stop().await;
}

#[tokio::test]
async fn an_upgrade_to_h2c_is_ignored() {
    let rig = Rig::new().await;
    let gateway = rig.listen(Front::default()).await;
    let mut request = get("/");
    for (name, value) in [
        ("connection", "Upgrade, HTTP2-Settings"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = ask(gateway, request).await;
    assert_eq!(answer.status, 200);
    assert!(
        !answer.body.contains("upgrade") && !answer.body.contains("h2c"),
        "{answer:?}"
    );
    rig.tasks.stop().await;
}

/// A pod of HTTP/2 that says `ok`, and on `/endless` something for ever.
async fn endless(stream: TcpStream, tasks: life::Tasks) {
    let mut server = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = server.accept().await {
        let mut body = respond.send_response(http::Response::new(()), false).unwrap();
        if request.uri().path() != "/endless" {
            body.send_data(Bytes::from_static(b"ok"), true).unwrap();
            continue;
        }
        tasks.spawn("pod's stream", async move {
            loop {
                body.reserve_capacity(65_536);
                let Some(Ok(room)) = poll_fn(|context| body.poll_capacity(context)).await else {
                    return;
                };
                if body.send_data(Bytes::from(vec![b'x'; room]), false).is_err() {
                    return;
                }
            }
        });
    }
}

#[tokio::test]
async fn who_does_not_read_holds_up_nobody_else_on_its_pods_connection() {
    let tasks = life::Tasks::new();
    let inner = tasks.clone();
    let serve = move |stream| endless(stream, inner.clone());
    let rig = Rig::with_pod(PodProtocol::H2c, serve).await;
    let gateway = rig.listen(Front::default()).await;
    let stuck = unread::downloads(gateway).await;
    unread::others_are_answered(gateway, Duration::from_secs(1)).await;
    unread::go_on(stuck).await;
    rig.tasks.stop().await;
    tasks.stop().await;
}
