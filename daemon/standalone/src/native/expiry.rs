// SPDX-License-Identifier: Apache-2.0
//! Events go after an hour, and the oldest go when there are too many.
//!
//! Depends on: actor.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::actor::Actor;
use crate::key::Key;
use crate::refusal::Refusal;
use crate::store::Transaction;

/// How long an event stays.
const STAY: Duration = Duration::from_secs(3_600);
/// How many events there may be.
const MOST: usize = 10_000;

/// The events, oldest first.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    seen: VecDeque<(Instant, Key)>,
}

impl Expiry {
    pub(super) fn saw(&mut self, key: Key, now: Instant) {
        self.seen.push_back((now + STAY, key));
    }

    /// When an event is to go.
    pub(super) fn next(&self) -> Option<Instant> {
        self.seen.front().map(|(end, _)| *end)
    }

    /// What is to go now.
    pub(super) fn take(&mut self, now: Instant) -> Vec<Key> {
        let mut gone = Vec::new();
        while self.seen.len() > MOST || self.next().is_some_and(|end| end <= now) {
            gone.extend(self.seen.pop_front().map(|(_, key)| key));
        }
        gone
    }
}

/// Deletes events that are still there.
pub(super) fn delete(actor: &Actor, transaction: &mut Transaction, keys: &[Key]) -> Result<(), Refusal> {
    for key in keys {
        if transaction.get(key).is_some() {
            actor.delete(transaction, key)?;
        }
    }
    Ok(())
}
