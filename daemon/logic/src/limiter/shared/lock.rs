// SPDX-License-Identifier: Apache-2.0
//! One lock around the core, held for one event; what it left to do is done outside of it.
//!
//! Invariants: no foreign code (a waker, the outbox) runs while the lock is held.
//! Depends on: seats, message, machine.

use super::message::Outbox;
use super::seats::{Core, Errand};
use crate::limiter::machine::Limiter;
use std::sync::{Arc, Mutex, PoisonError};

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

/// A revision's limiter, shared.
pub struct Shared<L: Exclusive<Core> = Mutex<Core>> {
    core: L,
    outbox: Outbox,
}

impl<L: Exclusive<Core>> Shared<L> {
    /// Shares the machine.
    pub fn new(limiter: Limiter, outbox: Outbox) -> Arc<Self> {
        let core = L::new(Core::new(limiter));
        Arc::new(Self { core, outbox })
    }

    /// One event, and then what it left to do.
    pub(super) fn change<R>(&self, event: impl FnOnce(&mut Core) -> R) -> R {
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

    /// Looks, or does what leaves nothing to do.
    pub(super) fn with<R>(&self, look: impl FnOnce(&mut Core) -> R) -> R {
        self.core.with(look)
    }
}
