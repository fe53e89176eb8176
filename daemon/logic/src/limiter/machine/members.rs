// SPDX-License-Identifier: Apache-2.0
//! Which pods there are, which daemons share them, and what capacity follows.
//!
//! Invariants: a change interrupts nothing that runs; whatever makes room starts those that waited longest at once.
//! Depends on: the machine's state, terms, arithmetic.

use super::{Backends, Limiter};
use crate::limiter::arithmetic::{MAX_CAPACITY, calculate_capacity};
use crate::limiter::terms::{Activators, PodId};

impl Limiter {
    /// Where the requests can go from now on. What runs elsewhere runs on.
    pub fn set_backends(&mut self, backends: Backends<'_>) {
        match backends {
            Backends::Pods(pods) => {
                self.behind_shared = 0;
                self.pods.list(pods, self.activators);
            }
            Backends::Shared(address, ready) => {
                self.behind_shared = ready;
                self.pods.share(address);
            }
        }
        self.recalculate();
    }

    /// A pod takes no new requests from now on, until it is listed as accepting again.
    pub fn drain(&mut self, pod: PodId) {
        if let Some(number) = self.pods.number_of(pod) {
            self.pods.retire(number, self.activators);
            self.recalculate();
        }
    }

    /// Where this daemon stands among those in the revision's path.
    pub fn set_activators(&mut self, activators: Activators) {
        self.activators = activators;
        if !self.pods.is_shared() {
            self.pods.assign(activators);
        }
        self.recalculate();
    }

    /// How many requests may run from here at once, whatever the pods allow. What runs is never interrupted.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
        self.start_waiting();
    }

    /// How many requests were in flight on a pod just now, from everywhere.
    pub fn set_in_flight(&mut self, pod: PodId, in_flight: u32) {
        if let Some(number) = self.pods.number_of(pod) {
            self.pods.read(number, in_flight);
        }
    }

    /// The revision's capacity at this daemon as Knative states it: 0 or 1 for any concurrency (data-plane spec 3.4).
    #[must_use]
    pub fn capacity(&self) -> u32 {
        let own = u32::try_from(self.pods.assigned().count()).unwrap_or(u32::MAX);
        let concurrency = self.settings.container_concurrency;
        let capacity = calculate_capacity(concurrency, self.backends(), own, self.activators.count);
        let most = if concurrency == 0 { 1 } else { MAX_CAPACITY };
        let empty = self.backends() == 0;
        let capacity = u32::try_from(capacity).unwrap_or(u32::MAX);
        if empty { 0 } else { capacity.min(most) }
    }

    /// How many requests may run from here at once, as it was set.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Ready pods of the revision.
    #[must_use]
    pub fn backends(&self) -> u32 {
        let listed = u32::try_from(self.pods.len()).unwrap_or(u32::MAX);
        if self.pods.is_shared() {
            self.behind_shared
        } else {
            listed
        }
    }

    /// The pods of this daemon's slice, in order.
    pub fn assigned(&self) -> impl Iterator<Item = PodId> {
        self.pods.assigned()
    }

    /// Where this daemon stands among those in the revision's path, as it was told.
    #[must_use]
    pub fn activators(&self) -> Activators {
        self.activators
    }

    /// Slots in use on a pod as far as this daemon knows: all of them if it is of this node.
    #[must_use]
    pub fn in_use(&self, pod: PodId) -> u32 {
        self.pods.number_of(pod).map_or(0, |number| self.pods.used(number))
    }

    fn recalculate(&mut self) {
        self.gate = match self.pods.is_shared() && self.settings.gated {
            true if self.settings.container_concurrency > 0 => self.capacity(),
            true if self.behind_shared == 0 => 0,
            _ => u32::MAX,
        };
        self.start_waiting();
        if self.peers.are_interested() {
            self.offer_room();
        }
    }
}
