// SPDX-License-Identifier: Apache-2.0
//! `--admin`: figures for Prometheus, a health check, and the last spans.
//!
//! Mechanism: figures are read when they are asked for. Spans are told once, an object a line, and gone then.
//! Depends on: steer, figures, page, proxy, life (metrics).

use super::steer::Shared;
use crate::figures::{self, OfNode};
use crate::page::Page;
use life::metrics::{self, Registry, Source, names};
use proxy::{LogCounts, Room, Span, SpanBuffer};
use serde_json::json;
use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// What is told of.
pub(super) struct Told {
    pub(super) shared: Arc<Shared>,
    pub(super) room: Room,
    pub(super) logged: Option<Arc<LogCounts>>,
    pub(super) spans: Option<Arc<SpanBuffer>>,
}

impl Source for Told {
    fn write(&self, page: &mut metrics::Page) {
        let revisions = self.shared.revisions.lock();
        let revisions = revisions.unwrap_or_else(PoisonError::into_inner).clone();
        let mut of_node = OfNode::default();
        for (name, revision) in revisions {
            let load = self.shared.node.reading(&name);
            load.iter().for_each(|load| of_node.add(load));
            let way = self.shared.node.way(&name);
            figures::of_revision(page, &revision, load.as_ref(), way.as_ref());
        }
        of_node.tell(page, self.shared.node.obstacle().is_none());
        figures::of_room(page, &self.room);
        if let Some(counts) = &self.logged {
            for (fate, count) in [("written", &counts.written), ("dropped", &counts.dropped)] {
                page.sample(&names::LOG_LINES, &[fate], count.load(Relaxed) as f64);
            }
        }
        if let Some(spans) = &self.spans {
            page.sample(&names::SPANS_LOST, &[], spans.lost() as f64);
        }
    }
}

/// The pages, by path.
pub(super) fn pages(told: Told) -> Vec<(&'static str, Page)> {
    let told = Arc::new(told);
    let registry = Registry::new();
    registry.add(&told);
    let figures = Page {
        content: metrics::CONTENT_TYPE,
        write: Arc::new({
            // The registry does not own its sources.
            let told = Arc::clone(&told);
            move || {
                let _owned = &told;
                registry.page()
            }
        }),
    };
    let health = Page {
        content: "text/plain; charset=utf-8",
        write: Arc::new(|| "ok\n".to_owned()),
    };
    let spans = Page {
        content: "application/x-ndjson",
        write: Arc::new(move || told.spans.as_deref().map(lines).unwrap_or_default()),
    };
    vec![("/metrics", figures), ("/healthz", health), ("/spans", spans)]
}

fn lines(spans: &SpanBuffer) -> String {
    spans.fetch().iter().fold(String::new(), |mut out, span| {
        // Writing to a String does not fail.
        let _ = writeln!(out, "{}", object(span));
        out
    })
}

fn object(span: &Span) -> serde_json::Value {
    let facts = &span.facts;
    json!({
        "trace": span.trace.to_string(),
        "span": span.id.to_string(),
        "parent": span.parent.map(|parent| parent.to_string()),
        "name": span.step.name(),
        "kind": span.step.kind(),
        "begun_us": micros(span.begun),
        "took_us": span.took.as_micros() as u64,
        "method": facts.method.as_str(),
        "host": facts.host,
        "path": facts.path,
        "status": facts.status,
        "end": facts.end,
        "namespace": facts.namespace,
        "revision": facts.revision,
        "pod": facts.pod,
        "attempts": facts.attempts,
        "state": facts.state.as_ref().map(|state| String::from_utf8_lossy(state.as_bytes())),
    })
}

fn micros(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
