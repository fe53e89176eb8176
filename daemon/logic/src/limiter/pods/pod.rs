// SPDX-License-Identifier: Apache-2.0
//! One pod: whose it is, what of it is in use, what is known of the rest.
//!
//! Depends on: terms.

use crate::limiter::terms::{Home, PodId};

/// No place in the order.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Whether a peer's pod is worth asking for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::limiter) enum Belief {
    /// It may have room.
    Open,
    /// Its node refused, and will offer when that changes.
    Full,
    /// Its node does not answer.
    Unreachable,
}

/// One pod.
#[derive(Debug)]
pub(in crate::limiter) struct Pod {
    pub(in crate::limiter) id: PodId,
    pub(in crate::limiter) home: Home,
    /// Its place in the order; `NOWHERE` if it takes no new requests.
    pub(super) position: u32,
    /// Slots in use as far as this daemon knows: its own requests, peers' ones, and those kept for peers.
    pub(super) used: u32,
    /// What its node said.
    pub(super) belief: Belief,
    /// The number of the last offer of its node that was declined: it forgot what it had refused before.
    pub(super) declined: u64,
    /// In-flight requests when they were last read, and what was in use here then.
    pub(super) read: Option<(u32, u32)>,
}

impl Pod {
    pub(super) fn new(id: PodId, home: Home) -> Self {
        Self {
            id,
            home,
            position: NOWHERE,
            used: 0,
            belief: Belief::Open,
            declined: 0,
            read: None,
        }
    }

    /// Requests in flight on it: what was read last and what was assigned here since, but no less than is in use here.
    pub(super) fn busyness(&self) -> u32 {
        match self.read {
            Some((in_flight, used)) => (in_flight.saturating_add(self.used))
                .saturating_sub(used)
                .max(self.used),
            None => self.used,
        }
    }
}
