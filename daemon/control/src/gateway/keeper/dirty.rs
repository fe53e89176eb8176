// SPDX-License-Identifier: Apache-2.0
//! What has to be translated again.
//!
//! Invariants: marking never waits; what is marked while it is translated is translated once more.
//! Depends on: caches, key.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::caches::Caches;
use crate::key::Key;

/// Something that changed. The order is that of dependence: an Ingress is translated over what Services there are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Dirty {
    /// A Revision or a Service of Kubernetes came, went or changed.
    Service(Key),
    /// The pods or endpoints behind it did.
    Backend(Key),
    /// A Secret.
    Secret(Key),
    /// An Ingress.
    Ingress(Key),
    /// The addresses of a Service of Kubernetes lead elsewhere.
    Target(Key),
    /// What the operator wants of direct connections.
    Settings,
}

/// All that changed.
#[derive(Debug, Default)]
pub(super) struct Marks {
    set: Mutex<BTreeSet<Dirty>>,
    marked: Notify,
}

impl Marks {
    pub(super) fn mark(&self, dirty: Dirty) {
        let is_new = self.set.lock().unwrap_or_else(PoisonError::into_inner).insert(dirty);
        if is_new {
            self.marked.notify_one();
        }
    }

    /// Marks all that is there.
    pub(super) fn everything(&self, caches: &Caches) {
        let services = caches.kubernetes_services.keys().into_iter().map(Dirty::Service);
        let revisions = caches.revisions.keys().into_iter().map(Dirty::Service);
        let ingresses = caches.ingresses.keys().into_iter().map(Dirty::Ingress);
        services
            .chain(revisions)
            .chain(ingresses)
            .for_each(|dirty| self.mark(dirty));
    }

    pub(super) fn take(&self) -> BTreeSet<Dirty> {
        std::mem::take(&mut *self.set.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns when something is marked that was not taken.
    pub(super) async fn marked(&self) {
        self.marked.notified().await;
    }
}
