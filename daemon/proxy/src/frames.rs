// SPDX-License-Identifier: Apache-2.0
//! Heads and data of HTTP/2, to clients and to pods.
//!
//! Invariants: data is sent as the other side's window allows, never stored beyond it.
//! Depends on: exchange, limits, message, target, h2.

use crate::exchange::{Broken, too_many};
use crate::limits::Limits;
use crate::message::{BodySize, Request, Response, prune_trailers};
use crate::target::NoUri;
use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::ext::Protocol;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// The head of a request as a pod of HTTP/2 gets it.
pub(crate) fn outgoing(request: &Request, host: &str, protocol: Option<&Protocol>) -> Result<http::Request<()>, NoUri> {
    let uri = request.target.uri(host)?;
    let mut head = http::Request::new(());
    *head.method_mut() = request.method.clone();
    *head.uri_mut() = uri;
    *head.version_mut() = http::Version::HTTP_2;
    *head.headers_mut() = request.headers.clone();
    match (protocol, request.body) {
        (Some(protocol), _) => {
            // Extended CONNECT (RFC 8441 4).
            *head.method_mut() = Method::CONNECT;
            head.extensions_mut().insert(protocol.clone());
        }
        (None, BodySize::Known(length)) => {
            let length = HeaderValue::from(length);
            head.headers_mut().insert(header::CONTENT_LENGTH, length);
        }
        (None, BodySize::None | BodySize::Open) => {}
    }
    Ok(head)
}

/// A head from a pod.
pub(crate) enum Head {
    Informational(http::Response<()>),
    Final(http::Response<RecvStream>),
}

/// The next head of an answer.
pub(crate) async fn next_head(answer: &mut ResponseFuture) -> Result<Head, h2::Error> {
    poll_fn(|context| {
        if let Poll::Ready(Some(Ok(response))) = answer.poll_informational(context) {
            return Poll::Ready(Ok(Head::Informational(response)));
        }
        Pin::new(&mut *answer).poll(context).map_ok(Head::Final)
    })
    .await
}

/// Bytes of a head's fields.
pub(crate) fn size(headers: &HeaderMap) -> usize {
    let fields = headers.iter();
    fields.map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// The trailers after a body, which is over; `None`: there are none.
pub(crate) async fn trailers(body: &mut RecvStream) -> Result<Option<HeaderMap>, h2::Error> {
    let mut trailers = body.trailers().await?;
    if let Some(trailers) = &mut trailers {
        prune_trailers(trailers);
    }
    Ok(trailers.filter(|trailers| !trailers.is_empty()))
}

/// Why an informational head, with so many before it, is no part of an answer.
pub(crate) fn objection(status: StatusCode, before: usize, limits: &Limits) -> Option<&'static str> {
    if status == StatusCode::SWITCHING_PROTOCOLS {
        // There is nothing to switch to (RFC 9113 8.6).
        return Some("the application switched protocols in HTTP/2");
    }
    too_many(before, limits)
}

/// Why there is no answer: a pod that has refused the stream, or ends its connection without it, has not looked at the
/// request (RFC 9113 8.7).
pub(crate) fn no_answer(fault: &h2::Error, is_body_whole: bool) -> Broken {
    let is_unprocessed = fault.is_go_away() || fault.reason() == Some(Reason::REFUSED_STREAM);
    match is_body_whole && fault.is_remote() && is_unprocessed {
        true => Broken::Unprocessed(fault.to_string()),
        false => Broken::Pod(fault.to_string()),
    }
}

/// Sends the head of a response.
pub(super) fn begin(
    respond: &mut SendResponse<Bytes>,
    out: &mut Option<SendStream<Bytes>>,
    response: Response,
    is_ended: bool,
) -> Result<(), Broken> {
    let mut head = http::Response::new(());
    *head.status_mut() = response.status;
    *head.headers_mut() = response.headers;
    if !head.headers().contains_key(header::DATE) {
        let now = httpdate::HttpDate::from(std::time::SystemTime::now()).to_string();
        if let Ok(now) = HeaderValue::try_from(now) {
            head.headers_mut().insert(header::DATE, now);
        }
    }
    debug_assert_ne!(response.status, StatusCode::SWITCHING_PROTOCOLS);
    *out = Some(respond.send_response(head, is_ended).map_err(|_| Broken::Gone)?);
    Ok(())
}

/// Sends an informational head; a stream that is over will show elsewhere.
pub(super) fn inform(respond: &mut SendResponse<Bytes>, status: StatusCode, headers: HeaderMap) {
    let mut head = http::Response::new(());
    *head.status_mut() = status;
    *head.headers_mut() = headers;
    drop(respond.send_informational(head));
}

/// Sends data as the window allows, which the other side may keep shut for so long; zero: any time.
pub(crate) async fn send(
    to: &mut SendStream<Bytes>,
    mut data: Bytes,
    is_last: bool,
    most: Duration,
) -> Result<(), Broken> {
    while !data.is_empty() {
        to.reserve_capacity(data.len());
        let room = match to.capacity() {
            0 => match opened(to, most).await {
                Ok(Some(Ok(room))) => room,
                Ok(Some(Err(_)) | None) => return Err(Broken::Gone),
                Err(_) => return Err(Broken::Unread),
            },
            room => room,
        };
        let piece = data.split_to(room.min(data.len()));
        let ends = is_last && data.is_empty();
        to.send_data(piece, ends).map_err(|_| Broken::Gone)?;
    }
    Ok(())
}

/// The window, once it has opened; `None`: the stream is over. An error: it did not open in time.
async fn opened(to: &mut SendStream<Bytes>, most: Duration) -> Result<Option<Result<usize, h2::Error>>, Elapsed> {
    let opening = poll_fn(|context| to.poll_capacity(context));
    match most.is_zero() {
        true => Ok(opening.await),
        false => timeout(most, opening).await,
    }
}
