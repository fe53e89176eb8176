// SPDX-License-Identifier: Apache-2.0
//! The pods of a revision, in the order in which they are preferred, and what of each is in use.
//!
//! Mechanism: pods that take requests stand in an order, those of this daemon's slice first; a bit for each says whether it
//! has room (`free`); `choice` picks one. What runs on a pod is counted by the pod, not by its place in the order (`known`).
//! Invariants: a pod with something in use stays known until that ends, and keeps its count when it is listed again.
//! Depends on: terms, arithmetic, free.

mod choice;
mod known;
mod pod;

pub(super) use pod::Belief;

use super::arithmetic::Slice;
use super::free::FreeSet;
use super::terms::{Activators, Home, NodeId, PodId, PodSpec};
use known::Known;
use pod::{NOWHERE, Pod};
use std::collections::HashSet;

/// The pods, by a small number that stays while the pod is known.
#[derive(Debug)]
pub(super) struct Pods {
    /// Slots a pod; 0: any number.
    concurrency: u32,
    beyond_slice: bool,
    known: Known,
    /// Those that take requests, as listed.
    listed: Vec<u32>,
    /// The same, the slice's ones first.
    order: Vec<u32>,
    assigned: usize,
    room: FreeSet,
    /// Where the turn is, in the slice and beyond it.
    turns: [usize; 2],
    /// A shared address instead of pods.
    shared: Option<u32>,
}

impl Pods {
    pub(super) fn new(concurrency: u32, beyond_slice: bool) -> Self {
        Self {
            concurrency,
            beyond_slice,
            known: Known::default(),
            listed: Vec::new(),
            order: Vec::new(),
            assigned: 0,
            room: FreeSet::default(),
            turns: [0; 2],
            shared: None,
        }
    }

    /// These, and no others, take requests from now on.
    pub(super) fn list(&mut self, pods: &[PodSpec], activators: Activators) {
        self.clear();
        let mut seen = HashSet::with_capacity(pods.len());
        for spec in pods.iter().filter(|spec| seen.insert(spec.id)) {
            let number = self.known.know(spec.id, spec.home);
            if self
                .known
                .get(number)
                .is_some_and(|pod| pod.belief == Belief::Unreachable)
            {
                self.believe(number, Belief::Open);
            }
            if spec.accepting {
                self.listed.push(number);
            }
        }
        self.assign(activators);
        self.forget_unused();
    }

    /// This one address takes all requests from now on.
    pub(super) fn share(&mut self, address: PodId) {
        self.clear();
        self.shared = Some(self.known.know(address, Home::Here));
        self.assign(Activators::default());
        self.forget_unused();
    }

    /// Orders the pods anew for this place among the activators.
    pub(super) fn assign(&mut self, activators: Activators) {
        let len = self.listed.len();
        let slice = match self.concurrency {
            0 => Slice::of(len, None, 0),
            _ => Slice::of(len, activators.index, activators.count),
        };
        let in_slice = |wanted: bool| {
            let of_list = self.listed.iter().enumerate();
            of_list.filter(move |(position, _)| slice.contains(*position) == wanted)
        };
        let mut order: Vec<u32> = in_slice.clone()(true).map(|(_, number)| *number).collect();
        self.assigned = order.len();
        if self.beyond_slice {
            order.extend(in_slice(false).map(|(_, number)| *number));
        }
        for pod in self.known.iter_mut() {
            pod.position = NOWHERE;
        }
        self.room.reset(order.len());
        self.order = order;
        for position in 0..self.order.len() {
            if let Some(number) = self.order.get(position).copied() {
                if let Some(pod) = self.known.get_mut(number) {
                    pod.position = position as u32;
                }
                self.note_room(number);
            }
        }
    }

    /// No new requests for this one, until it is listed again.
    pub(super) fn retire(&mut self, number: u32, activators: Activators) {
        self.listed.retain(|listed| *listed != number);
        self.assign(activators);
        self.forget_if_unused(number);
    }

    /// Takes a slot; it must have room.
    pub(super) fn take(&mut self, number: u32) {
        if let Some(pod) = self.known.get_mut(number) {
            pod.used += 1;
        }
        self.note_room(number);
    }

    /// Gives a slot back; forgets a pod that takes no requests and has no others.
    pub(super) fn give_back(&mut self, number: u32) {
        if let Some(pod) = self.known.get_mut(number) {
            pod.used = pod.used.saturating_sub(1);
        }
        self.note_room(number);
        self.forget_if_unused(number);
    }

    /// Its node refused under this number. False if it has forgotten that since: then it must be asked again.
    pub(super) fn note_refusal(&mut self, number: u32, refusal: u64) -> bool {
        let holds = self.known.get(number).is_some_and(|pod| refusal > pod.declined);
        if holds {
            self.believe(number, Belief::Full);
        }
        holds
    }

    pub(super) fn believe(&mut self, number: u32, belief: Belief) {
        if let Some(pod) = self.known.get_mut(number) {
            pod.belief = belief;
        }
        self.note_room(number);
    }

    /// That node forgets what it refused before this offer; 0: it starts anew.
    pub(super) fn forget_refusals(&mut self, node: NodeId, offer: u64) {
        for number in 0..self.known.end() {
            if let Some(pod) = self.known.get_mut(number)
                && pod.home == Home::Peer(node)
            {
                pod.declined = if offer == 0 { 0 } else { offer.max(pod.declined) };
                self.believe(number, Belief::Open);
            }
        }
    }

    pub(super) fn read(&mut self, number: u32, in_flight: u32) {
        if let Some(pod) = self.known.get_mut(number) {
            pod.read = Some((in_flight, pod.used));
        }
    }

    /// Whether it may take one more.
    pub(super) fn has_room(&self, number: u32) -> bool {
        self.known.get(number).is_some_and(|pod| {
            let fits = self.concurrency == 0 || pod.used < self.concurrency;
            fits && pod.belief == Belief::Open && (pod.position != NOWHERE || self.shared == Some(number))
        })
    }

    /// Those that take requests, in order.
    pub(super) fn numbers(&self) -> Vec<u32> {
        self.order.clone()
    }

    pub(super) fn pod(&self, number: u32) -> Option<&Pod> {
        self.known.get(number)
    }

    pub(super) fn number_of(&self, id: PodId) -> Option<u32> {
        self.known.number_of(id)
    }

    pub(super) fn is_accepting(&self, number: u32) -> bool {
        self.known.get(number).is_some_and(|pod| pod.position != NOWHERE)
    }

    /// The pods of this daemon's slice, in order.
    pub(super) fn assigned(&self) -> impl Iterator<Item = PodId> {
        let own = self.order.iter().take(self.assigned);
        own.filter_map(|number| self.known.get(*number).map(|pod| pod.id))
    }

    pub(super) fn used(&self, number: u32) -> u32 {
        self.known.get(number).map_or(0, |pod| pod.used)
    }

    /// How many take requests.
    pub(super) fn len(&self) -> usize {
        self.listed.len()
    }

    pub(super) fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    fn clear(&mut self) {
        self.shared = None;
        self.listed.clear();
    }

    fn note_room(&mut self, number: u32) {
        let has_room = self.has_room(number);
        if let Some(position) = self.known.get(number).map(|pod| pod.position) {
            self.room.set(position as usize, has_room);
        }
    }

    fn forget_unused(&mut self) {
        for number in 0..self.known.end() {
            self.forget_if_unused(number);
        }
    }

    fn forget_if_unused(&mut self, number: u32) {
        let unused = |pod: &Pod| pod.used == 0 && pod.position == NOWHERE;
        if self.shared == Some(number) || !self.known.get(number).is_some_and(unused) {
            return;
        }
        // A pod beyond the slice has no place in the order, but is listed.
        if !self.beyond_slice && self.listed.contains(&number) {
            return;
        }
        self.known.forget(number);
    }
}
