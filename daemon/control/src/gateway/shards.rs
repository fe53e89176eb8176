// SPDX-License-Identifier: Apache-2.0
//! A map that is cheap to copy and to change: what did not change is shared.
//!
//! Mechanism: the keys are spread over a fixed number of parts by a fixed hash; a copy shares all parts, a change copies
//! one, and that only if somebody else still has it.
//! Invariants: the order of the entries depends on the keys alone.
//! Depends on: key.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::key::Key;

/// So many parts: with 5 000 entries a change copies 80 pointers.
const PARTS: usize = 64;

/// Values by key.
#[derive(Debug)]
pub struct Shards<V> {
    parts: Vec<Part<V>>,
}

type Part<V> = Arc<BTreeMap<Arc<Key>, Arc<V>>>;

impl<V> Clone for Shards<V> {
    fn clone(&self) -> Self {
        Self {
            parts: self.parts.clone(),
        }
    }
}

impl<V> Default for Shards<V> {
    fn default() -> Self {
        Self {
            parts: (0..PARTS).map(|_| Part::default()).collect(),
        }
    }
}

impl<V> Shards<V> {
    /// A value.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Arc<V>> {
        self.parts.get(place(key))?.get(key)
    }

    /// Everything.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Arc<V>)> {
        self.parts
            .iter()
            .flat_map(|part| part.iter().map(|(key, value)| (&**key, value)))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| part.is_empty())
    }

    /// What is different from `older`: keys with their new values, none where the key is gone.
    #[must_use]
    pub fn changes<'a>(&'a self, older: &'a Self) -> Vec<(&'a Key, Option<&'a Arc<V>>)> {
        let mut changes = Vec::new();
        for (new, old) in self.parts.iter().zip(&older.parts) {
            if Arc::ptr_eq(new, old) {
                continue;
            }
            let gone = old.keys().filter(|key| !new.contains_key(*key));
            changes.extend(gone.map(|key| (&**key, None)));
            let is_new = |key: &Arc<Key>, value: &Arc<V>| old.get(key).is_none_or(|old| !Arc::ptr_eq(old, value));
            let fresh = new.iter().filter(|(key, value)| is_new(key, value));
            changes.extend(fresh.map(|(key, value)| (&**key, Some(value))));
        }
        changes
    }
}

impl<V: PartialEq> Shards<V> {
    /// Puts a value, or takes it away; whether something is different now.
    pub fn set(&mut self, key: &Key, value: Option<V>) -> bool {
        let Some(part) = self.parts.get_mut(place(key)) else {
            return false;
        };
        if part.get(key).map(|value| &**value) == value.as_ref() {
            return false;
        }
        let part = Arc::make_mut(part);
        match value {
            None => {
                part.remove(key);
            }
            Some(value) => match part.get_mut(key) {
                Some(place) => *place = Arc::new(value),
                None => {
                    part.insert(Arc::new(key.clone()), Arc::new(value));
                }
            },
        }
        true
    }
}

/// FNV-1a over both parts of the key.
fn place(key: &Key) -> usize {
    const START: u64 = 0xcbf2_9ce4_8422_2325;
    const FACTOR: u64 = 0x0100_0000_01b3;
    let bytes = key.namespace.bytes().chain([b'/']).chain(key.name.bytes());
    let hash = bytes.fold(START, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FACTOR));
    // The high bits are the better mixed ones; PARTS is a power of two.
    usize::try_from(hash >> 32).unwrap_or_default() % PARTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(name: u8) -> Key {
        Key::new("default", format!("hello-{name}"))
    }

    #[test]
    fn a_copy_keeps_what_it_had() {
        let mut shards = Shards::default();
        shards.set(&key(1), Some("a"));
        let before = shards.clone();
        assert!(shards.set(&key(1), Some("b")));
        assert!(!shards.set(&key(1), Some("b")), "nothing is different");
        assert_eq!(before.get(&key(1)).map(|value| **value), Some("a"));
        assert_eq!(shards.get(&key(1)).map(|value| **value), Some("b"));
    }

    #[test]
    fn a_change_copies_one_part() {
        let mut shards = Shards::default();
        for name in 0..=255 {
            shards.set(&key(name), Some(name));
        }
        let before = shards.clone();
        shards.set(&key(7), Some(0));
        let shared = shards
            .parts
            .iter()
            .zip(&before.parts)
            .filter(|(new, old)| Arc::ptr_eq(new, old));
        assert_eq!(shared.count(), PARTS - 1);
    }

    proptest! {
        #[test]
        fn changes_lead_from_the_old_state_to_the_new_one(
            first in proptest::collection::btree_map(0_u8..40, 0_u8..3, 0..30),
            second in proptest::collection::btree_map(0_u8..40, 0_u8..3, 0..30),
        ) {
            let mut shards = Shards::default();
            for (name, value) in &first {
                shards.set(&key(*name), Some(*value));
            }
            let before = shards.clone();
            for name in 0..40 {
                shards.set(&key(name), second.get(&name).copied());
            }
            let mut walked = before.clone();
            for (key, value) in shards.changes(&before) {
                prop_assert!(walked.set(key, value.map(|value| **value)), "each change changes something");
            }
            let all = |shards: &Shards<u8>| shards.iter().map(|(key, value)| (key.clone(), **value)).collect::<Vec<_>>();
            prop_assert_eq!(all(&walked), all(&shards));
            prop_assert_eq!(shards.len(), second.len());
        }
    }
}
