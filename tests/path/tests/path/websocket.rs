// SPDX-License-Identifier: Apache-2.0
//! WebSocket by tungstenite on both sides: as an upgrade of HTTP/1.1, and in a stream of HTTP/2 (RFC 8441).
//!
//! Depends on: gateway, pods.

use crate::gateway::{Gateway, Service};
use crate::{connect, pods};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http_body_util::Empty;
use hyper::ext::Protocol;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, coding::CloseCode};

const WAIT: Duration = Duration::from_secs(20);

/// Says what it hears, and why it was closed.
async fn pod() -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let (send, closed) = tokio::sync::mpsc::unbounded_channel();
    let address = pods::listen(move |stream| {
        let send = send.clone();
        async move {
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                if let Message::Close(frame) = &message {
                    send.send(
                        frame
                            .as_ref()
                            .map_or_else(String::new, |frame| frame.reason.to_string()),
                    )
                    .unwrap();
                }
                if message.is_text() || message.is_binary() {
                    socket.send(message).await.unwrap();
                }
            }
        }
    })
    .await;
    (address, closed)
}

async fn next<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) -> Message {
    timeout(WAIT, socket.next())
        .await
        .expect("a message in 20 s")
        .unwrap()
        .unwrap()
}

/// Words, one by one; a large message; a ping; the end, which both sides say.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocketStream<S>) {
    for number in 0..30 {
        let word = Message::text(format!("word {number}"));
        socket.send(word.clone()).await.unwrap();
        assert_eq!(next(&mut socket).await, word);
    }
    let large = Message::binary(vec![7; 5 << 20]);
    socket.send(large.clone()).await.unwrap();
    assert!(next(&mut socket).await == large);
    socket.send(Message::Ping(Bytes::from_static(b"there?"))).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::Pong(Bytes::from_static(b"there?")));
    let frame = CloseFrame {
        code: CloseCode::Normal,
        reason: "all said".into(),
    };
    socket.close(Some(frame)).await.unwrap();
    assert!(matches!(next(&mut socket).await, Message::Close(_)));
    let end = timeout(WAIT, socket.next()).await.expect("the end in 20 s");
    assert!(end.is_none(), "{end:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_pass_both_ways_and_both_sides_see_the_end() {
    let (pod, mut closed) = pod().await;
    let gateway = Gateway::start(&[Service::new("app.test", &[pod])]);
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let (socket, answer) = tokio_tungstenite::client_async("ws://app.test/chat", stream)
        .await
        .unwrap();
    assert_eq!(answer.status(), 101);
    talk(socket).await;
    let reason = timeout(WAIT, closed.recv()).await.expect("a close in 20 s");
    assert_eq!(reason.as_deref(), Some("all said"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_http2_becomes_a_websocket() {
    let (pod, mut closed) = pod().await;
    let gateway = Gateway::start(&[Service::new("app.test", &[pod])]);
    let mut sender = connect::two(gateway.address).await;
    // The server's settings, which allow it, come first.
    let ordinary = hyper::Request::get("http://unknown.test/")
        .body(Empty::<Bytes>::new())
        .unwrap();
    assert_eq!(sender.send_request(ordinary).await.unwrap().status(), 404);
    let request = hyper::Request::connect("http://app.test/chat")
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let answer = timeout(WAIT, sender.send_request(request))
        .await
        .expect("an answer in 20 s")
        .unwrap();
    assert_eq!(answer.status(), 200);
    let io = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
    talk(WebSocketStream::from_raw_socket(io, Role::Client, None).await).await;
    let reason = timeout(WAIT, closed.recv()).await.expect("a close in 20 s");
    assert_eq!(reason.as_deref(), Some("all said"));
}
