// SPDX-License-Identifier: Apache-2.0
//! gRPC's health service, by hand: one unary call with two tiny messages.
//!
//! Source: grpc/health/v1/health.proto; the protocol over HTTP/2 of grpc.io.
//! Invariants: whatever is asked, the answer is gRPC's: HTTP 200 and a `grpc-status`.
//! Depends on: body, hyper.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::{
    HeaderMap, Request, Response,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
};

use super::body::Answer;

/// Its methods begin so.
const SERVICE: &str = "/grpc.health.v1.Health/";
/// A question is the name of a service.
const LARGEST: usize = 4096;
/// `HealthCheckResponse { status }` behind the prefix of a message.
const SERVING: [u8; 7] = [0, 0, 0, 0, 2, 8, 1];
const NOT_SERVING: [u8; 7] = [0, 0, 0, 0, 2, 8, 2];

/// Whether a request is for it.
pub(crate) fn is_asked(request: &Request<Incoming>) -> bool {
    request.uri().path().starts_with(SERVICE)
}

/// Answers one call.
pub(crate) async fn answer(request: Request<Incoming>, is_ill: bool) -> Response<Answer> {
    let is_check = request.uri().path().strip_prefix(SERVICE) == Some("Check");
    let question = Limited::new(request.into_body(), LARGEST).collect().await;
    match question {
        _ if !is_check => refusal("12", "only Check is there"),
        Ok(question) => check(&question.to_bytes(), is_ill),
        Err(_) => refusal("8", "the question is too long"),
    }
}

/// The server as a whole, which has no name, is all that is known here.
fn check(question: &[u8], is_ill: bool) -> Response<Answer> {
    match question {
        [0, _, _, _, _] | [0, _, _, _, _, 0x0a, 0] => status(is_ill),
        [0, _, _, _, _, 0x0a, ..] => refusal("5", "unknown service"),
        [1, ..] => refusal("12", "nothing compressed is read"),
        _ => refusal("13", "this is no HealthCheckRequest"),
    }
}

/// One message, and the status behind it.
fn status(is_ill: bool) -> Response<Answer> {
    let message = if is_ill { &NOT_SERVING } else { &SERVING };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    of(Answer::Call(Some(Bytes::from_static(message)), Some(trailers)))
}

/// A status alone.
fn refusal(code: &'static str, message: &'static str) -> Response<Answer> {
    let mut response = of(Answer::Text(None));
    let headers = response.headers_mut();
    headers.insert("grpc-status", HeaderValue::from_static(code));
    headers.insert("grpc-message", HeaderValue::from_static(message));
    response
}

fn of(answer: Answer) -> Response<Answer> {
    let mut response = Response::new(answer);
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The status, wherever it is, and the message.
    async fn of(question: &[u8], is_ill: bool) -> (String, Bytes) {
        let response = check(question, is_ill);
        let status = response.headers().get("grpc-status").cloned();
        let body = response.into_body().collect().await.unwrap();
        let status = status.or_else(|| body.trailers()?.get("grpc-status").cloned());
        (status.unwrap().to_str().unwrap().to_owned(), body.to_bytes())
    }

    #[tokio::test]
    async fn the_server_is_known_by_no_name_and_nothing_else_is_known() {
        let of_all = [0, 0, 0, 0, 0];
        assert_eq!(of(&of_all, false).await, ("0".to_owned(), Bytes::from_static(&SERVING)));
        assert_eq!(
            of(&of_all, true).await,
            ("0".to_owned(), Bytes::from_static(&NOT_SERVING))
        );
        assert_eq!(of(&[0, 0, 0, 0, 2, 0x0a, 0], false).await.0, "0");
        assert_eq!(
            of(b"\0\0\0\0\x06\x0a\x04shop", false).await,
            ("5".to_owned(), Bytes::new())
        );
        assert_eq!(of(&[1, 0, 0, 0, 0], false).await.0, "12");
        assert_eq!(of(&[0, 0], false).await.0, "13");
    }
}
