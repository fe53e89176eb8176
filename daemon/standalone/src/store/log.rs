// SPDX-License-Identifier: Apache-2.0
//! The last changes, for watches.
//!
//! Mechanism: a ring, bounded by number and by about how long the JSON of its objects is. Who watches keeps only a version
//! and asks for what came after it, so a slow reader costs nothing and is told when it is too far behind.
//! Invariants: events are in order of version; `horizon` is the newest version that is no longer remembered.
//! Depends on: key.

use std::collections::VecDeque;
use std::sync::Arc;

use api::pressed::Slot;
use serde_json::Value;

use crate::key::Key;
use crate::refusal::Refusal;

/// Where a version of an object is.
pub type Place = Arc<Slot<Value>>;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It is new.
    Added,
    /// It is another.
    Modified,
    /// It is gone.
    Deleted,
}

/// A change.
#[derive(Clone, Debug)]
pub struct Event {
    /// The version of the store with it.
    pub version: u64,
    /// What happened.
    pub kind: EventKind,
    /// To which object.
    pub key: Arc<Key>,
    /// The object; the last one, with the version of the deletion, if it is gone.
    pub object: Place,
    /// The object before.
    pub previous: Option<Place>,
}

/// The wanted events cannot be told: whoever wants them must list anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Expired {
    /// They are no longer remembered.
    #[error("too old resource version: {wanted} ({oldest})")]
    TooOld {
        /// After which version.
        wanted: u64,
        /// The oldest one that would do.
        oldest: u64,
    },
    /// There is no such version yet: it is of another store, one before a restart.
    #[error("Too large resource version: {wanted}, current: {current}")]
    TooLarge {
        /// After which version.
        wanted: u64,
        /// The newest one.
        current: u64,
    },
}

impl From<Expired> for Refusal {
    fn from(expired: Expired) -> Self {
        Self::Expired(expired.to_string())
    }
}

/// The ring.
#[derive(Clone, Debug)]
pub(super) struct Log {
    /// Each with its weight.
    events: VecDeque<(Event, usize)>,
    capacity: usize,
    horizon: u64,
    /// Of all events, about.
    weight: usize,
}

/// The most that the JSON of all events may have, about: bytes. In memory most of it takes a quarter of that.
const HEAVIEST: usize = 8 << 20;
/// As many events stay, whatever they weigh.
const FEWEST: usize = 256;
/// Quotes, brackets, commas, numbers: of each value.
const REST: usize = 5;

/// About how many bytes of JSON a value has.
fn weight(value: &Value) -> usize {
    let within = match value {
        Value::String(text) => text.len(),
        Value::Array(all) => all.iter().map(weight).sum(),
        Value::Object(all) => all.iter().map(|(name, one)| name.len() + weight(one)).sum(),
        _ => 0,
    };
    REST + within
}

impl Log {
    pub(super) fn new(capacity: usize, horizon: u64) -> Self {
        Self {
            events: VecDeque::new(),
            capacity,
            horizon,
            weight: 0,
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn push(&mut self, event: Event) {
        let added = weight(&event.object.get());
        self.weight += added;
        self.events.push_back((event, added));
        while self.is_full() {
            if let Some((dropped, weight)) = self.events.pop_front() {
                self.weight = self.weight.saturating_sub(weight);
                self.horizon = dropped.version;
            }
        }
    }

    fn is_full(&self) -> bool {
        let length = self.events.len();
        length > self.capacity || (self.weight > HEAVIEST && length > FEWEST)
    }

    pub(super) fn after(&self, version: u64) -> Result<impl Iterator<Item = &Event>, Expired> {
        if version < self.horizon {
            return Err(Expired::TooOld {
                wanted: version,
                oldest: self.horizon,
            });
        }
        let first = self.events.partition_point(|(event, _)| event.version <= version);
        Ok(self.events.range(first..).map(|(event, _)| event))
    }
}
