// SPDX-License-Identifier: Apache-2.0
//! What the lock guards: the machine, and a seat for each request that waits.
//!
//! Mechanism: an effect for a request of this daemon is laid on its seat and its waker becomes an errand; one for a peer is
//! an errand itself. Errands are taken out one by one and done outside of the lock.
//! Invariants: who is called while nobody polls him finds it on his seat; a seat is empty before it is used again.
//! Depends on: machine, terms.

use super::message::Message;
use crate::limiter::machine::Limiter;
use crate::limiter::terms::{Ask, Effect, NodeId, PodId, Ticket};
use std::task::Waker;

/// Memory for so many seats is kept when nobody is left.
const KEPT: usize = 1024;

/// What the lock guards.
#[derive(Debug)]
pub struct Core {
    pub(super) limiter: Limiter,
    /// By the index of the ticket.
    seats: Vec<Seat>,
}

#[derive(Debug, Default)]
struct Seat {
    waker: Option<Waker>,
    called: Option<Called>,
}

/// What a waiting request is called to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Called {
    Start(PodId),
    Ask(Ask),
}

/// What is left to do outside of the lock.
pub(super) enum Errand {
    Wake(Waker),
    Tell(NodeId, Message),
}

impl Core {
    pub(super) fn new(limiter: Limiter) -> Self {
        let seats = Vec::new();
        Self { limiter, seats }
    }

    /// Ends the request, whatever it was doing or was called to without hearing it.
    pub(super) fn end(&mut self, ticket: Ticket) {
        let index = ticket.index();
        let was_here = match self.seats.get(index).and_then(|seat| seat.called) {
            Some(Called::Ask(ask)) if ask.ticket == ticket => self.limiter.give_up(ask),
            _ => self.limiter.end(ticket),
        };
        if was_here {
            self.vacate(index);
        }
    }

    /// Ends the request, which was called to ask.
    pub(super) fn give_up(&mut self, ask: Ask) {
        if self.limiter.give_up(ask) {
            self.vacate(ask.ticket.index());
        }
    }

    fn vacate(&mut self, index: usize) {
        if let Some(seat) = self.seats.get_mut(index) {
            *seat = Seat::default();
        }
        let counts = self.limiter.counts();
        if self.seats.len() > KEPT && counts.present() == 0 && counts.for_peers == 0 {
            self.seats = Vec::new();
        }
    }

    pub(super) fn next_errand(&mut self) -> Option<Errand> {
        loop {
            let (ticket, called) = match self.limiter.next_effect()? {
                Effect::Start(ticket, pod) => (ticket, Called::Start(pod)),
                Effect::Ask(ask) => (ask.ticket, Called::Ask(ask)),
                Effect::Offer(peer, pod, offer) => return Some(Errand::Tell(peer, Message::Offer(pod, offer))),
                Effect::Decline(node, pod, offer) => return Some(Errand::Tell(node, Message::Decline(pod, offer))),
            };
            let seat = self.seat(ticket);
            seat.called = Some(called);
            if let Some(waker) = seat.waker.take() {
                return Some(Errand::Wake(waker));
            }
        }
    }

    fn seat(&mut self, ticket: Ticket) -> &mut Seat {
        let index = ticket.index();
        if index >= self.seats.len() {
            self.seats.resize_with(index + 1, Seat::default);
        }
        #[expect(clippy::indexing_slicing, reason = "invariant: made long enough just above")]
        &mut self.seats[index]
    }

    /// What it is called to; if nothing yet, `waker` is told when it is.
    pub(super) fn poll(&mut self, ticket: Ticket, waker: &Waker) -> Option<Called> {
        let seat = self.seat(ticket);
        let called = seat.called.take();
        if called.is_none() {
            match &mut seat.waker {
                Some(known) => known.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
        called
    }
}
