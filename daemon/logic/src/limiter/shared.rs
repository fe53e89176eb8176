// SPDX-License-Identifier: Apache-2.0
//! The limiter between threads: futures that wait, guards that give back.
//!
//! Problem: many tasks ask one machine, any of them may be dropped at any moment, and nothing may be lost by that.
//! Mechanism: the machine and a seat for each waiting request (`seats`) stand behind one lock, held for one event only
//! (`lock`); wakers and messages to peers leave it first and are used outside. `admission` is a request's way through: a
//! guard's end is the request's end.
//! Invariants: the lock is never held while foreign code runs; each guard ends its ticket exactly once.
//! Depends on: machine, terms.

mod admission;
mod lock;
mod message;
mod seats;

pub use admission::{Admit, Admitted, Asking, Permit};
pub use lock::{Exclusive, Shared};
pub use message::{Message, Outbox};
pub use seats::Core;

use super::machine::Backends;
use super::terms::{Activators, Answer, Counts, NodeId, PodId};
use std::sync::Arc;

impl<L: Exclusive<Core>> Shared<L> {
    /// A request of this daemon, which holds so many bytes while it waits. Dropping the future gives it up.
    pub fn admit(self: &Arc<Self>, bytes: u64) -> Admit<L> {
        Admit::new(Arc::clone(self), bytes)
    }

    /// A request that a peer sends for this pod of this node (`Limiter::ask`).
    ///
    /// # Errors
    /// The number for `Rebuff::Busy` if there is no slot for it.
    pub fn ask(self: &Arc<Self>, peer: NodeId, pod: PodId, offer: Option<u64>) -> Result<Permit<L>, u64> {
        match self.change(|core| core.limiter.ask(peer, pod, offer)) {
            Answer::Granted(ticket) => Ok(Permit::new(Arc::clone(self), ticket, pod)),
            Answer::Busy(refusal) => Err(refusal),
        }
    }

    /// A pod's own node keeps a slot for this daemon (`Message::Offer`).
    pub fn offered(&self, node: NodeId, pod: PodId, offer: u64) {
        self.change(|core| core.limiter.offered(node, pod, offer));
    }

    /// A peer declined an offer (`Message::Decline`), or did not answer it in time.
    pub fn declined(&self, peer: NodeId, offer: u64) {
        self.change(|core| core.limiter.declined(peer, offer));
    }

    /// A peer's daemon is gone or new.
    pub fn peer_gone(&self, peer: NodeId) {
        self.change(|core| core.limiter.peer_gone(peer));
    }

    /// A pod's own node cannot be asked any more, or can be again (`Limiter::owner_gone`).
    pub fn owner_gone(&self, node: NodeId) {
        self.change(|core| core.limiter.owner_gone(node));
    }

    /// A peer does not ask here any more, or anew (`Limiter::asker_gone`).
    pub fn asker_gone(&self, peer: NodeId) {
        self.change(|core| core.limiter.asker_gone(peer));
    }

    /// Where requests can go from now on.
    pub fn set_backends(&self, backends: Backends<'_>) {
        self.change(|core| core.limiter.set_backends(backends));
    }

    /// A pod takes no new requests.
    pub fn drain(&self, pod: PodId) {
        self.change(|core| core.limiter.drain(pod));
    }

    /// Where this daemon stands among those in the revision's path.
    pub fn set_activators(&self, activators: Activators) {
        self.change(|core| core.limiter.set_activators(activators));
    }

    /// How many requests may run from here at once.
    pub fn set_limit(&self, limit: u32) {
        self.change(|core| core.limiter.set_limit(limit));
    }

    /// How many requests were in flight on a pod just now, from everywhere.
    pub fn set_in_flight(&self, pod: PodId, in_flight: u32) {
        self.change(|core| core.limiter.set_in_flight(pod, in_flight));
    }

    /// How many slots of a pod are taken, as far as this daemon knows.
    pub fn running_on(&self, pod: PodId) -> u32 {
        self.with(|core| core.limiter.running_on(pod))
    }

    /// How many there are of each.
    pub fn counts(&self) -> Counts {
        self.with(|core| core.limiter.counts())
    }
}
