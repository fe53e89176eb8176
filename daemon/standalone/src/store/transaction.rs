// SPDX-License-Identifier: Apache-2.0
//! What one call would change.
//!
//! Invariants: it reads its own writes; every write has the next version, in its event and in the object.
//! Depends on: store (read only), log.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use api::pressed::Slot;
use serde_json::Value;

use super::Store;
use super::address::{self, NoAddress};
use super::log::{Event, EventKind, Place};
use crate::key::Key;
use crate::meta;
use crate::moment::Moment;
use crate::resource::Resource;

/// What one call would change.
#[derive(Debug)]
pub struct Transaction<'a> {
    store: &'a Store,
    /// Time and chance of the call.
    pub moment: &'a mut Moment,
    changed: BTreeMap<Key, Option<Place>>,
    events: Vec<Event>,
    version: u64,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(store: &'a Store, moment: &'a mut Moment) -> Self {
        Self {
            version: store.version,
            store,
            moment,
            changed: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// An object as it would be.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.place(key).map(|place| place.get())
    }

    fn place(&self, key: &Key) -> Option<Place> {
        match self.changed.get(key) {
            Some(changed) => changed.clone(),
            None => self.store.place(key).cloned(),
        }
    }

    /// Writes an object and answers it with its version.
    pub fn put(&mut self, key: Key, object: Value) -> Arc<Value> {
        let previous = self.place(&key);
        let kind = if previous.is_some() {
            EventKind::Modified
        } else {
            EventKind::Added
        };
        self.record(key, kind, object, previous)
    }

    /// Removes an object and answers its last state.
    ///
    /// Nobody sees what this transaction wrote to it before, unless the object is new.
    pub fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let mut previous = self.place(key)?;
        let is_seen = |event: &Event| *event.key != *key || event.kind != EventKind::Modified;
        if let Some(first) = self.events.iter().find(|event| !is_seen(event)) {
            previous = first.previous.clone()?;
        }
        self.events.retain(is_seen);
        let last = Value::clone(&previous.get());
        Some(self.record(key.clone(), EventKind::Deleted, last, Some(previous)))
    }

    fn record(&mut self, key: Key, kind: EventKind, mut object: Value, previous: Option<Place>) -> Arc<Value> {
        self.version += 1;
        meta::set(&mut object, "resourceVersion", self.version.to_string().into());
        let object = Arc::new(object);
        let place = Arc::new(Slot::new(Arc::clone(&object)));
        let stays = (kind != EventKind::Deleted).then(|| Arc::clone(&place));
        self.changed.insert(key.clone(), stays);
        self.events.push(Event {
            version: self.version,
            kind,
            key: Arc::new(key),
            object: place,
            previous,
        });
        object
    }

    /// Every object of a resource in a namespace, or in all, as it would be.
    #[must_use]
    pub fn list(&self, resource: &'static Resource, namespace: Option<&str>) -> Vec<(Key, Arc<Value>)> {
        let stored = self.store.places(resource, namespace).map(|(key, _)| key.clone());
        let is_meant = |key: &&Key| {
            let same = key.resource.plural == resource.plural && key.resource.group == resource.group;
            same && namespace.is_none_or(|namespace| key.namespace == namespace)
        };
        let keys: BTreeSet<Key> = stored.chain(self.changed.keys().filter(is_meant).cloned()).collect();
        keys.into_iter()
            .filter_map(|key| self.get(&key).map(|object| (key, object)))
            .collect()
    }

    /// Whether an object with the UID exists.
    #[must_use]
    pub fn exists(&self, uid: &str) -> bool {
        self.by_uid(uid).is_some()
    }

    /// The object with a UID.
    #[must_use]
    pub fn by_uid(&self, uid: &str) -> Option<(Key, Arc<Value>)> {
        let stored = self.store.uids.get(uid).map(|key| &**key);
        let mut keys = stored.into_iter().chain(self.changed.keys());
        keys.find_map(|key| {
            let object = self.get(key)?;
            (meta::uid(&object) == uid).then(|| (key.clone(), object))
        })
    }

    /// The objects that an object with the UID owns, alone or with others.
    #[must_use]
    pub fn dependents(&self, uid: &str) -> Vec<(Key, Arc<Value>)> {
        let stored = self.store.dependents.get(uid).into_iter().flatten().map(|key| &**key);
        let keys: BTreeSet<&Key> = stored.chain(self.changed.keys()).collect();
        keys.into_iter()
            .filter_map(|key| self.get(key).map(|object| (key.clone(), object)))
            .filter(|(_, object)| meta::owners(object).iter().any(|owner| owner["uid"] == uid))
            .collect()
    }

    /// An address for a Service that has none: the wanted one, or any that is free if that is empty.
    ///
    /// # Errors
    /// If it cannot have that, or none is left.
    pub fn take_address(&mut self, wanted: &str) -> Result<String, NoAddress> {
        let range = self.store.range;
        if !wanted.is_empty() {
            let address: Ipv4Addr = wanted.parse().map_err(|_| NoAddress::OutOfRange)?;
            if !range.contains(address) {
                return Err(NoAddress::OutOfRange);
            }
            return if self.is_taken(wanted) {
                Err(NoAddress::Taken)
            } else {
                Ok(wanted.to_owned())
            };
        }
        let drawn: Vec<u32> = (0..address::DRAWS)
            .map(|_| self.moment.random.u32(0..range.places()))
            .collect();
        let mut places = drawn.into_iter().chain(0..range.places());
        places
            .find_map(|place| {
                let address = range.at(place)?.to_string();
                (!self.is_taken(&address)).then_some(address)
            })
            .ok_or(NoAddress::NoneLeft)
    }

    fn is_taken(&self, wanted: &str) -> bool {
        let has = |key: &Key| self.get(key).is_some_and(|object| address::of(&object) == Some(wanted));
        self.store.addresses.get(wanted).map(|key| &**key).is_some_and(has) || self.changed.keys().any(has)
    }

    /// What to commit.
    #[must_use]
    pub fn finish(self) -> Vec<Event> {
        self.events
    }
}
