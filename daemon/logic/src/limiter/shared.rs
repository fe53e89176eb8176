// SPDX-License-Identifier: Apache-2.0
//! The limiter between threads: futures that wait, guards that give back.
//!
//! Problem: many tasks ask one machine, any of them may be dropped at any moment, and nothing may be lost by that.
//! Mechanism: the machine and a seat for each waiting request stand behind one lock, held for one event only; wakers and
//! messages to peers leave it first and are used outside. A guard's end is the request's end.
//! Invariants: the lock is never held while foreign code runs; each guard ends its ticket exactly once.
//! Depends on: machine, terms.

use super::machine::{Backends, Limiter};
use super::terms::{Activators, Admission, Answer, Ask, Counts, Effect, NodeId, PodId, Rebuff, Refusal, Ticket};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Memory for so many seats is kept when nobody is left.
const KEPT: usize = 1024;

/// A value that one thread at a time may change.
pub trait Exclusive<T>: Send + Sync {
    /// The value behind a new lock.
    fn new(value: T) -> Self;
    /// Runs `change` alone.
    fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R;
}

impl<T: Send> Exclusive<T> for Mutex<T> {
    fn new(value: T) -> Self {
        Self::new(value)
    }

    fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut self.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a peer's daemon is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// A slot of this pod is kept for it, under this number, until it asks or declines.
    Offer(PodId, u64),
    /// The slot that it keeps under this number is not wanted.
    Decline(PodId, u64),
}

/// Sends a message; called without any lock, must not block.
pub type Outbox = Box<dyn Fn(NodeId, Message) + Send + Sync>;

/// What the lock guards.
#[derive(Debug)]
pub struct Core {
    limiter: Limiter,
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
enum Called {
    Start(PodId),
    Ask(Ask),
}

/// What is left to do outside of the lock.
enum Errand {
    Wake(Waker),
    Tell(NodeId, Message),
}

/// A revision's limiter, shared.
pub struct Shared<L: Exclusive<Core> = Mutex<Core>> {
    core: L,
    outbox: Outbox,
}

impl<L: Exclusive<Core>> Shared<L> {
    /// Shares the machine.
    pub fn new(limiter: Limiter, outbox: Outbox) -> Arc<Self> {
        let seats = Vec::new();
        Arc::new(Self {
            core: L::new(Core { limiter, seats }),
            outbox,
        })
    }

    /// A request of this daemon, which holds so many bytes while it waits. Dropping the future gives it up.
    pub fn admit(self: &Arc<Self>, bytes: u64) -> Admit<L> {
        Admit {
            shared: Arc::clone(self),
            state: State::New(bytes),
        }
    }

    /// A request that a peer sends for this pod of this node (`Limiter::ask`).
    ///
    /// # Errors
    /// The number for `Rebuff::Busy` if there is no slot for it.
    pub fn ask(self: &Arc<Self>, peer: NodeId, pod: PodId, offer: Option<u64>) -> Result<Permit<L>, u64> {
        match self.change(|core| core.limiter.ask(peer, pod, offer)) {
            Answer::Granted(ticket) => Ok(Permit {
                shared: Arc::clone(self),
                ticket,
                pod,
            }),
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

    /// How many there are of each.
    pub fn counts(&self) -> Counts {
        self.core.with(|core| core.limiter.counts())
    }

    /// One event, and then what it left to do.
    fn change<R>(&self, event: impl FnOnce(&mut Core) -> R) -> R {
        let (result, mut errand) = self.core.with(|core| {
            let result = event(core);
            (result, core.next_errand())
        });
        while let Some(next) = errand {
            match next {
                Errand::Wake(waker) => waker.wake(),
                Errand::Tell(node, message) => (self.outbox)(node, message),
            }
            errand = self.core.with(Core::next_errand);
        }
        result
    }

    fn end(&self, ticket: Ticket) {
        if let Some(ask) = self.change(|core| core.end(ticket)) {
            self.take_no_offer(ask);
        }
    }

    /// Nobody asked, or will ask, for what was offered. If somebody did, this fits nothing at the node.
    fn take_no_offer(&self, ask: Ask) {
        if let Some(offer) = ask.offer {
            self.change(|core| core.limiter.return_offer(ask.node, ask.pod, offer));
        }
    }

    fn guard(self: &Arc<Self>, ticket: Ticket, called: Called) -> Admitted<L> {
        let shared = Arc::clone(self);
        match called {
            Called::Start(pod) => Admitted::Here(Permit { shared, ticket, pod }),
            Called::Ask(ask) => Admitted::AtPeer(Asking {
                request: Some(shared),
                ask,
            }),
        }
    }
}

impl Core {
    /// Ends the request; what it was to ask for if it had been called to that and did not hear it.
    fn end(&mut self, ticket: Ticket) -> Option<Ask> {
        if !self.limiter.end(ticket) {
            return None;
        }
        let seat = std::mem::take(self.seats.get_mut(ticket.index())?);
        let counts = self.limiter.counts();
        if self.seats.len() > KEPT && counts.present() == 0 && counts.for_peers == 0 {
            self.seats = Vec::new();
        }
        match seat.called {
            Some(Called::Ask(ask)) => Some(ask),
            Some(Called::Start(_)) | None => None,
        }
    }

    fn next_errand(&mut self) -> Option<Errand> {
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

    fn poll(&mut self, ticket: Ticket, waker: &Waker) -> Option<Called> {
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

/// A request on its way in.
#[must_use = "a future does nothing unless polled"]
pub struct Admit<L: Exclusive<Core> = Mutex<Core>> {
    shared: Arc<Shared<L>>,
    state: State,
}

enum State {
    New(u64),
    /// A peer just refused it.
    Back(Admission),
    Waiting(Ticket),
    Done,
}

impl<L: Exclusive<Core>> Future for Admit<L> {
    type Output = Result<Admitted<L>, Refusal>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = context.waker();
        let (ticket, called) = match self.state {
            State::New(bytes) => {
                let arrive = |core: &mut Core| settle(core.limiter.arrive(bytes), core, waker);
                match self.shared.change(arrive) {
                    Ok(settled) => settled,
                    Err(refusal) => {
                        self.state = State::Done;
                        return Poll::Ready(Err(refusal));
                    }
                }
            }
            State::Back(admission) => match self.shared.change(|core| settle(admission, core, waker)) {
                Ok(settled) => settled,
                Err(refusal) => {
                    self.state = State::Done;
                    return Poll::Ready(Err(refusal));
                }
            },
            State::Waiting(ticket) => (ticket, self.shared.core.with(|core| core.poll(ticket, waker))),
            // Polled after its end: there is nothing to wait for.
            State::Done => return Poll::Pending,
        };
        match called {
            Some(called) => {
                self.state = State::Done;
                Poll::Ready(Ok(self.shared.guard(ticket, called)))
            }
            None => {
                self.state = State::Waiting(ticket);
                Poll::Pending
            }
        }
    }
}

/// Takes a seat if the request has to wait.
fn settle(admission: Admission, core: &mut Core, waker: &Waker) -> Result<(Ticket, Option<Called>), Refusal> {
    match admission {
        Admission::Start(ticket, pod) => Ok((ticket, Some(Called::Start(pod)))),
        Admission::Ask(ask) => Ok((ask.ticket, Some(Called::Ask(ask)))),
        Admission::Wait(ticket) => Ok((ticket, core.poll(ticket, waker))),
        Admission::Refused(refusal) => Err(refusal),
    }
}

impl<L: Exclusive<Core>> Drop for Admit<L> {
    fn drop(&mut self) {
        match self.state {
            State::Waiting(ticket)
            | State::Back(Admission::Start(ticket, _) | Admission::Ask(Ask { ticket, .. }) | Admission::Wait(ticket)) =>
            {
                self.shared.end(ticket);
            }
            State::New(_) | State::Back(Admission::Refused(_)) | State::Done => {}
        }
    }
}

/// A request that has left the queue.
#[must_use = "dropping it ends the request"]
pub enum Admitted<L: Exclusive<Core> = Mutex<Core>> {
    /// It may be sent to the pod.
    Here(Permit<L>),
    /// It may be sent to the pod's node, which decides.
    AtPeer(Asking<L>),
}

/// A slot of a pod, until it is dropped.
#[must_use = "dropping it gives the slot back"]
pub struct Permit<L: Exclusive<Core> = Mutex<Core>> {
    shared: Arc<Shared<L>>,
    ticket: Ticket,
    pod: PodId,
}

impl<L: Exclusive<Core>> Permit<L> {
    /// Where the request runs.
    pub fn pod(&self) -> PodId {
        self.pod
    }
}

impl<L: Exclusive<Core>> Drop for Permit<L> {
    fn drop(&mut self) {
        self.shared.end(self.ticket);
    }
}

/// A request for which a pod's node is being asked; dropping it gives the request up.
#[must_use = "dropping it ends the request"]
pub struct Asking<L: Exclusive<Core> = Mutex<Core>> {
    /// Taken by the answer.
    request: Option<Arc<Shared<L>>>,
    ask: Ask,
}

impl<L: Exclusive<Core>> Asking<L> {
    /// Whom to ask for what.
    pub fn ask(&self) -> Ask {
        self.ask
    }

    /// The node took the request.
    pub fn granted(mut self) -> Option<Permit<L>> {
        let shared = self.request.take()?;
        let Ask { ticket, pod, .. } = self.ask;
        { shared.change(|core| core.limiter.granted(ticket)) }.then(|| Permit { shared, ticket, pod })
    }

    /// The node did not take it: it goes elsewhere, or waits where it stood.
    pub fn refused(mut self, why: Rebuff) -> Option<Admit<L>> {
        let shared = self.request.take()?;
        let ticket = self.ask.ticket;
        let admission = shared.change(|core| core.limiter.refused(ticket, why))?;
        let state = match admission {
            // It has a seat already if it is called while nobody polls it.
            Admission::Wait(ticket) => State::Waiting(ticket),
            other => State::Back(other),
        };
        Some(Admit { shared, state })
    }
}

impl<L: Exclusive<Core>> Drop for Asking<L> {
    fn drop(&mut self) {
        if let Some(shared) = self.request.take() {
            shared.end(self.ask.ticket);
            shared.take_no_offer(self.ask);
        }
    }
}
