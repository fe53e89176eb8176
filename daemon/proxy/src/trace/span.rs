// SPDX-License-Identifier: Apache-2.0
//! What is told of a step.
//!
//! Depends on: nothing.

use http::{HeaderValue, Method};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Identifies a trace; never all zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub(super) u128);

/// Identifies a span within its trace; never all zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(pub(super) u64);

impl TraceId {
    pub(super) fn random() -> Self {
        Self(fastrand::u128(1..))
    }

    /// Its last eight bytes.
    pub(super) fn low(self) -> u64 {
        self.0 as u64
    }
}

impl SpanId {
    pub(super) fn random() -> Self {
        Self(fastrand::u64(1..))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

/// A step of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// All of it.
    Handle,
    /// Finding its revision.
    Route,
    /// From the revision to room on a pod.
    Throttle,
    /// Waiting for that room, if there was none.
    Wait,
    /// From the first byte to a pod to the end of the answer.
    Forward,
}

impl Step {
    /// As Knative names the span where it has one (data-plane spec 1.17).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handle => "handle",
            Self::Route => "route",
            Self::Throttle => "throttler_try",
            Self::Wait => "wait",
            Self::Forward => "activator_proxy",
        }
    }

    /// OpenTelemetry's kind of span.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Handle => "server",
            Self::Forward => "client",
            Self::Route | Self::Throttle | Self::Wait => "internal",
        }
    }
}

/// What all spans of a request share.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// As the client sent it.
    pub method: Method,
    /// As the client sent it.
    pub host: Box<str>,
    /// As the client sent it, with its query.
    pub path: Box<str>,
    /// What the client got; 0: nothing.
    pub status: u16,
    /// How it ended, as the request log says it.
    pub end: &'static str,
    /// Of the revision; empty: none was found.
    pub namespace: String,
    /// The revision.
    pub revision: String,
    /// The last pod it went to.
    pub pod: Option<SocketAddr>,
    /// Pods it was sent to.
    pub attempts: u32,
    /// The client's `tracestate`, if it has at most 512 bytes.
    pub state: Option<HeaderValue>,
}

/// A step, and how long it took.
#[derive(Debug, Clone)]
pub struct Span {
    /// The trace it belongs to.
    pub trace: TraceId,
    /// Its own.
    pub id: SpanId,
    /// The span it is a part of; the client's for the outermost, if the client has one.
    pub parent: Option<SpanId>,
    /// What it tells of.
    pub step: Step,
    /// When it began.
    pub begun: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// Of its request.
    pub facts: Arc<Facts>,
}

/// Where spans go.
pub trait Spans: Send + Sync {
    /// Takes the spans of one request, the outermost first; must not block.
    fn take(&self, spans: Vec<Span>);
}
