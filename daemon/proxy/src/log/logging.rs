// SPDX-License-Identifier: Apache-2.0
//! Whether a listener logs, and how: changed while it serves.
//!
//! Invariants: while nothing is logged a request costs one look at an atomic; a request that has begun keeps its log.
//! Depends on: facts.

use super::facts::RequestLog;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

/// The request log of listeners; clones are the same one.
#[derive(Clone, Default)]
pub struct Logging(Arc<State>);

#[derive(Default)]
struct State {
    is_on: AtomicBool,
    now: RwLock<Option<Arc<RequestLog>>>,
}

impl Logging {
    /// Requests from now on are logged so; none: not at all.
    pub fn replace(&self, log: Option<RequestLog>) {
        let log = log.filter(|log| !log.is_off()).map(Arc::new);
        let is_on = log.is_some();
        *self.0.now.write().unwrap_or_else(PoisonError::into_inner) = log;
        self.0.is_on.store(is_on, Relaxed);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.is_on.load(Relaxed)
    }

    /// For one request.
    pub(crate) fn current(&self) -> Option<Arc<RequestLog>> {
        let now = || self.0.now.read().unwrap_or_else(PoisonError::into_inner).clone();
        self.is_on().then(now)?
    }
}

impl From<Option<RequestLog>> for Logging {
    fn from(log: Option<RequestLog>) -> Self {
        let logging = Self::default();
        logging.replace(log);
        logging
    }
}
