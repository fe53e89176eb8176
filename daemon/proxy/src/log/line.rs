// SPDX-License-Identifier: Apache-2.0
//! A line in the making: what its request was, and how it went.
//!
//! Invariants: it is written exactly once, when it is dropped: also of a request that is given up in the middle.
//! Depends on: message, progress, revision, facts, json, template.

use super::facts::{Ended, Facts, Format, Outcome, RequestLog};
use super::{json, template};
use crate::message::Request;
use crate::progress::Progress;
use crate::revision::Revision;
use http::{HeaderMap, HeaderName, header};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;
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

/// A line in the making.
pub(crate) struct Line<'a> {
    facts: Facts<'a>,
    progress: &'a Progress,
}

impl<'a> Line<'a> {
    /// Puts aside what may be logged of the request as it is now.
    pub(crate) fn begin(log: Option<&'a RequestLog>, request: &Request, progress: &'a Progress) -> Option<Self> {
        let log = log?;
        let facts = Facts {
            log,
            arrived: SystemTime::now(),
            revision: None,
            method: request.method.clone(),
            host: request.host.clone(),
            uri: request.target.raw().into(),
            version: request.version,
            body: request.body,
            peer: request.peer.address,
            close: request.close,
            headers: match log.format {
                Format::Json => picked(&request.headers),
                Format::Template(_) => request.headers.clone(),
            },
            outcome: Outcome::Stopped,
            waited: None,
            pod: None,
            attempts: 0,
        };
        Some(Self { facts, progress })
    }

    /// It is for this revision.
    pub(crate) fn routed(&mut self, revision: &Arc<Revision>) {
        self.facts.revision = Some(Arc::clone(revision));
    }

    /// It has room on a pod, and is sent there.
    pub(crate) fn sent(&mut self, pod: SocketAddr) {
        let begun = self.progress.begun;
        self.facts
            .waited
            .get_or_insert_with(|| Instant::now().saturating_duration_since(begun));
        self.facts.pod = Some(pod);
        self.facts.attempts += 1;
    }

    /// Writes it.
    pub(crate) fn end(line: Option<Self>, outcome: Outcome) {
        if let Some(mut line) = line {
            line.facts.outcome = outcome;
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
        let text = match &self.facts.log.format {
            Format::Json => json::render(&self.facts, &ended),
            Format::Template(template) => template::render(template, &self.facts, &ended),
        };
        (self.facts.log.sink)(text);
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
