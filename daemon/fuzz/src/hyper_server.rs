// SPDX-License-Identifier: Apache-2.0
//! What hyper's server reads out of bytes.
//!
//! Mechanism: all bytes and then their end are there at once and answers go nowhere, so that nothing ever waits: the
//! connection is polled until it is over, without a runtime.
//! Depends on: nothing.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use std::cell::RefCell;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Names in lower case and values, sorted by name.
pub type Fields = Vec<(String, Vec<u8>)>;

/// A request that hyper's server handed over.
#[derive(Debug)]
pub struct Asked {
    /// Its method.
    pub method: String,
    /// Its target.
    pub target: String,
    /// Names in lower case and values, sorted by name.
    pub fields: Fields,
    /// Its body's length; without: in chunks.
    pub length: Option<u64>,
    /// Its body and its trailers, if they came whole.
    pub body: Option<(Vec<u8>, Fields)>,
}

/// The requests in these bytes, up to the first that is none.
pub fn requests(bytes: &[u8]) -> Vec<Asked> {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let io = Pipe {
        bytes: bytes.to_vec(),
        at: 0,
    };
    let service = hyper::service::service_fn(|request| {
        let asked = Rc::clone(&asked);
        async move {
            let one = one(request).await;
            asked.borrow_mut().push(one);
            Ok::<_, hyper::Error>(hyper::Response::new(Empty::<Bytes>::new()))
        }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.half_close(true).header_read_timeout(None).max_headers(1000);
    let mut connection = pin!(server.serve_connection(io, service));
    let mut context = Context::from_waker(Waker::noop());
    // A part of a body may take a turn; more parts than bytes there are not.
    for _ in 0..bytes.len() + 100 {
        if connection.as_mut().poll(&mut context).is_ready() {
            break;
        }
    }
    asked.take()
}

async fn one(request: hyper::Request<Incoming>) -> Asked {
    let (head, body) = request.into_parts();
    let length = body.size_hint().exact();
    let body = body.collect().await.ok().map(|whole| {
        let trailers = whole.trailers().map(fields).unwrap_or_default();
        (whole.to_bytes().to_vec(), trailers)
    });
    Asked {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        fields: fields(&head.headers),
        length,
        body,
    }
}

fn fields(headers: &http::HeaderMap) -> Fields {
    let mut fields: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

struct Pipe {
    bytes: Vec<u8>,
    at: usize,
}

impl Read for Pipe {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, mut into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let some = rest.len().min(into.remaining());
        into.put_slice(rest.get(..some).unwrap_or_default());
        self.at += some;
        Poll::Ready(Ok(()))
    }
}

impl Write for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
