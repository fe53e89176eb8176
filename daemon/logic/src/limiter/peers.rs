// SPDX-License-Identifier: Apache-2.0
//! What this daemon owes its peers: who was refused a slot here, and which slots are kept for whom.
//!
//! Problem: a peer's request that was refused waits at the peer; nobody but this daemon knows when a slot frees.
//! Mechanism: a refused peer is remembered until it declines; a freed slot is kept for it and offered, in turn with the
//! requests that wait here. Numbers order refusals and offers, so that a late answer to an old offer undoes nothing newer.
//! Invariants: a peer refused after it was last offered a slot stays remembered.
//! Depends on: terms.

use super::terms::{NodeId, PodId};
use std::collections::VecDeque;

#[derive(Debug)]
struct Interest {
    peer: NodeId,
    /// When it was refused last.
    refused: u64,
}

#[derive(Debug)]
struct Kept {
    peer: NodeId,
    pod: PodId,
    /// The number of the offer: when it was made.
    offer: u64,
}

/// What peers wait for, and what is kept for them.
#[derive(Debug, Default)]
pub(super) struct Peers {
    interested: VecDeque<Interest>,
    kept: Vec<Kept>,
    /// Offers since a request that waited here took a slot of this node.
    offers_in_a_row: usize,
    clock: u64,
}

impl Peers {
    /// The peer was refused and wants to be offered a slot: the number of the refusal.
    pub(super) fn remember(&mut self, peer: NodeId) -> u64 {
        self.clock += 1;
        let refused = self.clock;
        match self.interested.iter_mut().find(|interest| interest.peer == peer) {
            Some(interest) => interest.refused = refused,
            None => self.interested.push_back(Interest { peer, refused }),
        }
        refused
    }

    pub(super) fn are_interested(&self) -> bool {
        !self.interested.is_empty()
    }

    /// How many there are that were refused.
    pub(super) fn interested(&self) -> usize {
        self.interested.len()
    }

    /// Whether a freed slot is a peer's: each peer has a turn, then the requests that wait here have one.
    pub(super) fn are_next(&self, someone_waits_here: bool) -> bool {
        self.are_interested() && (!someone_waits_here || self.offers_in_a_row < self.interested.len())
    }

    /// A request that waited here took a slot of this node.
    pub(super) fn note_own_turn(&mut self) {
        self.offers_in_a_row = 0;
    }

    /// Keeps a slot of the pod for the peer whose turn it is.
    pub(super) fn offer(&mut self, pod: PodId) -> Option<(NodeId, u64)> {
        let next = self.interested.pop_front()?;
        let peer = next.peer;
        self.interested.push_back(next);
        self.clock += 1;
        self.offers_in_a_row += 1;
        let offer = self.clock;
        self.kept.push(Kept { peer, pod, offer });
        Some((peer, offer))
    }

    /// Uses up the slot of the pod kept for the peer under this number, if it still is.
    pub(super) fn claim(&mut self, peer: NodeId, pod: PodId, offer: Option<u64>) -> bool {
        let is_it = |kept: &Kept| kept.peer == peer && kept.pod == pod && Some(kept.offer) == offer;
        let found = self.kept.iter().position(is_it);
        found.map(|index| self.kept.remove(index)).is_some()
    }

    /// Ends an offer: the pod whose slot was kept.
    pub(super) fn decline(&mut self, peer: NodeId, offer: u64) -> Option<PodId> {
        let found = self
            .kept
            .iter()
            .position(|kept| kept.peer == peer && kept.offer == offer)?;
        self.interested
            .retain(|interest| interest.peer != peer || interest.refused > offer);
        Some(self.kept.remove(found).pod)
    }

    /// Forgets all about a peer: the pods whose slots were kept, once for each.
    pub(super) fn forget(&mut self, peer: NodeId) -> Vec<PodId> {
        self.interested.retain(|interest| interest.peer != peer);
        let freed = self
            .kept
            .iter()
            .filter(|kept| kept.peer == peer)
            .map(|kept| kept.pod)
            .collect();
        self.kept.retain(|kept| kept.peer != peer);
        freed
    }
}
