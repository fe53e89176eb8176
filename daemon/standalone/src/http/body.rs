// SPDX-License-Identifier: Apache-2.0
//! Bodies of answers: a document, or a watch that goes on.
//!
//! Depends on: watch.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::{Frame, SizeHint};
use serde_json::Value;

/// What comes next of a stream, and the rest of it.
pub(super) type Next<S> = Pin<Box<dyn Future<Output = Option<(Bytes, S)>> + Send>>;

/// A stream of lines.
pub(super) trait Lines: Sized + Send + 'static {
    /// The next line, if there is one.
    fn next(self) -> Next<Self>;
}

/// The body of an answer.
pub enum Body {
    /// A document.
    Whole(Option<Bytes>),
    /// A stream.
    Stream(Pin<Box<dyn hyper::body::Body<Data = Bytes, Error = Infallible> + Send>>),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Whole(_) => "Body::Whole",
            Self::Stream(_) => "Body::Stream",
        })
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => stream.as_mut().poll_frame(context),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

struct Streamed<S> {
    next: Option<Next<S>>,
}

impl<S: Lines> hyper::body::Body for Streamed<S> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(next) = &mut self.next else {
            return Poll::Ready(None);
        };
        match next.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                self.next = None;
                Poll::Ready(None)
            }
            Poll::Ready(Some((bytes, rest))) => {
                self.next = Some(rest.next());
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
        }
    }
}

/// An answer that goes on.
pub(super) fn stream(lines: impl Lines) -> Response<Body> {
    let streamed = Streamed {
        next: Some(lines.next()),
    };
    with(200, "application/json", Body::Stream(Box::pin(streamed)))
}

/// A text that goes on.
pub(super) fn text_stream(lines: impl Lines) -> Response<Body> {
    let streamed = Streamed {
        next: Some(lines.next()),
    };
    with(200, "text/plain", Body::Stream(Box::pin(streamed)))
}

/// An answer with a document.
pub(super) fn json(code: u16, document: &Value) -> Response<Body> {
    let mut text = document.to_string();
    text.push('\n');
    with(code, "application/json", Body::Whole(Some(text.into())))
}

/// An answer with a document that is JSON already.
pub(super) fn written(code: u16, document: Vec<u8>) -> Response<Body> {
    with(code, "application/json", Body::Whole(Some(document.into())))
}

/// An answer with bytes that are the same for everybody.
pub(super) fn bytes(form: &'static str, bytes: &'static [u8]) -> Response<Body> {
    with(200, form, Body::Whole(Some(Bytes::from_static(bytes))))
}

/// An answer with a text.
pub(super) fn text(code: u16, text: &'static str) -> Response<Body> {
    with(
        code,
        "text/plain",
        Body::Whole(Some(Bytes::from_static(text.as_bytes()))),
    )
}

fn with(code: u16, form: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(form));
    response
}

/// Adds what the caller is told: `Warning: 299 - "…"`.
pub(super) fn warn(response: &mut Response<Body>, warnings: &[String]) {
    for warning in warnings {
        let quoted = warning
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace(['\n', '\r'], " ");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append("warning", value);
        }
    }
}
