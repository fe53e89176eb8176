// SPDX-License-Identifier: Apache-2.0
//! One page over HTTP, written anew for every request: figures, or how all stands.
//!
//! Invariants: one request a connection, whose head must come within five seconds.
//! Depends on: life, hyper.

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use life::Tasks;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// How long the head of a request may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A page.
#[derive(Clone)]
pub(crate) struct Page {
    /// Its media type.
    pub(crate) content: &'static str,
    /// Writes it.
    pub(crate) write: Arc<dyn Fn() -> String + Send + Sync>,
}

/// Answers every request with it until the tasks are drained.
pub(crate) fn serve(listener: TcpListener, page: Page, tasks: &Tasks) {
    let of_it = tasks.clone();
    tasks.spawn("page", async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = of_it.draining() => return,
            };
            match accepted {
                Ok((stream, _)) => of_it.spawn("page connection", answer(stream, page.clone())),
                // Out of descriptors, or the client has gone already.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    });
}

async fn answer(stream: TcpStream, page: Page) {
    let tell = |_: Request<Incoming>| {
        let mut response = Response::new(Full::new(Bytes::from((page.write)())));
        let content = header::HeaderValue::from_static(page.content);
        response.headers_mut().insert(header::CONTENT_TYPE, content);
        std::future::ready(Ok::<_, Infallible>(response))
    };
    let mut one = hyper::server::conn::http1::Builder::new();
    let served = one
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service_fn(tell));
    // A client that goes away in the middle is no news.
    drop(served.await);
}
