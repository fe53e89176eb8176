// SPDX-License-Identifier: Apache-2.0
//! A line in the making: what its request was, and how it went.
//!
//! Invariants: it is written exactly once, when it is dropped: also of a request that is given up in the middle.
//! Depends on: message, progress, revision, json, template.

use super::{json, template};
use crate::message::{BodySize, Request, Version};
use crate::progress::Progress;
use crate::revision::Revision;
use http::{HeaderMap, HeaderName, Method, header};
use logic::settings::template::Template;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Logged for a request whose client did not wait for an answer, as nginx does.
const CLIENT_GONE: u16 = 499;

/// What is put aside of the headers for JSON.
const PICKED: [HeaderName; 5] = [
    header::USER_AGENT,
    header::REFERER,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("b3"),
    HeaderName::from_static("x-b3-traceid"),
];

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
    fn is_off(&self) -> bool {
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

/// What is known only at the end.
pub(super) struct Ended {
    pub(super) status: u16,
    pub(super) bytes: u64,
    pub(super) took: Duration,
}

/// A line in the making.
pub(crate) struct Line<'a> {
    pub(super) log: &'a RequestLog,
    progress: &'a Progress,
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

impl<'a> Line<'a> {
    /// Puts aside what may be logged of the request as it is now.
    pub(crate) fn begin(log: Option<&'a RequestLog>, request: &Request, progress: &'a Progress) -> Option<Self> {
        let log = log.filter(|log| !log.is_off())?;
        Some(Self {
            log,
            progress,
            arrived: SystemTime::now(),
            revision: None,
            method: request.method.clone(),
            host: request.host.clone(),
            uri: request.target.raw().into(),
            version: request.version,
            body: request.body,
            peer: request.peer,
            close: request.close,
            headers: match log.format {
                Format::Json => picked(&request.headers),
                Format::Template(_) => request.headers.clone(),
            },
            outcome: Outcome::Stopped,
            waited: None,
            pod: None,
            attempts: 0,
        })
    }

    /// It is for this revision.
    pub(crate) fn routed(&mut self, revision: &Arc<Revision>) {
        self.revision = Some(Arc::clone(revision));
    }

    /// It has room on a pod, and is sent there.
    pub(crate) fn sent(&mut self, pod: SocketAddr) {
        let begun = self.progress.begun;
        self.waited
            .get_or_insert_with(|| Instant::now().saturating_duration_since(begun));
        self.pod = Some(pod);
        self.attempts += 1;
    }

    /// Writes it.
    pub(crate) fn end(line: Option<Self>, outcome: Outcome) {
        if let Some(mut line) = line {
            line.outcome = outcome;
        }
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let ended = Ended {
            status: match self.progress.status() {
                0 => CLIENT_GONE,
                status => status,
            },
            bytes: self.progress.bytes(),
            took: self.progress.begun.elapsed(),
        };
        let text = match &self.log.format {
            Format::Json => json::render(self, &ended),
            Format::Template(template) => template::render(template, self, &ended),
        };
        (self.log.sink)(text);
    }
}

fn picked(headers: &HeaderMap) -> HeaderMap {
    let mut few = HeaderMap::new();
    for name in PICKED {
        if let Some(value) = headers.get(&name) {
            few.insert(name, value.clone());
        }
    }
    few
}
