// SPDX-License-Identifier: Apache-2.0
//! The client's side of a request, as the path sees it: HTTP/1 and HTTP/2 each are one.
//!
//! Depends on: message, pod, progress, protocol, room, target, limits.

use crate::limits::Limits;
use crate::message::{Answer, Request};
use crate::pod::{DialFault, Pod, Retries, Stream, TwoFault};
use crate::progress::Progress;
use crate::protocol::PodProtocol;
use crate::room::{FREE, Heads, Limit, Room};
use crate::target::NoUri;
use life::Tasks;
use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;

/// Why a request came to no good end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// Nothing was sent to the pod: another may be tried.
    #[error(transparent)]
    Dial(#[from] DialFault),
    /// The pod, or its connection, failed before the response began.
    #[error("{0}")]
    Pod(String),
    /// The pod says that it has not looked at the request, of whose body nothing was taken: it may be sent again.
    #[error("{0}")]
    Unprocessed(String),
    /// A connection that had been used ended before a byte of the answer came.
    #[error("EOF")]
    NoAnswer,
    /// The response broke off after it had begun.
    #[error("the response broke off")]
    Cut,
    /// What the client asked for cannot be asked of the pod.
    #[error(transparent)]
    NoUri(#[from] NoUri),
    /// What the client sent as a body is none.
    #[error("malformed request body")]
    BadBody,
    /// The client's body is larger than it may be.
    #[error("request body too large")]
    TooLarge,
    /// Nothing came of the client's body for too long.
    #[error("request body too slow")]
    Slow,
    /// The client went away.
    #[error("the client went away")]
    Gone,
    /// The client has not read for too long.
    #[error("the client does not read")]
    Unread,
}

/// How much of a body may still come, and how long its next part may take.
pub(crate) struct Intake {
    left: u64,
    patience: Duration,
}

impl Intake {
    /// As the limits say.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            left: match limits.request_body {
                0 => u64::MAX,
                most => most,
            },
            patience: limits.body_time,
        }
    }

    /// For what is no body: any number of bytes at any time.
    pub(crate) fn any() -> Self {
        Self {
            left: u64::MAX,
            patience: Duration::ZERO,
        }
    }

    /// What the client sends next, once it is there.
    pub(crate) async fn next<T>(&self, next: impl Future<Output = T>) -> Result<T, Broken> {
        match self.patience.is_zero() {
            true => Ok(next.await),
            false => timeout(self.patience, next).await.map_err(|_| Broken::Slow),
        }
    }

    /// Counts what came.
    pub(crate) fn count(&mut self, bytes: usize) -> Result<(), Broken> {
        let left = self.left.checked_sub(bytes as u64).ok_or(Broken::TooLarge)?;
        self.left = left;
        Ok(())
    }
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
    pub(crate) room: &'a Room,
    pub(crate) tasks: &'a Tasks,
    pub(crate) progress: &'a Progress,
}

impl Lane<'_> {
    /// Whether a request that got no answer on this connection is sent again on another. A used one may have ended just as
    /// the request was written, or the pod with all of them, and for one that is safe it does not matter which (RFC 9110 9.2.2).
    /// A daemon that hurries to its end begins nothing again.
    pub(crate) fn may_repeat(&self, request: &Request, stream: &Stream) -> bool {
        stream.is_reused && request.may_repeat() && !self.tasks.is_hurrying()
    }

    /// A share in what pods' heads may take together, for one of so many bytes; small ones are free.
    pub(crate) fn hold(&self, held: &mut Option<Heads>, bytes: usize) -> Result<(), Broken> {
        if bytes <= FREE {
            return Ok(());
        }
        let heads = held.get_or_insert_with(|| self.room.response_heads(self.limits.all_response_heads));
        if heads.hold(bytes) {
            return Ok(());
        }
        self.room.refused(Limit::AllResponseHeads);
        Err(Broken::Pod("too much of the heads of answers is held".to_owned()))
    }
}

/// Why one more informational head, after so many, is no part of an answer.
pub(crate) fn too_many(before: usize, limits: &Limits) -> Option<&'static str> {
    (before >= limits.informational).then_some("the application sent too many informational responses")
}

/// A client with one request open.
pub(crate) trait Client: Send {
    /// Sends a whole answer.
    fn answer(&mut self, answer: &Answer, progress: &Progress) -> impl Future<Output = Result<(), Broken>> + Send;

    /// Sends the request to the pod, and what comes back to the client.
    fn forward(&mut self, request: &Request, lane: &Lane<'_>) -> impl Future<Output = Result<(), Broken>> + Send;

    /// Returns when the client has gone away; may be given up and begun again.
    fn gone(&mut self) -> impl Future<Output = ()> + Send;

    /// Waits for this, such as a dial, for as long as the client does.
    fn unless_gone<T: Send, E>(
        &mut self,
        ready: impl Future<Output = Result<T, E>> + Send,
    ) -> impl Future<Output = Result<T, Broken>> + Send
    where
        Broken: From<E>,
    {
        async move {
            tokio::select! {
                biased;
                ready = ready => Ok(ready?),
                () = self.gone() => Err(Broken::Gone),
            }
        }
    }

    /// Ends a response that cannot be finished, so that the client knows.
    fn cut(&mut self);
}
