// SPDX-License-Identifier: Apache-2.0
//! The pods of a revision, what of each is in use, and which one is next.
//!
//! Mechanism: pods that take requests stand in an order, those of this daemon's slice first; a bit for each says whether it
//! has room. Any concurrency: two random pods, the less busy one; 1 to 3: the first with room; more: in turn
//! (data-plane spec 3.4, design 4.1).
//! Invariants: a pod with something in use stays known until that ends, and keeps its count when it is listed again.
//! Depends on: terms, arithmetic, free, random.

use super::arithmetic::Slice;
use super::free::FreeSet;
use super::random::Random;
use super::terms::{Activators, Home, NodeId, PodId, PodSpec};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

const NOWHERE: u32 = u32::MAX;
/// Up to this concurrency the first pod with room is taken (data-plane spec 3.4).
const FIRST_FREE: u32 = 3;

/// Whether a peer's pod is worth asking for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belief {
    /// It may have room.
    Open,
    /// Its node refused, and will offer when that changes.
    Full,
    /// Its node does not answer.
    Unreachable,
}

/// One pod.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) id: PodId,
    pub(super) home: Home,
    /// Its place in the order; `NOWHERE` if it takes no new requests.
    position: u32,
    /// Slots in use as far as this daemon knows: its own requests, peers' ones, and those kept for peers.
    used: u32,
    /// What its node said.
    belief: Belief,
    /// The number of the last offer of its node that was declined: it forgot what it had refused before.
    declined: u64,
    /// In-flight requests when they were last read, and what was in use here then.
    read: Option<(u32, u32)>,
}

impl Pod {
    fn busyness(&self) -> u32 {
        match self.read {
            Some((in_flight, used)) => (in_flight.saturating_add(self.used))
                .saturating_sub(used)
                .max(self.used),
            None => self.used,
        }
    }
}

/// The pods, by a small number that stays while the pod is known.
#[derive(Debug)]
pub(super) struct Pods {
    /// Slots a pod; 0: any number.
    concurrency: u32,
    beyond_slice: bool,
    known: Vec<Option<Pod>>,
    vacant: Vec<u32>,
    by_id: HashMap<PodId, u32>,
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
            known: Vec::new(),
            vacant: Vec::new(),
            by_id: HashMap::new(),
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
            let number = self.know(spec.id, spec.home);
            if self.pod(number).is_some_and(|pod| pod.belief == Belief::Unreachable) {
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
        self.shared = Some(self.know(address, Home::Here));
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
        for pod in self.known.iter_mut().flatten() {
            pod.position = NOWHERE;
        }
        self.room.reset(order.len());
        self.order = order;
        for position in 0..self.order.len() {
            if let Some(number) = self.order.get(position).copied() {
                if let Some(pod) = self.pod_mut(number) {
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

    /// The pod for the next request, if any has room.
    pub(super) fn pick(&mut self, random: &mut Random) -> Option<u32> {
        if self.shared.is_some() {
            return self.shared;
        }
        let position = match self.concurrency {
            0 => self.less_busy_of_two(random),
            concurrency if concurrency <= FIRST_FREE => self.room.first_in(0..self.order.len()),
            _ => { self.in_turn(0, 0..self.assigned) }.or_else(|| self.in_turn(1, self.assigned..self.order.len())),
        }?;
        self.order.get(position).copied()
    }

    fn less_busy_of_two(&self, random: &mut Random) -> Option<usize> {
        let len = self.order.len();
        if len < 2 {
            return (len == 1).then_some(0);
        }
        let one = random.below(len);
        let other = random.below(len - 1);
        let other = if other >= one { other + 1 } else { other };
        let busyness = |position: usize| {
            self.order
                .get(position)
                .and_then(|number| self.pod(*number))
                .map(Pod::busyness)
        };
        Some(match busyness(one).cmp(&busyness(other)) {
            std::cmp::Ordering::Less => one,
            std::cmp::Ordering::Greater => other,
            std::cmp::Ordering::Equal if random.coin() => one,
            std::cmp::Ordering::Equal => other,
        })
    }

    fn in_turn(&mut self, turn: usize, range: Range<usize>) -> Option<usize> {
        let turn = self.turns.get_mut(turn)?;
        let start = range.start + *turn;
        let start = if start >= range.end { range.start } else { start };
        let found = { self.room.first_in(start..range.end) }.or_else(|| self.room.first_in(range.start..start))?;
        *turn = found + 1 - range.start;
        Some(found)
    }

    /// Takes a slot; it must have room.
    pub(super) fn take(&mut self, number: u32) {
        if let Some(pod) = self.pod_mut(number) {
            pod.used += 1;
        }
        self.note_room(number);
    }

    /// Gives a slot back; forgets a pod that takes no requests and has no others.
    pub(super) fn give_back(&mut self, number: u32) {
        if let Some(pod) = self.pod_mut(number) {
            pod.used = pod.used.saturating_sub(1);
        }
        self.note_room(number);
        self.forget_if_unused(number);
    }

    /// Its node refused under this number. False if it has forgotten that since: then it must be asked again.
    pub(super) fn note_refusal(&mut self, number: u32, refusal: u64) -> bool {
        let holds = self.pod(number).is_some_and(|pod| refusal > pod.declined);
        if holds {
            self.believe(number, Belief::Full);
        }
        holds
    }

    pub(super) fn believe(&mut self, number: u32, belief: Belief) {
        if let Some(pod) = self.pod_mut(number) {
            pod.belief = belief;
        }
        self.note_room(number);
    }

    /// That node forgets what it refused before this offer; 0: it starts anew.
    pub(super) fn forget_refusals(&mut self, node: NodeId, offer: u64) {
        for number in 0..self.known.len() as u32 {
            if let Some(pod) = self.pod_mut(number)
                && pod.home == Home::Peer(node)
            {
                pod.declined = if offer == 0 { 0 } else { offer.max(pod.declined) };
                self.believe(number, Belief::Open);
            }
        }
    }

    pub(super) fn read(&mut self, number: u32, in_flight: u32) {
        if let Some(pod) = self.pod_mut(number) {
            pod.read = Some((in_flight, pod.used));
        }
    }

    /// Whether it may take one more.
    pub(super) fn has_room(&self, number: u32) -> bool {
        self.pod(number).is_some_and(|pod| {
            let fits = self.concurrency == 0 || pod.used < self.concurrency;
            fits && pod.belief == Belief::Open && (pod.position != NOWHERE || self.shared == Some(number))
        })
    }

    /// Those that take requests, in order.
    pub(super) fn numbers(&self) -> Vec<u32> {
        self.order.clone()
    }

    pub(super) fn pod(&self, number: u32) -> Option<&Pod> {
        self.known.get(number as usize)?.as_ref()
    }

    fn pod_mut(&mut self, number: u32) -> Option<&mut Pod> {
        self.known.get_mut(number as usize)?.as_mut()
    }

    pub(super) fn number_of(&self, id: PodId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn is_accepting(&self, number: u32) -> bool {
        self.pod(number).is_some_and(|pod| pod.position != NOWHERE)
    }

    /// The pods of this daemon's slice, in order.
    pub(super) fn assigned(&self) -> impl Iterator<Item = PodId> {
        let own = self.order.iter().take(self.assigned);
        own.filter_map(|number| self.pod(*number).map(|pod| pod.id))
    }

    pub(super) fn used(&self, number: u32) -> u32 {
        self.pod(number).map_or(0, |pod| pod.used)
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
        if let Some(position) = self.pod(number).map(|pod| pod.position) {
            self.room.set(position as usize, has_room);
        }
    }

    fn know(&mut self, id: PodId, home: Home) -> u32 {
        if let Some(number) = self.by_id.get(&id).copied() {
            if let Some(pod) = self.pod_mut(number)
                && pod.home != home
            {
                pod.home = home;
                pod.belief = Belief::Open;
            }
            return number;
        }
        let pod = Pod {
            id,
            home,
            position: NOWHERE,
            used: 0,
            belief: Belief::Open,
            declined: 0,
            read: None,
        };
        let number = match self.vacant.pop() {
            Some(number) => number,
            None => {
                self.known.push(None);
                (self.known.len() - 1) as u32
            }
        };
        if let Some(entry) = self.known.get_mut(number as usize) {
            *entry = Some(pod);
        }
        self.by_id.insert(id, number);
        number
    }

    fn forget_unused(&mut self) {
        for number in 0..self.known.len() as u32 {
            self.forget_if_unused(number);
        }
    }

    fn forget_if_unused(&mut self, number: u32) {
        let unused = |pod: &Pod| pod.used == 0 && pod.position == NOWHERE;
        if self.shared == Some(number) || !self.pod(number).is_some_and(unused) {
            return;
        }
        // A pod beyond the slice has no place in the order, but is listed.
        if !self.beyond_slice && self.listed.contains(&number) {
            return;
        }
        if let Some(pod) = self.known.get_mut(number as usize).and_then(Option::take) {
            self.by_id.remove(&pod.id);
            self.vacant.push(number);
        }
    }
}
