// SPDX-License-Identifier: Apache-2.0
//! All objects, their one counter of versions, and the log of what changed.
//!
//! Mechanism: a [`Transaction`] reads the store and collects events; [`Store::commit`] applies them. Between the two
//! whoever owns the store can write them to a disk.
//! Whatever was not among the last to be written is pressed, except pods: every look at endpoints wants all of them.
//! Invariants: versions only grow and every event has its own; who replays the log from a list has the next list; a
//! transaction that is dropped has changed nothing.
//! Depends on: key, meta, moment, refusal, resource, api (pressed).

mod address;
mod log;
mod transaction;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use api::pressed::{Fresh, Press, Slot};
use serde_json::Value;

use crate::key::Key;
use crate::meta;
use crate::moment::Moment;
use crate::resource::Resource;

pub use address::{NoAddress, NoRange, Range};
pub use log::{Event, EventKind, Expired, Place};
pub use transaction::Transaction;

/// So many objects that were written last are not pressed.
const FRESH: usize = 256;

/// All objects.
#[derive(Clone, Debug)]
pub struct Store {
    objects: BTreeMap<Arc<Key>, Place>,
    uids: HashMap<Box<str>, Arc<Key>>,
    /// Sorted.
    dependents: HashMap<Box<str>, Vec<Arc<Key>>>,
    addresses: HashMap<Box<str>, Arc<Key>>,
    fresh: Fresh<(&'static Resource, Place)>,
    /// By group and plural.
    presses: HashMap<(&'static str, &'static str), Press>,
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
            uids: HashMap::new(),
            dependents: HashMap::new(),
            addresses: HashMap::new(),
            fresh: Fresh::new(FRESH),
            presses: HashMap::new(),
            range: Range::default(),
            version,
            log: log::Log::new(remembered, version),
        };
        for (key, object) in objects {
            store.insert(Arc::new(key), &Arc::new(Slot::new(Arc::new(object))));
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
    pub fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.place(key).map(|place| place.get())
    }

    /// Where an object is.
    #[must_use]
    pub fn place(&self, key: &Key) -> Option<&Place> {
        self.objects.get(key)
    }

    /// The objects of a resource, of one namespace or of all, by namespace and name.
    pub fn list<'a>(
        &'a self,
        resource: &'static Resource,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, Arc<Value>)> {
        self.places(resource, namespace).map(|(key, place)| (key, place.get()))
    }

    /// Where the objects of a resource are, of one namespace or of all, by namespace and name.
    pub fn places<'a>(
        &'a self,
        resource: &'static Resource,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Place)> {
        let is_meant = move |key: &Key| namespace.is_none_or(|namespace| key.namespace == namespace);
        self.from(&Key::new(resource, namespace.unwrap_or_default(), ""))
            .take_while(move |(key, _)| is_meant(key))
    }

    /// The objects of the resource and namespace of a key, from its name on.
    pub fn list_from<'a>(&'a self, from: &Key) -> impl Iterator<Item = (&'a Key, Arc<Value>)> + use<'a> {
        let namespace = from.namespace.clone();
        let listed = self.from(from).take_while(move |(key, _)| key.namespace == namespace);
        listed.map(|(key, place)| (key, place.get()))
    }

    /// The objects of the resource of a key, from it on.
    fn from<'a>(&'a self, from: &Key) -> impl Iterator<Item = (&'a Key, &'a Place)> + use<'a> {
        let resource = from.resource;
        let all = self.objects.range::<Key, _>((Bound::Included(from), Bound::Unbounded));
        let is_same = move |key: &Key| key.resource.plural == resource.plural && key.resource.group == resource.group;
        all.map(|(key, place)| (&**key, place))
            .take_while(move |(key, _)| is_same(key))
    }

    /// The Service that has an address.
    #[must_use]
    pub fn service_at(&self, address: &str) -> Option<&Key> {
        self.addresses.get(address).map(|key| &**key)
    }

    /// The objects that an object with the UID owns, alone or with others.
    pub fn dependents<'a>(&'a self, uid: &str) -> impl Iterator<Item = (&'a Key, Arc<Value>)> {
        let keys = self.dependents.get(uid).into_iter().flatten();
        keys.filter_map(|key| Some((&**key, self.get(key)?)))
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
    /// [`Expired`] if that is no longer remembered, or if there has been no such version.
    pub fn events_after(&self, version: u64) -> Result<impl Iterator<Item = &Event>, Expired> {
        if version > self.version {
            return Err(Expired::TooLarge {
                wanted: version,
                current: self.version,
            });
        }
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
                self.forget(&event.key, &previous.get());
            }
            if event.kind != EventKind::Deleted {
                self.insert(Arc::clone(&event.key), &event.object);
            }
            self.log.push(event);
        }
    }

    /// Takes changes back, the last one first. Nothing before is remembered then, so that every watch begins anew.
    pub fn undo<'a>(&mut self, events: impl Iterator<Item = &'a Event>) {
        for event in events {
            if let Some(current) = self.objects.remove(&event.key) {
                self.forget(&event.key, &current.get());
            }
            if let Some(previous) = &event.previous {
                self.insert(Arc::clone(&event.key), previous);
            }
        }
        self.version += 1;
        self.log = log::Log::new(self.log.capacity(), self.version);
    }

    fn insert(&mut self, key: Arc<Key>, place: &Place) {
        let object = place.get();
        self.uids.insert(meta::uid(&object).into(), Arc::clone(&key));
        for owner in meta::owners(&object) {
            let uid = owner["uid"].as_str().unwrap_or_default();
            let keys = self.dependents.entry(uid.into()).or_default();
            if let Err(at) = keys.binary_search(&key) {
                keys.insert(at, Arc::clone(&key));
            }
        }
        if let Some(address) = address::of(&object) {
            self.addresses.insert(address.into(), Arc::clone(&key));
        }
        self.keep_fresh(key.resource, place);
        self.objects.insert(key, Arc::clone(place));
    }

    /// Presses what is no longer fresh then.
    fn keep_fresh(&mut self, resource: &'static Resource, place: &Place) {
        if resource.kind == "Pod" {
            return;
        }
        if let Some((resource, old)) = self.fresh.add((resource, Arc::clone(place)))
            && Arc::strong_count(&old) > 1
        {
            old.press_json(self.presses.entry((resource.group, resource.plural)).or_default());
        }
    }

    fn forget(&mut self, key: &Key, object: &Value) {
        self.uids.remove(meta::uid(object));
        if let Some(address) = address::of(object) {
            self.addresses.remove(address);
        }
        for owner in meta::owners(object) {
            let uid = owner["uid"].as_str().unwrap_or_default();
            if let Some(keys) = self.dependents.get_mut(uid) {
                keys.retain(|one| **one != *key);
                if keys.is_empty() {
                    self.dependents.remove(uid);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
