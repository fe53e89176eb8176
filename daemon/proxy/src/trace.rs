// SPDX-License-Identifier: Apache-2.0
//! Traces: what a request's steps took, as spans of the trace that its client began or that begins here.
//!
//! Mechanism: `context` reads the client's headers and says who decides; a request that is traced puts its times aside (`Trace`)
//! and hands over all its spans when it ends, however it ends. The pod sees the span that was sent to it as its parent.
//! Invariants: a request that is not traced keeps its headers as they came, and costs one look at an `Option` when tracing is
//! off; a sink never waits.
//! Depends on: buffer, context, message, progress, revision, span.

mod buffer;
mod context;
mod span;

pub use buffer::Buffer as SpanBuffer;
pub use span::{Facts as SpanFacts, Span, SpanId, Spans, Step, TraceId};

use crate::log::Outcome;
use crate::message::Request;
use crate::progress::Progress;
use crate::revision::Revision;
use context::Ids;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// What is traced, and where spans go.
pub struct Tracing {
    /// Of 2^63: requests whose client did not decide are traced if their number is below.
    bound: u64,
    sink: Arc<dyn Spans>,
}

impl Tracing {
    /// Traces what clients ask for, and that share (0 to 1) of the requests whose clients say nothing
    /// (`tracing-sampling-rate`).
    #[must_use]
    pub fn new(rate: f64, sink: Arc<dyn Spans>) -> Self {
        // The conversion saturates; what is no number is none.
        let bound = (rate.clamp(0.0, 1.0) * (1_u64 << 63) as f64) as u64;
        Self { bound, sink }
    }

    /// By the trace's own number, so that all who see it decide alike.
    fn takes(&self, trace: TraceId) -> bool {
        trace.low() >> 1 < self.bound
    }
}

/// The times of a request that is traced.
pub(crate) struct Trace<'a> {
    tracing: &'a Tracing,
    progress: &'a Progress,
    ids: Ids,
    arrived: SystemTime,
    routed: Option<Duration>,
    /// When it began to wait.
    waits: Option<Duration>,
    /// When it had room on a pod.
    sent: Option<Duration>,
    facts: SpanFacts,
}

impl<'a> Trace<'a> {
    /// Begins it, if this request is traced, and tells the pod.
    pub(crate) fn begin(
        tracing: Option<&'a Tracing>,
        request: &mut Request,
        progress: &'a Progress,
    ) -> Option<Box<Self>> {
        let tracing = tracing?;
        let asked = context::read(&request.headers);
        let trace = asked.trace.unwrap_or_else(TraceId::random);
        if !asked.sampled.unwrap_or_else(|| tracing.takes(trace)) {
            return None;
        }
        let ids = Ids::of(trace, &asked);
        let state = context::write(&mut request.headers, &ids, &asked);
        Some(Box::new(Self {
            tracing,
            progress,
            ids,
            arrived: SystemTime::now(),
            routed: None,
            waits: None,
            sent: None,
            facts: SpanFacts {
                method: request.method.clone(),
                host: request.host.clone(),
                path: request.target.raw().into(),
                state,
                end: Outcome::Stopped.word(),
                ..SpanFacts::default()
            },
        }))
    }

    fn now(&self) -> Duration {
        Instant::now().saturating_duration_since(self.progress.begun)
    }

    /// It is for this revision.
    pub(crate) fn routed(&mut self, revision: &Revision) {
        self.routed = Some(self.now());
        self.facts.namespace.clone_from(&revision.identity.namespace);
        self.facts.revision.clone_from(&revision.identity.name);
    }

    /// There is no room for it now.
    pub(crate) fn waits(&mut self) {
        let now = self.now();
        self.waits.get_or_insert(now);
    }

    /// It has room on a pod, and is sent there.
    pub(crate) fn sent(&mut self, pod: SocketAddr) {
        let now = self.now();
        self.sent.get_or_insert(now);
        self.facts.pod = Some(pod);
        self.facts.attempts += 1;
    }

    /// Hands its spans over.
    pub(crate) fn end(trace: Option<Box<Self>>, outcome: Outcome) {
        if let Some(mut trace) = trace {
            trace.facts.end = outcome.word();
        }
    }
}

impl Drop for Trace<'_> {
    fn drop(&mut self) {
        let end = self.now();
        self.facts.status = self.progress.status();
        let facts = Arc::new(std::mem::take(&mut self.facts));
        let ids = &self.ids;
        let span = |step, id, parent, begun: Duration, ended: Duration| Span {
            trace: ids.trace,
            id,
            parent,
            step,
            begun: self.arrived + begun,
            took: ended.saturating_sub(begun),
            facts: Arc::clone(&facts),
        };
        let within = Some(ids.handle);
        let mut spans = vec![span(Step::Handle, ids.handle, ids.parent, Duration::ZERO, end)];
        if let Some(routed) = self.routed {
            spans.push(span(Step::Route, SpanId::random(), within, Duration::ZERO, routed));
            let (throttle, sent) = (SpanId::random(), self.sent.unwrap_or(end));
            spans.push(span(Step::Throttle, throttle, within, routed, sent));
            if let Some(waits) = self.waits {
                spans.push(span(Step::Wait, SpanId::random(), Some(throttle), waits, sent));
            }
        }
        if let Some(sent) = self.sent {
            spans.push(span(Step::Forward, ids.forward, within, sent, end));
        }
        self.tracing.sink.take(spans);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nowhere;

    impl Spans for Nowhere {
        fn take(&self, _: Vec<Span>) {}
    }

    #[test]
    fn the_rate_is_a_share_of_the_traces() {
        for (rate, least, most) in [(0.0, 0, 0), (f64::NAN, 0, 0), (0.25, 2200, 2800), (1.0, 10_000, 10_000)] {
            let tracing = Tracing::new(rate, Arc::new(Nowhere));
            let taken = (0..10_000).filter(|_| tracing.takes(TraceId::random())).count();
            assert!((least..=most).contains(&taken), "{rate}: {taken}");
        }
    }
}
