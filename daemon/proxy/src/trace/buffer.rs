// SPDX-License-Identifier: Apache-2.0
//! The last spans, until somebody fetches them.
//!
//! Invariants: never more than it has room for; the oldest give way and are counted.
//! Depends on: span.

use super::span::{Span, Spans};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Spans in memory.
#[derive(Debug)]
pub struct Buffer {
    most: usize,
    spans: Mutex<VecDeque<Span>>,
    lost: AtomicU64,
}

impl Buffer {
    /// With room for so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            spans: Mutex::default(),
            lost: AtomicU64::new(0),
        }
    }

    /// Takes all out that are there, in the order in which they came.
    #[must_use]
    pub fn fetch(&self) -> Vec<Span> {
        let taken = std::mem::take(&mut *self.spans.lock().unwrap_or_else(PoisonError::into_inner));
        taken.into()
    }

    /// How many gave way before anybody fetched them.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}

impl Spans for Buffer {
    fn take(&self, spans: Vec<Span>) {
        let mut kept = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(spans);
        let many = kept.len().saturating_sub(self.most);
        drop(kept.drain(..many));
        self.lost.fetch_add(many as u64, Relaxed);
    }
}
