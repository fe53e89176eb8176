// SPDX-License-Identifier: Apache-2.0
//! Who must be told when an object changes that somebody refers to by name, whether it exists yet or not.
//!
//! Invariants: an object is told of what it referred to at its last look, and nothing else.
//! Depends on: key.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use crate::key::Key;

/// An object that somebody refers to: its kind and its key.
pub type Reference = (&'static str, Key);

/// References by their targets.
#[derive(Debug, Default)]
pub struct Tracker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_target: HashMap<Reference, BTreeSet<Key>>,
    by_source: HashMap<Key, BTreeSet<Reference>>,
}

impl Tracker {
    /// `source` refers to these, and to nothing else any more.
    pub fn track(&self, source: &Key, targets: BTreeSet<Reference>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { by_target, by_source } = &mut *state;
        for gone in by_source.remove(source).unwrap_or_default().difference(&targets) {
            if let Some(sources) = by_target.get_mut(gone) {
                sources.remove(source);
                if sources.is_empty() {
                    by_target.remove(gone);
                }
            }
        }
        for target in &targets {
            by_target.entry(target.clone()).or_default().insert(source.clone());
        }
        if !targets.is_empty() {
            by_source.insert(source.clone(), targets);
        }
    }

    /// `source` is gone.
    pub fn forget(&self, source: &Key) {
        self.track(source, BTreeSet::new());
    }

    /// Who refers to this.
    #[must_use]
    pub fn sources(&self, kind: &'static str, target: Key) -> Vec<Key> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let sources = state.by_target.get(&(kind, target));
        sources.into_iter().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_present_references_are_told() {
        let tracker = Tracker::default();
        let (a, b) = (Key::new("n", "a"), Key::new("n", "b"));
        let to = |name: &str| ("Revision", Key::new("n", name));
        tracker.track(&a, BTreeSet::from([to("x"), to("y")]));
        tracker.track(&b, BTreeSet::from([to("x")]));
        assert_eq!(tracker.sources("Revision", Key::new("n", "x")), [a.clone(), b]);
        tracker.track(&a, BTreeSet::from([to("y")]));
        assert_eq!(tracker.sources("Revision", Key::new("n", "x")).len(), 1);
        tracker.forget(&a);
        assert!(tracker.sources("Revision", Key::new("n", "y")).is_empty());
    }
}
