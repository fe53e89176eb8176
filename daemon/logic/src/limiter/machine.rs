// SPDX-License-Identifier: Apache-2.0
//! The machine: each event changes the state at once and leaves what the caller has to do.
//!
//! Mechanism: a request takes a slot of a pod that `pods` picks, or waits in `requests`; whatever frees a slot or brings a
//! pod starts those that waited longest. A pod of another node is asked for its slot; one of this node that a peer was
//! refused is offered to that peer when it frees, in turn with the requests that wait here (`peers`).
//! Invariants: those of the module above; events that fit nothing (an ended ticket, an unknown pod) change nothing.
//! Depends on: terms, requests, pods, peers, arithmetic, random.

use super::arithmetic::{MAX_CAPACITY, calculate_capacity};
use super::peers::Peers;
use super::pods::{Belief, Pods};
use super::random::Random;
use super::requests::{Requests, Stage};
use super::terms::{
    Activators, Admission, Answer, Ask, Counts, Effect, Home, NodeId, PodId, PodSpec, QueueBound, Rebuff, Refusal,
    Settings, Ticket,
};
use std::collections::VecDeque;

/// Where the requests of a revision can go.
#[derive(Debug, Clone, Copy)]
pub enum Backends<'a> {
    /// To these pods, in the order in which they are preferred and sliced: Knative's is that of their `ip:port` as text.
    Pods(&'a [PodSpec]),
    /// To one address that stands for so many ready pods, each unknown by itself (mesh, cluster IP).
    Shared(PodId, u32),
}

/// Capacity, queue and choice of pod of one revision at one daemon.
#[derive(Debug)]
pub struct Limiter {
    settings: Settings,
    pods: Pods,
    requests: Requests,
    peers: Peers,
    random: Random,
    counts: Counts,
    activators: Activators,
    /// Ready pods behind a shared address.
    behind_shared: u32,
    /// How many may run here, as the caller set it.
    limit: u32,
    /// The same, as the capacity behind a shared address sets it.
    gate: u32,
    effects: VecDeque<Effect>,
}

impl Limiter {
    /// A revision without pods: every request waits. `seed` makes the random choices.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            pods: Pods::new(settings.container_concurrency, settings.beyond_slice),
            settings,
            requests: Requests::new(),
            peers: Peers::default(),
            random: Random::new(seed),
            counts: Counts::default(),
            activators: Activators::default(),
            behind_shared: 0,
            limit: u32::MAX,
            gate: u32::MAX,
            effects: VecDeque::new(),
        }
    }

    /// A request of this daemon; `bytes` is what it holds while it waits.
    pub fn arrive(&mut self, bytes: u64) -> Admission {
        if self.is_full_of_present() {
            return Admission::Refused(Refusal::QueueFull);
        }
        if self.counts.waiting == 0
            && let Some(number) = self.pick()
        {
            let ticket = self.requests.add(bytes);
            return self.place(ticket, number);
        }
        if let QueueBound::Waiting(most) = self.settings.queue
            && self.counts.waiting.saturating_add(self.counts.asking) >= most
        {
            return Admission::Refused(Refusal::QueueFull);
        }
        if { self.counts.waiting_bytes.saturating_add(self.counts.asking_bytes) }.saturating_add(bytes)
            > self.settings.queue_bytes
        {
            return Admission::Refused(Refusal::QueueBytesFull);
        }
        let ticket = self.requests.add(bytes);
        self.wait(ticket);
        Admission::Wait(ticket)
    }

    /// A request that takes a slot now or goes: Knative's `Reserve`.
    pub fn arrive_or_leave(&mut self, bytes: u64) -> Admission {
        if self.is_full_of_present() {
            return Admission::Refused(Refusal::QueueFull);
        }
        if self.counts.waiting > 0 {
            return Admission::Refused(Refusal::Busy);
        }
        match self.pick() {
            Some(number) => {
                let ticket = self.requests.add(bytes);
                self.place(ticket, number)
            }
            None => Admission::Refused(Refusal::Busy),
        }
    }

    /// A request is over, whatever it was doing: it ran, it waited, or a peer was being asked. False if it was over already.
    pub fn end(&mut self, ticket: Ticket) -> bool {
        let stage = self.requests.stage(ticket);
        match stage {
            Stage::Ended => return false,
            Stage::Waiting => self.leave_queue(ticket),
            Stage::Running(_) => self.counts.running -= 1,
            Stage::Asking(_) => self.answered(ticket),
            Stage::ForPeer(..) => self.counts.for_peers -= 1,
        }
        self.requests.remove(ticket);
        match stage {
            Stage::Running(number) | Stage::Asking(number) | Stage::ForPeer(number, _) => self.free(number),
            Stage::Waiting | Stage::Ended => {}
        }
        true
    }

    /// The pod's own node takes the request. False if the request is gone: then the node must be told.
    pub fn granted(&mut self, ticket: Ticket) -> bool {
        let Stage::Asking(number) = self.requests.stage(ticket) else {
            return false;
        };
        self.answered(ticket);
        self.requests.set_stage(ticket, Stage::Running(number));
        self.counts.running += 1;
        true
    }

    /// The pod's own node does not take the request: what becomes of it instead, `None` if it is gone.
    pub fn refused(&mut self, ticket: Ticket, why: Rebuff) -> Option<Admission> {
        let Stage::Asking(number) = self.requests.stage(ticket) else {
            return None;
        };
        self.answered(ticket);
        match why {
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

    /// An offer is not taken up. The node forgets that we wait, so what it said is forgotten too: who still waits asks again.
    pub fn return_offer(&mut self, node: NodeId, pod: PodId, offer: u64) {
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
        self.pods.forget_refusals(peer, 0);
        for pod in self.peers.forget(peer) {
            self.unkeep(pod);
        }
        self.start_waiting();
    }

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

    /// What has to be done next because of an earlier event; ask until there is nothing.
    pub fn next_effect(&mut self) -> Option<Effect> {
        loop {
            let effect = self.effects.pop_front()?;
            match effect {
                // The request ended before anyone was told that it starts.
                Effect::Start(ticket, _) if self.requests.stage(ticket) == Stage::Ended => {}
                Effect::Ask(ask) if self.requests.stage(ask.ticket) == Stage::Ended => {
                    if let Some(offer) = ask.offer {
                        self.return_offer(ask.node, ask.pod, offer);
                    }
                }
                _ => return Some(effect),
            }
        }
    }

    /// How many there are of each.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The revision's capacity at this daemon as Knative states it: 0 or 1 for any concurrency (data-plane spec 3.4).
    #[must_use]
    pub fn capacity(&self) -> u32 {
        let own = u32::try_from(self.pods.assigned().count()).unwrap_or(u32::MAX);
        let concurrency = self.settings.container_concurrency;
        let capacity = calculate_capacity(concurrency, self.backends(), own, self.activators.count);
        let most = if concurrency == 0 { 1 } else { MAX_CAPACITY };
        let empty = self.backends() == 0;
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

    fn is_full_of_present(&self) -> bool {
        matches!(self.settings.queue, QueueBound::Present(most) if self.counts.present() >= most)
    }

    fn may_run(&self) -> bool {
        self.counts.running.saturating_add(self.counts.asking) < self.limit.min(self.gate)
    }

    fn pick(&mut self) -> Option<u32> {
        if self.may_run() {
            self.pods.pick(&mut self.random)
        } else {
            None
        }
    }

    /// Gives the request a slot of the pod, which has room.
    fn place(&mut self, ticket: Ticket, number: u32) -> Admission {
        self.pods.take(number);
        let Some(pod) = self.pods.pod(number) else {
            return Admission::Refused(Refusal::Busy);
        };
        match pod.home {
            Home::Peer(node) if self.settings.container_concurrency > 0 => {
                let id = pod.id;
                self.counts.asking += 1;
                self.counts.asking_bytes += self.requests.bytes(ticket);
                self.requests.set_stage(ticket, Stage::Asking(number));
                Admission::Ask(Ask {
                    ticket,
                    pod: id,
                    node,
                    offer: None,
                })
            }
            Home::Here | Home::Peer(_) => {
                let id = pod.id;
                self.counts.running += 1;
                self.requests.set_stage(ticket, Stage::Running(number));
                Admission::Start(ticket, id)
            }
        }
    }

    fn wait(&mut self, ticket: Ticket) {
        self.requests.enqueue(ticket);
        self.counts.waiting += 1;
        self.counts.waiting_bytes += self.requests.bytes(ticket);
    }

    fn leave_queue(&mut self, ticket: Ticket) {
        self.requests.dequeue(ticket);
        self.counts.waiting -= 1;
        self.counts.waiting_bytes -= self.requests.bytes(ticket);
    }

    /// The ask is over, one way or the other; the slot is still taken.
    fn answered(&mut self, ticket: Ticket) {
        self.counts.asking -= 1;
        self.counts.asking_bytes -= self.requests.bytes(ticket);
    }

    /// Gives a slot back, and to whom it falls.
    fn free(&mut self, number: u32) {
        self.pods.give_back(number);
        if self.peers.are_next(self.counts.waiting > 0) {
            self.offer(number);
        }
        self.start_waiting();
        self.offer(number);
    }

    /// Keeps a free slot of a pod of this node for the peer whose turn it is.
    fn offer(&mut self, number: u32) {
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

    /// Why the request, which a peer refused, cannot wait.
    fn no_place_in_queue(&self, ticket: Ticket) -> Option<Refusal> {
        let bytes = self.counts.waiting_bytes.saturating_add(self.requests.bytes(ticket));
        match self.settings.queue {
            QueueBound::Waiting(most) if self.counts.waiting >= most => Some(Refusal::QueueFull),
            _ if bytes > self.settings.queue_bytes => Some(Refusal::QueueBytesFull),
            _ => None,
        }
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

    /// Offers the room of this node's pods, one slot of each pod to each peer that was refused.
    fn offer_room(&mut self) {
        for number in self.pods.numbers() {
            for _ in 0..self.peers.interested() {
                self.offer(number);
            }
        }
    }

    /// Starts those that wait, oldest first, as long as there is room.
    fn start_waiting(&mut self) {
        while let Some(ticket) = self.requests.front()
            && let Some(number) = self.pick()
        {
            self.leave_queue(ticket);
            if self.is_own(number) {
                self.peers.note_own_turn();
            }
            let admission = self.place(ticket, number);
            self.announce(admission);
        }
    }

    fn announce(&mut self, admission: Admission) {
        match admission {
            Admission::Start(ticket, pod) => self.effects.push_back(Effect::Start(ticket, pod)),
            Admission::Ask(ask) => self.effects.push_back(Effect::Ask(ask)),
            Admission::Wait(_) | Admission::Refused(_) => {}
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

    fn is_own(&self, number: u32) -> bool {
        self.pods.pod(number).is_some_and(|pod| pod.home == Home::Here)
    }
}
