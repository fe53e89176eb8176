// SPDX-License-Identifier: Apache-2.0
//! The last spans, until somebody fetches them.
//!
//! Invariants: never more than it has room for, in spans and in bytes that clients sent; the oldest give way and are counted.
//! Depends on: span.

use super::span::{Facts, Span, Spans};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that clients sent: methods, hosts, paths and states. A client decides that it is traced, and how long its path is.
const BYTES: usize = 16 << 20;

/// Spans in memory.
#[derive(Debug)]
pub struct Buffer {
    most: usize,
    kept: Mutex<Kept>,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    spans: VecDeque<Span>,
    bytes: usize,
}

impl Kept {
    /// Spans of one request share what its client sent; it is counted with the first of them.
    fn push(&mut self, span: Span) {
        if !is_of_the_same(self.spans.back(), &span) {
            self.bytes += sent(&span.facts);
        }
        self.spans.push_back(span);
    }

    /// It goes with the last of them.
    fn pop(&mut self) {
        if let Some(span) = self.spans.pop_front()
            && !is_of_the_same(self.spans.front(), &span)
        {
            self.bytes -= sent(&span.facts);
        }
    }
}

fn is_of_the_same(other: Option<&Span>, span: &Span) -> bool {
    other.is_some_and(|other| Arc::ptr_eq(&other.facts, &span.facts))
}

/// Bytes of it that a client sent.
fn sent(facts: &Facts) -> usize {
    let state = facts.state.as_ref().map_or(0, |state| state.len());
    facts.method.as_str().len() + facts.host.len() + facts.path.len() + state
}

impl Buffer {
    /// With room for so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            kept: Mutex::default(),
            lost: AtomicU64::new(0),
        }
    }

    /// Takes all out that are there, in the order in which they came.
    #[must_use]
    pub fn fetch(&self) -> Vec<Span> {
        let taken = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        taken.spans.into()
    }

    /// How many gave way before anybody fetched them.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}

impl Spans for Buffer {
    fn take(&self, spans: Vec<Span>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        spans.into_iter().for_each(|span| kept.push(span));
        let before = kept.spans.len();
        while kept.spans.len() > self.most || kept.bytes > BYTES {
            kept.pop();
        }
        self.lost.fetch_add((before - kept.spans.len()) as u64, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::span::{SpanId, Step, TraceId};
    use super::*;
    use std::time::{Duration, SystemTime};

    /// The spans of the request of that number.
    fn request(number: u64, path: usize, count: usize) -> Vec<Span> {
        let facts = Arc::new(Facts {
            path: "x".repeat(path).into(),
            ..Facts::default()
        });
        let span = Span {
            trace: TraceId::random(),
            id: SpanId(number),
            parent: None,
            step: Step::Handle,
            begun: SystemTime::UNIX_EPOCH,
            took: Duration::ZERO,
            facts,
        };
        vec![span; count]
    }

    fn numbers(spans: &[Span]) -> Vec<u64> {
        spans.iter().map(|span| span.id.0).collect()
    }

    #[test]
    fn the_newest_stay_within_the_count() {
        let buffer = Buffer::new(5);
        for number in 1..=4 {
            buffer.take(request(number, 10, 2));
        }
        assert_eq!(buffer.lost(), 3);
        assert_eq!(numbers(&buffer.fetch()), [2, 3, 3, 4, 4]);
        assert!(buffer.fetch().is_empty());
    }

    #[test]
    fn long_paths_are_bounded_by_their_bytes() {
        let buffer = Buffer::new(10_000);
        for _ in 0..2 {
            for number in 1..=40 {
                buffer.take(request(number, 1 << 20, 3));
            }
            // A path and three letters of a method: 15 of them, each once for its three spans, are below 16 MiB.
            let due: Vec<u64> = (26..=40).flat_map(|number| [number; 3]).collect();
            assert_eq!(numbers(&buffer.fetch()), due);
        }
        assert_eq!(buffer.lost(), 2 * 25 * 3);
        // What alone is too much is lost as well.
        buffer.take(request(1, BYTES, 2));
        assert_eq!((buffer.fetch().len(), buffer.lost()), (0, 152));
    }
}
