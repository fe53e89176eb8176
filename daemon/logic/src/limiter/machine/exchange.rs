// SPDX-License-Identifier: Apache-2.0
//! Slots that cross nodes: asking a pod's own node, answering the peers that ask this one, offers in between.
//!
//! Mechanism: who is refused is remembered (`peers`); a slot that frees is kept for him and offered. What he refused stays
//! refused until his offer, his return, or a new list of pods. A late answer from before a peer was lost changes nothing.
//! Invariants: each offer made ends once, by an ask, a decline or the peer's end; who is refused by a peer returns to where
//! he stood in the queue.
//! Depends on: the machine's state, terms, requests, pods.

use super::Limiter;
use crate::limiter::pods::Belief;
use crate::limiter::requests::Stage;
use crate::limiter::terms::{Admission, Answer, Ask, Effect, NodeId, PodId, QueueBound, Rebuff, Refusal, Ticket};

impl Limiter {
    /// The pod's own node takes the request. False if the request is gone: then the node must be told.
    pub fn granted(&mut self, ticket: Ticket) -> bool {
        let Stage::Asking(number, _) = self.requests.stage(ticket) else {
            return false;
        };
        self.answered(ticket);
        self.requests.set_stage(ticket, Stage::Running(number));
        self.counts.running += 1;
        true
    }

    /// The pod's own node does not take the request: what becomes of it instead, `None` if it is gone.
    pub fn refused(&mut self, ticket: Ticket, why: Rebuff) -> Option<Admission> {
        let Stage::Asking(number, era) = self.requests.stage(ticket) else {
            return None;
        };
        self.answered(ticket);
        match why {
            // A peer was lost since: it may have been this one, and then it knows nothing of its refusal.
            _ if era != self.era => {}
            Rebuff::Busy(refusal) => {
                self.pods.note_refusal(number, refusal);
            }
            Rebuff::Unreachable => self.pods.believe(number, Belief::Unreachable),
        }
        self.requests.set_stage(ticket, Stage::Ended);
        self.pods.give_back(number);
        if let Some(refusal) = self.no_place_in_queue(ticket) {
            self.requests.remove(ticket);
            self.start_waiting();
            return Some(Admission::Refused(refusal));
        }
        self.wait(ticket);
        // Those before it go first; what became of it is the answer.
        self.start_waiting();
        Some(self.whereabouts(ticket))
    }

    /// A peer asks for a slot of a pod of this node, maybe for the one that it was offered under this number.
    pub fn ask(&mut self, peer: NodeId, pod: PodId, offer: Option<u64>) -> Answer {
        let kept_for_it = self.peers.claim(peer, pod, offer);
        let number = self.pods.number_of(pod).filter(|number| self.is_own(*number));
        let Some(number) = number.filter(|number| self.pods.is_accepting(*number)) else {
            if kept_for_it {
                self.unkeep(pod);
            }
            return Answer::Busy(self.peers.remember(peer));
        };
        if kept_for_it {
            self.counts.offered -= 1;
            // It may have more that wait: while there is room, each offer taken up brings the next one.
            self.offer(number);
        } else if self.pods.has_room(number) {
            self.pods.take(number);
        } else {
            return Answer::Busy(self.peers.remember(peer));
        }
        let ticket = self.requests.add(0);
        self.requests.set_stage(ticket, Stage::ForPeer(number, peer));
        self.counts.for_peers += 1;
        Answer::Granted(ticket)
    }

    /// A pod's own node keeps a slot for this daemon.
    pub fn offered(&mut self, node: NodeId, pod: PodId, offer: u64) {
        // The node counts, not we: a request of ours may have ended there already.
        let number = self
            .pods
            .number_of(pod)
            .filter(|number| self.pods.is_accepting(*number));
        match (number, self.requests.front()) {
            (Some(number), Some(ticket)) if self.may_run() => {
                self.leave_queue(ticket);
                let mut admission = self.place(ticket, number);
                if let Admission::Ask(ask) = &mut admission {
                    ask.offer = Some(offer);
                }
                self.announce(admission);
            }
            _ => self.return_offer(node, pod, offer),
        }
    }

    /// A request for which a node is to be asked, or is being asked, is over; an offer that it was to take up is returned.
    /// If the node was asked after all, that fits nothing there. False if it was over already.
    pub fn give_up(&mut self, ask: Ask) -> bool {
        let is_of_this_era = matches!(self.requests.stage(ask.ticket), Stage::Asking(_, era) if era == self.era);
        let was_here = self.end(ask.ticket);
        if let Some(offer) = ask.offer.filter(|_| is_of_this_era) {
            self.return_offer(ask.node, ask.pod, offer);
        }
        was_here
    }

    /// An offer is not taken up. The node forgets that we wait, so what it said is forgotten too: who still waits asks again.
    pub(super) fn return_offer(&mut self, node: NodeId, pod: PodId, offer: u64) {
        self.effects.push_back(Effect::Decline(node, pod, offer));
        self.pods.forget_refusals(node, offer);
        self.start_waiting();
    }

    /// A peer does not want the slot that was offered under this number, or did not answer in time.
    pub fn declined(&mut self, peer: NodeId, offer: u64) {
        if let Some(pod) = self.peers.decline(peer, offer) {
            self.unkeep(pod);
        }
    }

    /// A peer's daemon is gone or new: nothing it said or was told holds any more. Its requests end one by one.
    pub fn peer_gone(&mut self, peer: NodeId) {
        self.forget_owner(peer);
        for pod in self.peers.forget(peer) {
            self.unkeep(pod);
        }
        self.start_waiting();
    }

    /// The half of `peer_gone` that is about asking it: what that node refused is forgotten, so who waits asks anew.
    pub fn owner_gone(&mut self, node: NodeId) {
        self.forget_owner(node);
        self.start_waiting();
    }

    /// The half of `peer_gone` that is about its asking here: it waits for nothing, and no slot is kept for it.
    pub fn asker_gone(&mut self, peer: NodeId) {
        for pod in self.peers.forget(peer) {
            self.unkeep(pod);
        }
        self.start_waiting();
    }

    fn forget_owner(&mut self, node: NodeId) {
        self.era = self.era.wrapping_add(1);
        self.pods.forget_refusals(node, 0);
    }

    /// The ask is over, one way or the other; the slot is still taken.
    pub(super) fn answered(&mut self, ticket: Ticket) {
        self.counts.asking -= 1;
        self.counts.asking_bytes -= self.requests.bytes(ticket);
    }

    /// Why the request, which a peer refused, cannot wait.
    fn no_place_in_queue(&self, ticket: Ticket) -> Option<Refusal> {
        let bytes = self.counts.waiting_bytes.saturating_add(self.requests.bytes(ticket));
        match self.settings.queue {
            QueueBound::Waiting(most) if self.counts.waiting >= most => Some(Refusal::QueueFull),
            _ if bytes > self.settings.queue_bytes => Some(Refusal::QueueBytesFull),
            _ => None,
        }
    }

    /// Where the request got to just now; its own effect, if there is one, becomes the answer.
    fn whereabouts(&mut self, ticket: Ticket) -> Admission {
        let own = self.effects.iter().position(|effect| match effect {
            Effect::Start(started, _) => *started == ticket,
            Effect::Ask(ask) => ask.ticket == ticket,
            Effect::Offer(..) | Effect::Decline(..) => false,
        });
        match own.and_then(|position| self.effects.remove(position)) {
            Some(Effect::Start(ticket, pod)) => Admission::Start(ticket, pod),
            Some(Effect::Ask(ask)) => Admission::Ask(ask),
            _ => Admission::Wait(ticket),
        }
    }

    /// Keeps a free slot of a pod of this node for the peer whose turn it is.
    pub(super) fn offer(&mut self, number: u32) {
        if !self.peers.are_interested() || !self.pods.has_room(number) || !self.is_own(number) {
            return;
        }
        let Some(pod) = self.pods.pod(number).map(|pod| pod.id) else {
            return;
        };
        if let Some((peer, offer)) = self.peers.offer(pod) {
            self.pods.take(number);
            self.counts.offered += 1;
            self.effects.push_back(Effect::Offer(peer, pod, offer));
        }
    }

    /// A slot kept for a peer is free again.
    fn unkeep(&mut self, pod: PodId) {
        self.counts.offered -= 1;
        if let Some(number) = self.pods.number_of(pod) {
            self.free(number);
        }
    }

    /// Offers the room of this node's pods, one slot of each pod to each peer that was refused.
    pub(super) fn offer_room(&mut self) {
        for number in self.pods.numbers() {
            for _ in 0..self.peers.interested() {
                self.offer(number);
            }
        }
    }
}
