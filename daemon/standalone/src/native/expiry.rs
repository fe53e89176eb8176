// SPDX-License-Identifier: Apache-2.0
//! Events go after an hour, and the oldest go when there are too many.
//!
//! Invariants: an event is here once, from when it was first seen.
//! Depends on: actor.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
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
    seen: VecDeque<(Instant, Arc<Key>)>,
    known: BTreeSet<Arc<Key>>,
}

impl Expiry {
    pub(super) fn saw(&mut self, key: &Key, now: Instant) {
        if self.known.contains(key) {
            // All are seen again after a failure of the disk.
            return;
        }
        let key = Arc::new(key.clone());
        self.known.insert(Arc::clone(&key));
        self.seen.push_back((now + STAY, key));
    }

    /// When an event is to go.
    pub(super) fn next(&self) -> Option<Instant> {
        self.seen.front().map(|(end, _)| *end)
    }

    /// What is to go now.
    pub(super) fn take(&mut self, now: Instant) -> Vec<Arc<Key>> {
        let mut gone = Vec::new();
        while self.seen.len() > MOST || self.next().is_some_and(|end| end <= now) {
            gone.extend(self.seen.pop_front().map(|(_, key)| key));
        }
        for key in &gone {
            self.known.remove(key);
        }
        gone
    }
}

/// Deletes events that are still there.
pub(super) fn delete(actor: &Actor, transaction: &mut Transaction, keys: &[Arc<Key>]) -> Result<(), Refusal> {
    for key in keys {
        if transaction.get(key).is_some() {
            actor.delete(transaction, key)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource;

    fn key(number: usize) -> Key {
        Key::new(
            resource::find("", "v1", "events").unwrap(),
            "default",
            &format!("e{number}"),
        )
    }

    /// After a failure of the disk everything is looked at anew.
    #[test]
    fn an_event_that_is_seen_again_counts_once_and_goes_an_hour_after_the_first_time() {
        let mut expiry = Expiry::default();
        let began = Instant::now();
        let later = began + STAY / 2;
        for now in [began, later] {
            (0..MOST).for_each(|number| expiry.saw(&key(number), now));
            assert!(expiry.take(now).is_empty(), "they are no more than there may be");
        }
        assert_eq!(expiry.take(began + STAY).len(), MOST);
        assert_eq!(expiry.next(), None);
        expiry.saw(&key(0), later);
        assert_eq!(expiry.next(), Some(later + STAY), "one of the same name after it");
    }
}
