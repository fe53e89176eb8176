// SPDX-License-Identifier: Apache-2.0
//! The client's side of a request, as the path sees it: HTTP/1 and HTTP/2 each are one.
//!
//! Depends on: message, pod, progress, protocol, limits.

use crate::limits::Limits;
use crate::message::{Answer, Request};
use crate::pod::{DialFault, Pod, Retries, TwoFault};
use crate::progress::Progress;
use crate::protocol::PodProtocol;
use life::Tasks;
use std::future::Future;

/// Why a request came to no good end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// Nothing was sent to the pod: another may be tried.
    #[error(transparent)]
    Dial(#[from] DialFault),
    /// The pod, or its connection, failed before the response began.
    #[error("{0}")]
    Pod(String),
    /// A connection that had been used ended before a byte of the answer came.
    #[error("EOF")]
    NoAnswer,
    /// The response broke off after it had begun.
    #[error("the response broke off")]
    Cut,
    /// What the client sent as a body is none.
    #[error("malformed request body")]
    BadBody,
    /// The client went away.
    #[error("the client went away")]
    Gone,
}

impl From<TwoFault> for Broken {
    fn from(fault: TwoFault) -> Self {
        match fault {
            TwoFault::Dial(fault) => fault.into(),
            TwoFault::Protocol(fault) => Self::Pod(fault.to_string()),
        }
    }
}

/// Where a request is sent, and with what in hand.
pub(crate) struct Lane<'a> {
    pub(crate) pod: &'a Pod,
    /// The `Host` that the pod gets.
    pub(crate) host: &'a str,
    /// What the pod is spoken to in.
    pub(crate) protocol: PodProtocol,
    pub(crate) retries: Retries,
    pub(crate) limits: &'a Limits,
    pub(crate) tasks: &'a Tasks,
    pub(crate) progress: &'a Progress,
}

/// A client with one request open.
pub(crate) trait Client: Send {
    /// Sends a whole answer.
    fn answer(&mut self, answer: &Answer, progress: &Progress) -> impl Future<Output = Result<(), Broken>> + Send;

    /// Sends the request to the pod, and what comes back to the client.
    fn forward(&mut self, request: &Request, lane: &Lane<'_>) -> impl Future<Output = Result<(), Broken>> + Send;

    /// Returns when the client has gone away; may be given up and begun again.
    fn gone(&mut self) -> impl Future<Output = ()> + Send;

    /// Ends a response that cannot be finished, so that the client knows.
    fn cut(&mut self);
}
