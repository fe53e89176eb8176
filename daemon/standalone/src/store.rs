// SPDX-License-Identifier: Apache-2.0
//! All objects, their one counter of versions, and the log of what changed.
//!
//! Mechanism: a [`Transaction`] reads the store and collects events; [`Store::commit`] applies them. Between the two
//! whoever owns the store can write them to a disk.
//! Invariants: versions only grow and every event has its own; who replays the log from a list has the next list; a
//! transaction that is dropped has changed nothing.
//! Depends on: key, meta, moment, refusal, resource.

mod address;
mod log;
mod transaction;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::key::Key;
use crate::meta;
use crate::moment::Moment;
use crate::resource::Resource;

pub use address::{NoAddress, NoRange, Range};
pub use log::{Event, EventKind, Expired};
pub use transaction::Transaction;

/// All objects.
#[derive(Clone, Debug)]
pub struct Store {
    objects: BTreeMap<Key, Arc<Value>>,
    uids: BTreeMap<String, Key>,
    dependents: BTreeMap<String, BTreeSet<Key>>,
    addresses: BTreeMap<String, Key>,
    range: Range,
    version: u64,
    log: log::Log,
}

impl Store {
    /// An empty store that remembers as many events.
    #[must_use]
    pub fn new(remembered: usize) -> Self {
        Self::restored(remembered, 1, Vec::new())
    }

    /// A store as it was at a version; nothing before is remembered.
    #[must_use]
    pub fn restored(remembered: usize, version: u64, objects: Vec<(Key, Value)>) -> Self {
        let mut store = Self {
            objects: BTreeMap::new(),
            uids: BTreeMap::new(),
            dependents: BTreeMap::new(),
            addresses: BTreeMap::new(),
            range: Range::default(),
            version,
            log: log::Log::new(remembered, version),
        };
        for (key, object) in objects {
            store.insert(&key, &Arc::new(object));
        }
        store
    }

    /// The version of the last change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// An object.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    /// The objects of a resource, of one namespace or of all, by namespace and name.
    pub fn list<'a>(
        &'a self,
        resource: &'static Resource,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        let from = Key::new(resource, namespace.unwrap_or_default(), "");
        self.objects.range(from..).take_while(move |(key, _)| {
            let same = key.resource.plural == resource.plural && key.resource.group == resource.group;
            same && namespace.is_none_or(|namespace| key.namespace == namespace)
        })
    }

    /// The objects of the resource and namespace of a key, from its name on.
    pub fn list_from<'a>(&'a self, from: &Key) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> + use<'a> {
        let (resource, namespace) = (from.resource, from.namespace.clone());
        self.objects.range(from.clone()..).take_while(move |(key, _)| {
            key.resource.plural == resource.plural && key.resource.group == resource.group && key.namespace == namespace
        })
    }

    /// The Service that has an address.
    #[must_use]
    pub fn service_at(&self, address: &str) -> Option<&Key> {
        self.addresses.get(address)
    }

    /// The objects that an object with the UID owns, alone or with others.
    pub fn dependents<'a>(&'a self, uid: &str) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        let keys = self.dependents.get(uid).into_iter().flatten();
        keys.filter_map(|key| self.objects.get_key_value(key))
    }

    /// Gives new Services addresses of a range from now on.
    pub fn set_range(&mut self, range: Range) {
        self.range = range;
    }

    /// How many objects there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.objects.len()
    }

    /// What changed after a version.
    ///
    /// # Errors
    /// [`Expired`] if that is no longer remembered.
    pub fn events_after(&self, version: u64) -> Result<impl Iterator<Item = &Event>, Expired> {
        self.log.after(version)
    }

    /// Begins to change the store.
    pub fn begin<'a>(&'a self, moment: &'a mut Moment) -> Transaction<'a> {
        Transaction::new(self, moment)
    }

    /// Applies what a transaction of this very state has found.
    pub fn commit(&mut self, events: Vec<Event>) {
        for event in events {
            self.version = event.version;
            if let Some(previous) = self.objects.remove(&event.key) {
                self.forget(&event.key, &previous);
            }
            if event.kind != EventKind::Deleted {
                self.insert(&event.key, &event.object);
            }
            self.log.push(event);
        }
    }

    /// Takes changes back, the last one first. Nothing before is remembered then, so that every watch begins anew.
    pub fn undo<'a>(&mut self, events: impl Iterator<Item = &'a Event>) {
        for event in events {
            if let Some(current) = self.objects.remove(&event.key) {
                self.forget(&event.key, &current);
            }
            if let Some(previous) = &event.previous {
                self.insert(&event.key, previous);
            }
        }
        self.version += 1;
        self.log = log::Log::new(self.log.capacity(), self.version);
    }

    fn insert(&mut self, key: &Key, object: &Arc<Value>) {
        self.uids.insert(meta::uid(object).to_owned(), key.clone());
        for owner in meta::owners(object) {
            let uid = owner["uid"].as_str().unwrap_or_default().to_owned();
            self.dependents.entry(uid).or_default().insert(key.clone());
        }
        if let Some(address) = address::of(object) {
            self.addresses.insert(address.to_owned(), key.clone());
        }
        self.objects.insert(key.clone(), Arc::clone(object));
    }

    fn forget(&mut self, key: &Key, object: &Value) {
        self.uids.remove(meta::uid(object));
        if let Some(address) = address::of(object) {
            self.addresses.remove(address);
        }
        for owner in meta::owners(object) {
            let uid = owner["uid"].as_str().unwrap_or_default();
            if let Some(keys) = self.dependents.get_mut(uid) {
                keys.remove(key);
                if keys.is_empty() {
                    self.dependents.remove(uid);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
