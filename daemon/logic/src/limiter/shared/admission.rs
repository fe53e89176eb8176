// SPDX-License-Identifier: Apache-2.0
//! A request through the limiter: a future until it leaves the queue, then a guard until it ends.
//!
//! Invariants: each guard ends its ticket exactly once, whenever it is dropped; an offer nobody took up is returned.
//! Depends on: seats, lock, terms.

use super::lock::{Exclusive, Shared};
use super::seats::{Called, Core};
use crate::limiter::terms::{Admission, Ask, PodId, Rebuff, Refusal, Ticket};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

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

impl<L: Exclusive<Core>> Admit<L> {
    pub(super) fn new(shared: Arc<Shared<L>>, bytes: u64) -> Self {
        let state = State::New(bytes);
        Self { shared, state }
    }
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
            State::Waiting(ticket) => (ticket, self.shared.with(|core| core.poll(ticket, waker))),
            // Polled after its end: there is nothing to wait for.
            State::Done => return Poll::Pending,
        };
        match called {
            Some(called) => {
                self.state = State::Done;
                Poll::Ready(Ok(guard(&self.shared, ticket, called)))
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

fn guard<L: Exclusive<Core>>(shared: &Arc<Shared<L>>, ticket: Ticket, called: Called) -> Admitted<L> {
    let shared = Arc::clone(shared);
    match called {
        Called::Start(pod) => Admitted::Here(Permit { shared, ticket, pod }),
        Called::Ask(ask) => Admitted::AtPeer(Asking {
            request: Some(shared),
            ask,
        }),
    }
}

impl<L: Exclusive<Core>> Drop for Admit<L> {
    fn drop(&mut self) {
        match self.state {
            State::Waiting(ticket) | State::Back(Admission::Start(ticket, _) | Admission::Wait(ticket)) => {
                self.shared.change(|core| core.end(ticket));
            }
            State::Back(Admission::Ask(ask)) => self.shared.change(|core| core.give_up(ask)),
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
    pub(super) fn new(shared: Arc<Shared<L>>, ticket: Ticket, pod: PodId) -> Self {
        Self { shared, ticket, pod }
    }

    /// Where the request runs.
    pub fn pod(&self) -> PodId {
        self.pod
    }
}

impl<L: Exclusive<Core>> Drop for Permit<L> {
    fn drop(&mut self) {
        self.shared.change(|core| core.end(self.ticket));
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
            shared.change(|core| core.give_up(self.ask));
        }
    }
}
