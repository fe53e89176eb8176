// SPDX-License-Identifier: Apache-2.0
//! The machine: each event changes the state at once and leaves what the caller has to do.
//!
//! Mechanism: a request takes a slot of a pod that `pods` picks, or waits in `requests`; whatever frees a slot or brings a
//! pod starts those that waited longest. `exchange` is about slots of other nodes and slots kept for them, `members` about
//! pods and daemons that come and go.
//! Invariants: those of the module above; events that fit nothing (an ended ticket, an unknown pod) change nothing.
//! Depends on: terms, requests, pods, peers, arithmetic, random.

mod exchange;
mod members;

use super::peers::Peers;
use super::pods::Pods;
use super::random::Random;
use super::requests::{Era, Requests, Stage};
use super::terms::{
    Activators, Admission, Ask, Counts, Effect, Home, PodId, PodSpec, QueueBound, Refusal, Settings, Ticket,
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
    era: Era,
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
            era: 0,
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
            Stage::Asking(..) => self.answered(ticket),
            Stage::ForPeer(..) => self.counts.for_peers -= 1,
        }
        self.requests.remove(ticket);
        match stage {
            Stage::Running(number) | Stage::Asking(number, _) | Stage::ForPeer(number, _) => self.free(number),
            Stage::Waiting | Stage::Ended => {}
        }
        true
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

    /// How many slots of a pod are taken, as far as this daemon knows.
    #[must_use]
    pub fn running_on(&self, pod: PodId) -> u32 {
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
                self.requests.set_stage(ticket, Stage::Asking(number, self.era));
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

    /// Gives a slot back, and to whom it falls.
    fn free(&mut self, number: u32) {
        self.pods.give_back(number);
        if self.peers.are_next(self.counts.waiting > 0) {
            self.offer(number);
        }
        self.start_waiting();
        self.offer(number);
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

    fn is_own(&self, number: u32) -> bool {
        self.pods.pod(number).is_some_and(|pod| pod.home == Home::Here)
    }
}
