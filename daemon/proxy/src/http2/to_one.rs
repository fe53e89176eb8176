// SPDX-License-Identifier: Apache-2.0
//! A stream carried to a pod of HTTP/1.1 and back: what a browser's HTTP/2 becomes, since most applications know only this.
//!
//! Mechanism: `upload` and `download` run side by side in the stream's task. An extended CONNECT becomes an `Upgrade`, the
//! agreement to it a 200, and what follows is bytes both ways (RFC 8441 5).
//! Invariants: memory is one read each way; windows are given back when the pod has taken what filled them; a response that
//! breaks off ends in a reset.
//! Depends on: frames, headers, limits, pod, side, tunnel, wire.

mod answer;
mod tunnel;

use super::side::Two;
use crate::exchange::{Broken, Client as _, Intake, Lane};
use crate::frames;
use crate::limits::Limits;
use crate::message::{BodySize, Request};
use crate::pod::{Look, Stream};
use crate::wire::body::{Part, put};
use crate::wire::parse::Framing;
use crate::wire::write;
use answer::{Answered, Back};
use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::ext::Protocol;
use http::{HeaderName, HeaderValue, header};
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

/// Which a client of extended CONNECT does not send, and a server of HTTP/1.1 needs (RFC 6455 4.1).
const WEBSOCKET_KEY: HeaderName = HeaderName::from_static("sec-websocket-key");

/// Carries one exchange, again on a fresh connection if the first had ended before it could be used.
pub(super) async fn run(client: &mut Two, request: &Request, lane: &Lane<'_>) -> Result<(), Broken> {
    let look = Look::before(request.may_repeat());
    let mut idle = lane.pod.idle(lane.limits, lane.progress.begun, look);
    loop {
        let mut stream = match idle.take() {
            Some(stream) => stream,
            None => client.unless_gone(lane.pod.dial(lane.retries)).await?,
        };
        match exchange(client, request, &mut stream, lane).await {
            Ok(true) => {
                lane.pod.keep(stream, lane.limits);
                return Ok(());
            }
            Ok(false) => return Ok(()),
            Err(Broken::NoAnswer) if lane.may_repeat(request, &stream) => {}
            Err(broken) => return Err(broken),
        }
    }
}

/// Whether the pod's connection may be used again.
async fn exchange(client: &mut Two, request: &Request, stream: &mut Stream, lane: &Lane<'_>) -> Result<bool, Broken> {
    let is_sent = AtomicBool::new(false);
    let mut head = BytesMut::with_capacity(1024);
    let framing = match &client.protocol {
        None => {
            write::request(request, lane.host, &mut head);
            // What follows a CONNECT is the tunnel's, once it stands.
            (!request.is_connect()).then(|| Framing::from(request.body))
        }
        Some(protocol) => {
            write::request(&upgrading(request, protocol), lane.host, &mut head);
            None
        }
    };
    let may_repeat = lane.may_repeat(request, stream);
    let answered = {
        let upload = upload(
            &mut client.body,
            head,
            framing,
            &mut stream.writer,
            &is_sent,
            lane.limits,
        );
        let back = Back {
            request,
            protocol: client.protocol.as_ref(),
            may_repeat,
            respond: &mut client.respond,
            out: &mut client.out,
            is_head: client.is_head,
            lane,
            held: None,
        };
        tokio::select! {
            biased;
            answered = back.run(&mut stream.reader) => answered?,
            broken = upload => return Err(broken),
        }
    };
    match (answered, &mut client.out) {
        (Answered::Tunnel, Some(out)) => {
            tunnel::run(&mut client.body, out, stream, lane).await?;
            Ok(false)
        }
        (Answered::Tunnel, None) => Ok(false),
        (Answered::Whole(keeps), _) => Ok(keeps && is_sent.load(Relaxed)),
    }
}

/// The request as an upgrade.
fn upgrading(request: &Request, protocol: &Protocol) -> Request {
    let mut headers = request.headers.clone();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(name) = HeaderValue::from_str(protocol.as_str()) {
        headers.insert(header::UPGRADE, name);
    }
    if protocol.as_str().eq_ignore_ascii_case("websocket") && !headers.contains_key(&WEBSOCKET_KEY) {
        headers.insert(WEBSOCKET_KEY, nonce());
    }
    Request {
        method: request.method.clone(),
        target: request.target.clone(),
        version: request.version,
        headers,
        host: request.host.clone(),
        body: BodySize::None,
        peer: request.peer.clone(),
        expects_continue: false,
        close: false,
        rest: None,
    }
}

/// Sixteen random bytes in base64. It proves that the server knows WebSocket; nothing is secured by it.
fn nonce() -> HeaderValue {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let random = || *fastrand::choice(DIGITS).unwrap_or(&b'A');
    let mut text: Vec<u8> = std::iter::repeat_with(random).take(21).collect();
    // Of the last digit only two bits count; the others must be zero.
    text.push(*fastrand::choice(b"AQgw").unwrap_or(&b'A'));
    text.extend_from_slice(b"==");
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("AAAAAAAAAAAAAAAAAAAAAA=="))
}

/// Carries the request; returns only when it is broken. Without a framing there is nothing after the head yet.
async fn upload<W: AsyncWrite + Unpin>(
    from: &mut RecvStream,
    mut out: BytesMut,
    framing: Option<Framing>,
    to: &mut W,
    is_sent: &AtomicBool,
    limits: &Limits,
) -> Broken {
    if to.write_all(&out).await.is_err() {
        // The pod may have answered and closed already: the download knows.
        return pending().await;
    }
    let Some(framing) = framing else {
        return pending().await;
    };
    let mut intake = Intake::new(limits);
    loop {
        out.clear();
        let data = match intake.next(from.data()).await {
            Ok(data) => data,
            Err(broken) => return broken,
        };
        let (part, length) = match data {
            Some(Ok(data)) => {
                let length = data.len();
                if let Err(broken) = intake.count(length) {
                    return broken;
                }
                (Part::Data(data), length)
            }
            Some(Err(_)) => return Broken::Gone,
            None => match frames::trailers(from).await {
                Ok(Some(trailers)) => (Part::Trailers(trailers), 0),
                Ok(None) => (Part::End, 0),
                Err(_) => return Broken::Gone,
            },
        };
        // An empty chunk would end the body.
        let is_empty = matches!(&part, Part::Data(data) if data.is_empty());
        if !is_empty {
            put(&part, framing, &mut out);
        }
        if to.write_all(&out).await.is_err() {
            return pending().await;
        }
        drop(from.flow_control().release_capacity(length));
        if !matches!(part, Part::Data(_)) {
            is_sent.store(true, Relaxed);
            return pending().await;
        }
    }
}

/// The end of what we send.
fn no_more() -> Bytes {
    Bytes::new()
}

#[cfg(test)]
mod tests {
    use super::nonce;

    #[test]
    fn a_nonce_is_sixteen_bytes_of_canonical_base64() {
        for _ in 0..100 {
            let text = nonce();
            let text = text.to_str().unwrap();
            assert!(text.len() == 24 && text.ends_with("=="), "{text}");
            assert!("AQgw".contains(&text[21..22]), "{text}");
        }
        assert_ne!(nonce(), nonce());
    }
}
