// SPDX-License-Identifier: Apache-2.0
//! What a line of the request log is made of, whatever its format.
//!
//! Depends on: message, revision, logic::settings::template.

use crate::message::{BodySize, Version};
use crate::revision::Revision;
use http::{HeaderMap, Method};
use logic::settings::template::Template;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Takes finished lines, without their line end; must not block.
pub type Sink = Arc<dyn Fn(String) + Send + Sync>;

/// How a line is written.
#[derive(Debug, Clone)]
pub enum Format {
    /// One object a line; its fields are in docs/request-path.md.
    Json,
    /// Knative's template language; one without text turns the log off.
    Template(Template),
}

/// Where and how requests are logged.
pub struct RequestLog {
    /// Of a line.
    pub format: Format,
    /// Whether probes are logged.
    pub probes: bool,
    /// Name and address of the pod, if this stands before one.
    pub pod: (String, String),
    /// Whether the trace identifier is logged.
    pub traces: bool,
    /// Where lines go.
    pub sink: Sink,
}

impl RequestLog {
    pub(super) fn is_off(&self) -> bool {
        matches!(&self.format, Format::Template(template) if template.text().is_empty())
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The pod's answer went out whole.
    Whole,
    /// The answer was this process's own.
    Answered,
    /// The answer broke off.
    Cut,
    /// The client did not wait.
    Gone,
    /// The connection's task was ended, or it failed.
    Stopped,
}

impl Outcome {
    /// As logs and traces have it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Answered => "answered_here",
            Self::Cut => "cut",
            Self::Gone => "client_gone",
            Self::Stopped => "stopped",
        }
    }
}

/// What is known only at the end.
pub(super) struct Ended {
    pub(super) status: u16,
    pub(super) bytes: u64,
    pub(super) took: Duration,
}

/// What is put aside of a request, and how it went so far.
pub(super) struct Facts<'a> {
    pub(super) log: &'a RequestLog,
    pub(super) arrived: SystemTime,
    pub(super) revision: Option<Arc<Revision>>,
    pub(super) method: Method,
    pub(super) host: Box<str>,
    pub(super) uri: Box<str>,
    pub(super) version: Version,
    pub(super) body: BodySize,
    pub(super) peer: SocketAddr,
    pub(super) close: bool,
    pub(super) headers: HeaderMap,
    pub(super) outcome: Outcome,
    /// From its arrival until it had room on a pod.
    pub(super) waited: Option<Duration>,
    /// The last pod it went to.
    pub(super) pod: Option<SocketAddr>,
    /// Pods it was sent to.
    pub(super) attempts: u32,
}
