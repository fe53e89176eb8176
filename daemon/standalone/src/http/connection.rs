// SPDX-License-Identifier: Apache-2.0
//! Connections: HTTP/1.1 and HTTP/2 without TLS, for the loopback.
//!
//! Invariants: at most so many connections at a time; when the future is dropped all of them end.
//! Depends on: answer.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use life::Work;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::answer::Api;

/// Serves an API on a listener until it is dropped.
///
/// # Errors
/// If the listener no longer accepts.
#[must_use]
pub fn serve(listener: TcpListener, api: Arc<Api>) -> Work<io::Result<Infallible>> {
    Box::pin(accept(listener, api))
}

async fn accept(listener: TcpListener, api: Arc<Api>) -> io::Result<Infallible> {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= api.limits().connections {
            connections.join_next().await;
        }
        while connections.try_join_next().is_some() {}
        let (stream, _) = listener.accept().await?;
        let api = Arc::clone(&api);
        connections.spawn(async move {
            let service = service_fn(|request| {
                let answer = api.respond(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            // An error of a connection is the client's: it has gone.
            let _ = Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
