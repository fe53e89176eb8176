// SPDX-License-Identifier: Apache-2.0
//! WebSocket, message by message.
//!
//! Source: RFC 6455.
//! Invariants: a message is bounded; a client that goes away is no news.
//! Depends on: tungstenite.

use futures::{SinkExt as _, StreamExt as _};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE},
};
use hyper_util::rt::TokioIo;
use life::Tasks;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

use super::body::Answer;

const LARGEST_MESSAGE: usize = 1 << 20;

/// Whether a request asks for WebSocket.
pub(crate) fn is_asked(request: &Request<Incoming>) -> bool {
    let upgrade = request.headers().get(UPGRADE);
    upgrade.is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Agrees, and echoes on a task of its own.
pub(crate) fn accept(mut request: Request<Incoming>, tasks: &Tasks) -> Response<Answer> {
    let mut response = Response::new(Answer::Text(None));
    let key = request
        .headers()
        .get(SEC_WEBSOCKET_KEY)
        .map(|key| derive_accept_key(key.as_bytes()));
    let Some(key) = key.and_then(|key| HeaderValue::try_from(key).ok()) else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    let upgraded = hyper::upgrade::on(&mut request);
    let draining = tasks.clone();
    tasks.spawn("websocket", async move {
        let Ok(stream) = upgraded.await else { return };
        let config = WebSocketConfig::default().max_message_size(Some(LARGEST_MESSAGE));
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, Some(config)).await;
        loop {
            let message = tokio::select! {
                message = socket.next() => message,
                () = draining.draining() => {
                    let _ = socket.close(None).await;
                    return;
                }
            };
            match message {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    if socket.send(message).await.is_err() {
                        return;
                    }
                }
                // Pings and the end are answered while the next message is awaited.
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            }
        }
    });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, key);
    response
}
