// SPDX-License-Identifier: Apache-2.0
//! What health checks are told.
//!
//! Depends on: nothing.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

/// Whether this process, or the pod that it stands for, may have requests, as health checks are told; clones are the same.
#[derive(Clone, Default)]
pub struct Health(Arc<State>);

#[derive(Default)]
struct State {
    is_told_to_end: AtomicBool,
    is_aside: AtomicBool,
    fault: RwLock<Option<&'static str>>,
}

impl Health {
    /// Tells probes to send nothing more.
    pub fn drain(&self) {
        self.0.is_told_to_end.store(true, Relaxed);
        self.fail(Some("received SIGTERM from kubelet"));
    }

    /// Sets why this process is not healthy.
    pub fn fail(&self, fault: Option<&'static str>) {
        *self.0.fault.write().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Whether probes are told for now to send nothing more, without an end that was told.
    pub(crate) fn set_aside(&self, is_aside: bool) {
        self.0.is_aside.store(is_aside, Relaxed);
    }

    pub(crate) fn is_told_to_end(&self) -> bool {
        self.0.is_told_to_end.load(Relaxed)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.is_told_to_end() || self.0.is_aside.load(Relaxed)
    }

    pub(crate) fn fault(&self) -> Option<&'static str> {
        *self.0.fault.read().unwrap_or_else(PoisonError::into_inner)
    }
}
