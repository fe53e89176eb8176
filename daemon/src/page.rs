// SPDX-License-Identifier: Apache-2.0
//! Pages over HTTP, written anew for every request: figures, or how all stands.
//!
//! Invariants: one request a connection, whose head must come within five seconds.
//! Depends on: life, hyper.

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, body::Incoming, header};
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
    serve_several(listener, vec![("", page)], tasks);
}

/// Answers with the page of the path until the tasks are drained; the path "" is every path that comes after it.
pub(crate) fn serve_several(listener: TcpListener, pages: Vec<(&'static str, Page)>, tasks: &Tasks) {
    let pages: Arc<[_]> = pages.into();
    let of_it = tasks.clone();
    tasks.spawn("page", async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = of_it.draining() => return,
            };
            match accepted {
                Ok((stream, _)) => of_it.spawn("page connection", answer(stream, Arc::clone(&pages))),
                // Out of descriptors, or the client has gone already.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    });
}

async fn answer(stream: TcpStream, pages: Arc<[(&'static str, Page)]>) {
    let tell = |request: Request<Incoming>| {
        let asked = request.uri().path();
        let page = pages.iter().find(|(path, _)| path.is_empty() || *path == asked);
        let (content, text) = match page {
            Some((_, page)) => (page.content, (page.write)()),
            None => ("text/plain; charset=utf-8", missing(&pages)),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        if page.is_none() {
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
        let content = header::HeaderValue::from_static(content);
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

fn missing(pages: &[(&'static str, Page)]) -> String {
    let paths: Vec<_> = pages.iter().map(|(path, _)| *path).collect();
    format!("there is: {}\n", paths.join(", "))
}
