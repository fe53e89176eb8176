// SPDX-License-Identifier: Apache-2.0
//! The requests in the limiter, and those of them that wait, in order of arrival.
//!
//! Mechanism: entries in one vector, reused by number; the waiting ones are linked. A request that was refused by a peer
//! goes back to where it stood.
//! Invariants: a ticket whose request has ended finds nothing; entries that are used again cost no allocation.
//! Depends on: terms.

use super::terms::{NodeId, Ticket};

const NONE: u32 = u32::MAX;
/// Memory for so many entries is kept when nothing is left.
const KEPT: usize = 1024;

/// Where a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing: the entry is free.
    Ended,
    /// In the queue.
    Waiting,
    /// The node of the pod with this number is being asked, in this era.
    Asking(u32, Era),
    /// On the pod with this number.
    Running(u32),
    /// A peer's, on the pod with this number.
    ForPeer(u32, NodeId),
}

/// Between two losses of a peer: what was asked in one says nothing in the next.
pub(super) type Era = u32;

#[derive(Debug)]
struct Entry {
    stage: Stage,
    generation: u32,
    bytes: u64,
    /// Order of arrival.
    arrival: u64,
    before: u32,
    after: u32,
}

/// All requests of a revision at this daemon.
#[derive(Debug)]
pub(super) struct Requests {
    entries: Vec<Entry>,
    /// Free entries, linked by `after`.
    vacant: u32,
    first: u32,
    last: u32,
    arrivals: u64,
    live: u32,
    /// Given to entries that are made anew, so that no old ticket fits after memory was given back.
    generation: u32,
}

impl Requests {
    pub(super) fn new() -> Self {
        Self {
            entries: Vec::new(),
            vacant: NONE,
            first: NONE,
            last: NONE,
            arrivals: 0,
            live: 0,
            generation: 0,
        }
    }

    /// Takes a request in; its stage is `Ended` until `set_stage` or `enqueue`.
    pub(super) fn add(&mut self, bytes: u64) -> Ticket {
        let arrival = self.arrivals;
        self.arrivals += 1;
        self.live += 1;
        let slot = self.vacant;
        if let Some(entry) = self.entries.get_mut(slot as usize) {
            self.vacant = entry.after;
            entry.bytes = bytes;
            entry.arrival = arrival;
            return Ticket {
                slot,
                generation: entry.generation,
            };
        }
        let slot = self.entries.len() as u32;
        self.entries.push(Entry {
            stage: Stage::Ended,
            generation: self.generation,
            bytes,
            arrival,
            before: NONE,
            after: NONE,
        });
        Ticket {
            slot,
            generation: self.generation,
        }
    }

    /// Where it is; `Ended` for one that is not here any more.
    pub(super) fn stage(&self, ticket: Ticket) -> Stage {
        self.entry(ticket.slot)
            .filter(|entry| entry.generation == ticket.generation)
            .map_or(Stage::Ended, |entry| entry.stage)
    }

    /// The bytes it holds while it waits.
    pub(super) fn bytes(&self, ticket: Ticket) -> u64 {
        self.entry(ticket.slot).map_or(0, |entry| entry.bytes)
    }

    pub(super) fn set_stage(&mut self, ticket: Ticket, stage: Stage) {
        if let Some(entry) = self.entry_mut(ticket.slot) {
            entry.stage = stage;
        }
    }

    /// Takes it out; it must not be in the queue.
    pub(super) fn remove(&mut self, ticket: Ticket) {
        let vacant = self.vacant;
        if let Some(entry) = self.entries.get_mut(ticket.slot as usize) {
            entry.stage = Stage::Ended;
            entry.generation = entry.generation.wrapping_add(1);
            entry.after = vacant;
            self.generation = self.generation.max(entry.generation);
            self.vacant = ticket.slot;
            self.live -= 1;
            if self.live == 0 && self.entries.len() > KEPT {
                let (arrivals, generation) = (self.arrivals, self.generation);
                *self = Self {
                    arrivals,
                    generation,
                    ..Self::new()
                };
            }
        }
    }

    /// Puts it into the queue at its place: behind all that came before it.
    pub(super) fn enqueue(&mut self, ticket: Ticket) {
        let arrival = self.entry(ticket.slot).map_or(0, |entry| entry.arrival);
        let comes_later = |slot: u32| self.entry(slot).is_some_and(|entry| entry.arrival > arrival);
        let mut after = if comes_later(self.first) { self.first } else { NONE };
        if after == NONE && comes_later(self.last) {
            after = self.entry(self.first).map_or(NONE, |entry| entry.after);
            while after != NONE && !comes_later(after) {
                after = self.entry(after).map_or(NONE, |entry| entry.after);
            }
        }
        let before = match self.entry(after) {
            Some(entry) => entry.before,
            None => self.last,
        };
        if let Some(entry) = self.entry_mut(ticket.slot) {
            entry.stage = Stage::Waiting;
            entry.before = before;
            entry.after = after;
        }
        self.link(before, ticket.slot, after);
    }

    /// The one that has waited longest.
    pub(super) fn front(&self) -> Option<Ticket> {
        let slot = self.first;
        let generation = self.entry(slot)?.generation;
        Some(Ticket { slot, generation })
    }

    /// Takes it out of the queue, wherever it stands in it.
    pub(super) fn dequeue(&mut self, ticket: Ticket) {
        if let Some(entry) = self.entry(ticket.slot)
            && entry.stage == Stage::Waiting
        {
            let (before, after) = (entry.before, entry.after);
            match self.entry_mut(before) {
                Some(entry) => entry.after = after,
                None => self.first = after,
            }
            match self.entry_mut(after) {
                Some(entry) => entry.before = before,
                None => self.last = before,
            }
        }
    }

    fn link(&mut self, before: u32, slot: u32, after: u32) {
        match self.entry_mut(before) {
            Some(entry) => entry.after = slot,
            None => self.first = slot,
        }
        match self.entry_mut(after) {
            Some(entry) => entry.before = slot,
            None => self.last = slot,
        }
    }

    fn entry(&self, slot: u32) -> Option<&Entry> {
        self.entries.get(slot as usize)
    }

    fn entry_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        self.entries.get_mut(slot as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_comes_back_stands_where_it_stood() {
        let mut requests = Requests::new();
        let tickets: Vec<_> = (0..5).map(|_| requests.add(1)).collect();
        for index in [3, 1, 4, 0, 2] {
            requests.enqueue(tickets[index]);
        }
        let order: Vec<_> = (0..5)
            .map(|_| {
                let front = requests.front().unwrap();
                requests.dequeue(front);
                front
            })
            .collect();
        assert_eq!(order, tickets);
        assert_eq!(requests.front(), None);
    }

    #[test]
    fn an_old_ticket_finds_nothing_even_after_memory_was_given_back() {
        let mut requests = Requests::new();
        let tickets: Vec<_> = (0..2 * KEPT).map(|_| requests.add(1)).collect();
        for ticket in &tickets {
            requests.set_stage(*ticket, Stage::Running(0));
        }
        for ticket in &tickets {
            requests.remove(*ticket);
        }
        assert_eq!(requests.entries.capacity(), 0);
        for _ in &tickets {
            let ticket = requests.add(1);
            requests.set_stage(ticket, Stage::Running(0));
        }
        assert!(tickets.iter().all(|ticket| requests.stage(*ticket) == Stage::Ended));
    }
}
