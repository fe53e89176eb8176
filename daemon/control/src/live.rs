// SPDX-License-Identifier: Apache-2.0
//! What the data plane tells the controllers: how loaded revisions are, and what the gateways run.
//!
//! Problem: the autoscaler must know every request in flight, wherever it waits or runs, without asking the API server or
//! any pod, and hear of a burst before its next tick.
//! Mechanism: [`Live`] is asked; it answers from counters in memory. Bursts come by themselves through [`Bursts`]: a set,
//! so that a thousand events of one revision are one look at it.
//! Invariants: no answer waits for anything; no request is counted twice (in flight = in the pods, by the kernel's count,
//! and held by gateways); no burst is lost, however slow the listener.
//! Depends on: key, logic::kpa.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use logic::kpa::Reading;
use tokio::sync::{Notify, watch};

use crate::key::Key;

/// The load of a revision at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// What was counted since the beginning: requests in its pods, and requests that gateways hold.
    pub reading: Reading,
    /// Requests now, in its pods and held.
    pub in_flight: u64,
    /// Of those, the ones that gateways hold.
    pub held: u64,
}

/// A pod, as the data plane sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivePod {
    /// Its UID.
    pub uid: String,
    /// Requests in it now.
    pub in_flight: u64,
    /// Whether it answered its probe: often long before Kubernetes says so.
    pub is_ready: bool,
}

/// What the data plane knows. Revisions are named by namespace and name.
pub trait Live: Send + Sync {
    /// The load of a revision; none while nobody counts it.
    fn load(&self, revision: &Key) -> Option<Load>;

    /// The pods of a revision that the data plane knows, in no order.
    fn pods(&self, revision: &Key) -> Vec<LivePod>;

    /// Whether every gateway would hold a request for this revision until there is a pod: asked before its last pod goes.
    fn is_held(&self, revision: &Key) -> bool;

    /// The version of the newest [`crate::gateway::Programme`] that every gateway runs; 0: none yet.
    fn programmed(&self) -> watch::Receiver<u64>;

    /// From this many requests in flight on, a burst is to be told; who cannot count may ignore it.
    fn expect(&self, revision: &Key, in_flight: u64) {
        let _ = (revision, in_flight);
    }

    /// Where bursts are told.
    fn bursts(&self) -> Bursts;
}

/// Revisions whose load jumped; clones are the same set. One listens, anybody tells.
#[derive(Clone, Debug, Default)]
pub struct Bursts {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    revisions: Mutex<BTreeSet<Key>>,
    told: Notify,
}

impl Bursts {
    /// No burst.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The load of this revision jumped, or a request came for it while it has no pod.
    pub fn tell(&self, revision: Key) {
        let is_new = self.revisions().insert(revision);
        if is_new {
            self.shared.told.notify_one();
        }
    }

    /// Waits until there is one, and gives all there are.
    pub async fn next(&self) -> BTreeSet<Key> {
        loop {
            let all = std::mem::take(&mut *self.revisions());
            if !all.is_empty() {
                return all;
            }
            self.shared.told.notified().await;
        }
    }

    fn revisions(&self) -> std::sync::MutexGuard<'_, BTreeSet<Key>> {
        self.shared.revisions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thousand_events_of_one_revision_are_one_look() {
        let bursts = Bursts::new();
        for _ in 0..1000 {
            bursts.tell(Key::new("default", "a"));
        }
        bursts.tell(Key::new("default", "b"));
        assert_eq!(bursts.next().await.len(), 2);
    }

    #[tokio::test]
    async fn a_burst_wakes_who_waits() {
        let bursts = Bursts::new();
        let told = bursts.clone();
        let (heard, ()) = tokio::join!(bursts.next(), async move {
            tokio::task::yield_now().await;
            told.tell(Key::new("default", "a"));
        });
        assert_eq!(heard, BTreeSet::from([Key::new("default", "a")]));
    }
}
