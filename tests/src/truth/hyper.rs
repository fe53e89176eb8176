// SPDX-License-Identifier: Apache-2.0
//! hyper as the judge: a service that sees requests as hyper frames them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use ::hyper::service::service_fn;
use anyhow::Result;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::{Ledger, Request};

pub(super) async fn talk1(stream: TcpStream, ledger: &Ledger) -> Result<()> {
    let service = service_fn(|request| answer(ledger.clone(), request));
    let connection = ::hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .half_close(true)
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service);
    Ok(connection.await?)
}

pub(super) async fn talk2(stream: TcpStream, ledger: &Ledger) -> Result<()> {
    let ledger = ledger.clone();
    let service = service_fn(move |request| answer(ledger.clone(), request));
    let connection = ::hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    Ok(connection.await?)
}

/// `/sleep/MS`, `/bytes/N`, anything else: a small answer after the whole request body.
async fn answer(ledger: Ledger, request: http::Request<Incoming>) -> Result<Response<Reply>, Infallible> {
    let work = ledger.begin();
    let path = request.uri().path().to_owned();
    let mut parts = path.trim_start_matches('/').split('/');
    let (kind, amount) = (parts.next().unwrap_or_default(), number(parts.next()));
    let mut body = request.into_body();
    while let Some(Ok(frame)) = body.frame().await {
        ledger.body(frame.data_ref().map_or(0, |data| data.len() as u64));
    }
    if kind == "sleep" {
        tokio::time::sleep(Duration::from_millis(amount)).await;
    }
    let status = if kind == "status" {
        u16::try_from(amount).unwrap_or(500)
    } else {
        200
    };
    work.answer(status);
    let left = if kind == "bytes" { amount } else { 13 };
    let left = if matches!(status, 204 | 304) { 0 } else { left };
    let mut response = Response::new(Reply { work: Some(work), left });
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    Ok(response)
}

fn number(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// A body of so many bytes that holds its request until hyper is done with it.
struct Reply {
    work: Option<Request>,
    left: u64,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static ZEROS: [u8; 16 << 10] = [b'x'; 16 << 10];
        let size = self.left.min(ZEROS.len() as u64);
        self.left -= size;
        if self.left == 0
            && let Some(work) = &mut self.work
        {
            work.last_write();
        }
        Poll::Ready((size > 0).then(|| Ok(Frame::data(Bytes::from_static(&ZEROS[..size as usize])))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        // hyper drops the body once all of it was taken; a body dropped before that was cut off.
        if self.left == 0
            && let Some(mut work) = self.work.take()
        {
            work.last_write();
            work.end();
        }
    }
}
