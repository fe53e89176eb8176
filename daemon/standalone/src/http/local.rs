// SPDX-License-Identifier: Apache-2.0
//! The API for callers in this process, without a socket.
//!
//! Mechanism: a `tower` service over [`Api::respond`]; bodies are handed over as they are, so a watch streams.
//! Invariants: the caller meets the same rules as one who comes over a connection.
//! Depends on: answer, input.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};

use super::answer::Api;
use super::body::Body;
use super::input::Unbooked;

/// A client transport to an API in this process; clones lead to the same API.
#[derive(Clone, Debug)]
pub struct Local {
    api: Arc<Api>,
    is_controller: bool,
}

impl Local {
    /// A transport to an API: `kube::Client::new(Local::new(api), "default")`.
    #[must_use]
    pub fn new(api: Arc<Api>) -> Self {
        Self {
            api,
            is_controller: false,
        }
    }

    /// The same API for controllers: `managedFields` do not name them.
    #[must_use]
    pub fn for_controllers(&self) -> Self {
        Self {
            api: Arc::clone(&self.api),
            is_controller: true,
        }
    }
}

impl<B> tower_service::Service<Request<B>> for Local
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if self.is_controller {
            request.extensions_mut().insert(Unbooked);
        }
        let answer = self.api.respond(request);
        Box::pin(async move { Ok(answer.await) })
    }
}
