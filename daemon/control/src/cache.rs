// SPDX-License-Identifier: Apache-2.0
//! What the API server keeps of one kind, as far as we have heard.
//!
//! Problem: a controller that asked the server at every look would drown it; one that looks at what it heard may look at
//! what was before its own last write.
//! Mechanism: one watch a kind fills the cache ([`Heard`]); what a write answered goes into it at once. Objects are found
//! by key, by who made them, by one label and by the Routes that point at them. What was not among the last to change is
//! pressed, except pods: many of them are looked at together, again and again.
//! Invariants: an object never goes back to an older version; what was deleted does not come back through a write that
//! was answered late; listeners hear each change once; no lock is held while they hear it.
//! Depends on: key, kept, api (names, pressed).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use api::names::serving;
use api::pressed::{Fresh, Press, Slot};
use tokio::sync::watch;

use crate::kept::{Kept, controller};
use crate::key::Key;

/// So many deletions are remembered.
const MOST_BURIED: usize = 4096;
/// So many objects that changed last are not pressed.
const FRESH: usize = 64;

/// An object before and after; none: it was not there, it is gone.
#[derive(Debug)]
pub struct Change<K> {
    /// As it was.
    pub old: Option<Arc<K>>,
    /// As it is.
    pub new: Option<Arc<K>>,
}

impl<K> Change<K> {
    /// The object, as it is or as it was when it went.
    #[must_use]
    pub fn either(&self) -> Option<&K> {
        self.new.as_deref().or(self.old.as_deref())
    }

    /// The object as it was and as it is, as far as there is one.
    pub fn both(&self) -> impl Iterator<Item = &K> {
        [self.old.as_deref(), self.new.as_deref()].into_iter().flatten()
    }
}

type Listener<K> = Box<dyn Fn(&Change<K>) + Send + Sync>;

/// The objects of one kind; clones are the same cache.
pub struct Cache<K: Kept> {
    shared: Arc<Shared<K>>,
}

struct Shared<K: Kept> {
    inner: RwLock<Inner<K>>,
    listeners: RwLock<Vec<Listener<K>>>,
    synced: watch::Sender<bool>,
}

struct Inner<K> {
    /// The label by which objects are found.
    label: Option<&'static str>,
    objects: HashMap<Arc<Key>, Entry<K>>,
    fresh: Fresh<Arc<Slot<K>>>,
    press: Press,
    made_by: Index,
    labelled: Index,
    pointed_at: Index,
    /// Versions at which objects went.
    buried: HashMap<Key, u64>,
    buried_in_order: BTreeMap<u64, Key>,
    /// What the list that is under way has named so far, and what our own writes have put in meanwhile.
    listing: Option<Listing>,
}

#[derive(Default)]
struct Listing {
    listed: HashSet<Arc<Key>>,
    written: HashSet<Arc<Key>>,
}

struct Entry<K> {
    version: u64,
    object: Arc<Slot<K>>,
}

/// What the watch of a kind tells.
#[derive(Debug)]
pub enum Heard<K> {
    /// A list begins.
    Listing,
    /// The list names this.
    Listed(K),
    /// The list is whole: what it did not name is gone.
    Complete,
    /// This is new or changed.
    Changed(K),
    /// This is gone.
    Gone(K),
}

impl<K: Kept> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K: Kept> Cache<K> {
    /// An empty cache; `label`: the one by which objects are found.
    #[must_use]
    pub fn new(label: Option<&'static str>) -> Self {
        Self {
            shared: Arc::new(Shared {
                inner: RwLock::new(Inner::new(label)),
                listeners: RwLock::default(),
                synced: watch::Sender::new(false),
            }),
        }
    }

    /// Tells `listener` of every change from now on; it must be quick.
    pub fn listen(&self, listener: impl Fn(&Change<K>) + Send + Sync + 'static) {
        let listeners = self.shared.listeners.write();
        listeners
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::new(listener));
    }

    /// Returns once everything that exists is here.
    pub async fn synced(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        drop(self.shared.synced.subscribe().wait_for(|synced| *synced).await);
    }

    /// An object.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.read().objects.get(key).map(|entry| entry.object.get())
    }

    /// Whether there is an object.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        self.read().objects.contains_key(key)
    }

    /// Everything, in no order.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<K>> {
        self.read().objects.values().map(|entry| entry.object.get()).collect()
    }

    /// The keys of everything, in no order.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        self.read().objects.keys().map(|key| Key::clone(key)).collect()
    }

    /// What the object of this UID has made, in order.
    #[must_use]
    pub fn made_by(&self, uid: &str) -> Vec<Arc<K>> {
        let inner = self.read();
        inner.named_by(inner.made_by.get("", uid))
    }

    /// What has this value of the label that the cache was made with, in a namespace, in order.
    #[must_use]
    pub fn labelled(&self, namespace: &str, value: &str) -> Vec<Arc<K>> {
        let inner = self.read();
        inner.named_by(inner.labelled.get(namespace, value))
    }

    /// What says that a Route of this name points at it, in its namespace, in order.
    #[must_use]
    pub fn pointed_at_by(&self, namespace: &str, route: &str) -> Vec<Arc<K>> {
        let inner = self.read();
        inner.named_by(inner.pointed_at.get(namespace, route))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().objects.len()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes in what the watch tells.
    pub fn hear(&self, heard: Heard<K>) {
        match heard {
            Heard::Listing => {
                self.write().listing = Some(Listing::default());
            }
            Heard::Listed(object) => {
                let change = {
                    let mut inner = self.write();
                    let key = Arc::new(Key::of(object.meta()));
                    let listing = inner.listing.get_or_insert_default();
                    listing.listed.insert(Arc::clone(&key));
                    let ours = listing.written.contains(&key);
                    inner.put(&key, Arc::new(object), ours)
                };
                self.tell(change);
            }
            Heard::Complete => self.complete(),
            Heard::Changed(object) => {
                let key = Arc::new(Key::of(object.meta()));
                let change = self.write().put(&key, Arc::new(object), true);
                self.tell(change);
            }
            Heard::Gone(object) => {
                let change = self.write().bury(&object);
                self.tell(change);
            }
        }
    }

    /// Takes in what one of our own writes was answered with.
    pub fn take_in(&self, object: K) -> Arc<K> {
        let key = Arc::new(Key::of(object.meta()));
        let (version, object) = (version(&object), Arc::new(object));
        let (change, object) = {
            let mut inner = self.write();
            if inner.buried.get(&*key).is_some_and(|buried| *buried >= version) {
                return object;
            }
            if let Some(listing) = &mut inner.listing {
                listing.written.insert(Arc::clone(&key));
            }
            let change = inner.put(&key, Arc::clone(&object), true);
            let kept = inner.objects.get(&key).filter(|entry| entry.version != version);
            (change, kept.map_or(object, |entry| entry.object.get()))
        };
        self.tell(change);
        object
    }

    fn complete(&self) {
        let gone: Vec<_> = {
            let mut inner = self.write();
            let Listing { listed, written } = inner.listing.take().unwrap_or_default();
            let is_lost = |key: &&Arc<Key>| !listed.contains(*key) && !written.contains(*key);
            let lost: Vec<_> = inner.objects.keys().filter(is_lost).cloned().collect();
            lost.iter().filter_map(|key| inner.remove(key)).collect()
        };
        for change in gone {
            self.tell(Some(change));
        }
        self.shared.synced.send_replace(true);
    }

    fn tell(&self, change: Option<Change<K>>) {
        let Some(change) = change else { return };
        let listeners = self.shared.listeners.read().unwrap_or_else(PoisonError::into_inner);
        for listener in listeners.iter() {
            listener(&change);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner<K>> {
        self.shared.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner<K>> {
        self.shared.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Kept> Inner<K> {
    fn new(label: Option<&'static str>) -> Self {
        Self {
            label,
            objects: HashMap::new(),
            fresh: Fresh::new(FRESH),
            press: Press::default(),
            made_by: Index::default(),
            labelled: Index::default(),
            pointed_at: Index::default(),
            buried: HashMap::new(),
            buried_in_order: BTreeMap::new(),
            listing: None,
        }
    }

    fn named_by(&self, keys: &[Arc<Key>]) -> Vec<Arc<K>> {
        let found = keys.iter().filter_map(|key| self.objects.get(key));
        found.map(|entry| entry.object.get()).collect()
    }

    /// `only_newer`: an object that is not newer than what is there changes nothing.
    fn put(&mut self, key: &Arc<Key>, new: Arc<K>, only_newer: bool) -> Option<Change<K>> {
        let version = version(&*new);
        let known = self.objects.get(key);
        if known.is_some_and(|old| old.version == version || (only_newer && old.version > version)) {
            return None;
        }
        let old = known.map(|old| old.object.get());
        if let Some(old) = &old {
            self.unlist(key, old);
        }
        self.list(key, &new);
        let object = Arc::new(Slot::new(Arc::clone(&new)));
        self.keep_fresh(&object);
        self.objects.insert(Arc::clone(key), Entry { version, object });
        Some(Change { old, new: Some(new) })
    }

    /// Presses what is no longer fresh then.
    fn keep_fresh(&mut self, object: &Arc<Slot<K>>) {
        if K::kind() == "Pod" {
            return;
        }
        // Nobody else has what is no longer the newest version.
        if let Some(old) = self.fresh.add(Arc::clone(object))
            && Arc::strong_count(&old) > 1
        {
            old.press(&mut self.press);
        }
    }

    fn bury(&mut self, object: &K) -> Option<Change<K>> {
        let (key, version) = (Key::of(object.meta()), version(object));
        self.buried.insert(key.clone(), version);
        self.buried_in_order.insert(version, key.clone());
        while self.buried_in_order.len() > MOST_BURIED {
            if let Some((version, key)) = self.buried_in_order.pop_first()
                && self.buried.get(&key) == Some(&version)
            {
                self.buried.remove(&key);
            }
        }
        self.remove(&key)
    }

    fn remove(&mut self, key: &Key) -> Option<Change<K>> {
        let old = self.objects.remove(key)?.object.get();
        self.unlist(key, &old);
        Some(Change {
            old: Some(old),
            new: None,
        })
    }

    fn list(&mut self, key: &Arc<Key>, object: &K) {
        let label = self.label;
        self.made_by.add(key, makers(object));
        self.labelled.add(key, labels(object, label));
        self.pointed_at.add(key, routes(object));
    }

    fn unlist(&mut self, key: &Key, object: &K) {
        let label = self.label;
        self.made_by.remove(key, makers(object));
        self.labelled.remove(key, labels(object, label));
        self.pointed_at.remove(key, routes(object));
    }
}

/// Objects by namespace and something that they say.
#[derive(Default)]
struct Index(HashMap<Place, Vec<Arc<Key>>>);

/// A namespace, and what an object there says.
type Place = (Box<str>, Box<str>);

impl Index {
    fn add(&mut self, key: &Arc<Key>, places: Vec<Place>) {
        for place in places {
            let keys = self.0.entry(place).or_default();
            if let Err(at) = keys.binary_search(key) {
                // Most have one, and keep to it.
                keys.reserve_exact(usize::from(keys.is_empty()));
                keys.insert(at, Arc::clone(key));
            }
        }
    }

    fn remove(&mut self, key: &Key, places: Vec<Place>) {
        for place in places {
            if let Some(keys) = self.0.get_mut(&place) {
                keys.retain(|one| **one != *key);
                if keys.is_empty() {
                    self.0.remove(&place);
                }
            }
        }
    }

    /// Sorted.
    fn get(&self, namespace: &str, value: &str) -> &[Arc<Key>] {
        self.0.get(&(namespace.into(), value.into())).map_or(&[], Vec::as_slice)
    }
}

/// A UID says it all, so there is no namespace with it.
fn makers<K: Kept>(object: &K) -> Vec<Place> {
    let uid = controller(object.meta());
    uid.map(|uid| ("".into(), uid.into())).into_iter().collect()
}

fn labels<K: Kept>(object: &K, label: Option<&'static str>) -> Vec<Place> {
    let labels = object.meta().labels.as_ref();
    let value = label.and_then(|label| labels?.get(label));
    value
        .map(|value| (namespace(object), value.as_str().into()))
        .into_iter()
        .collect()
}

fn routes<K: Kept>(object: &K) -> Vec<Place> {
    let annotations = object.meta().annotations.as_ref();
    let text = annotations.and_then(|annotations| annotations.get(serving::ROUTES));
    let names = text.into_iter().flat_map(|text| text.split(','));
    names.map(|name| (namespace(object), name.into())).collect()
}

fn namespace<K: Kept>(object: &K) -> Box<str> {
    object.meta().namespace.as_deref().unwrap_or_default().into()
}

/// The version of an object; Kubernetes lets clients compare them as numbers.
fn version<K: Kept>(object: &K) -> u64 {
    let text = object.meta().resource_version.as_deref().unwrap_or_default();
    text.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;
    use std::sync::Mutex;

    fn map(name: &str, version: u64, label: &str) -> ConfigMap {
        serde_json::from_value(json!({"metadata": {"namespace": "n", "name": name,
            "resourceVersion": version.to_string(), "labels": {"l": label},
            "ownerReferences": [{"controller": true, "uid": label, "kind": "K", "name": "k", "apiVersion": "v1"}]}}))
        .unwrap()
    }

    fn names(found: &[Arc<ConfigMap>]) -> Vec<&str> {
        found.iter().filter_map(|map| map.metadata.name.as_deref()).collect()
    }

    #[test]
    fn objects_are_found_by_label_and_maker_as_these_change() {
        let cache = Cache::new(Some("l"));
        cache.hear(Heard::Changed(map("a", 1, "x")));
        cache.hear(Heard::Changed(map("b", 2, "x")));
        assert_eq!(names(&cache.labelled("n", "x")), ["a", "b"]);
        cache.hear(Heard::Changed(map("a", 3, "y")));
        assert_eq!(names(&cache.labelled("n", "x")), ["b"]);
        assert_eq!(names(&cache.made_by("y")), ["a"]);
        cache.hear(Heard::Gone(map("b", 4, "x")));
        assert!(cache.labelled("n", "x").is_empty() && cache.made_by("x").is_empty());
    }

    #[test]
    fn what_was_heard_long_ago_is_as_it_was() {
        let cache = Cache::new(Some("l"));
        let heard: Vec<_> = (0..200).map(|place| map(&place.to_string(), place + 1, "x")).collect();
        for object in &heard {
            cache.hear(Heard::Changed(object.clone()));
        }
        for object in &heard {
            assert_eq!(cache.get(&Key::of(&object.metadata)).as_deref(), Some(object));
        }
        assert_eq!(cache.labelled("n", "x").len(), 200);
        let inner = cache.read();
        assert_eq!(
            inner
                .objects
                .values()
                .filter(|entry| !entry.object.is_pressed())
                .count(),
            FRESH
        );
    }

    #[test]
    fn an_object_never_goes_back_and_a_deletion_stays() {
        let cache = Cache::new(None);
        cache.take_in(map("a", 5, "new"));
        cache.hear(Heard::Changed(map("a", 4, "old")));
        assert!(cache.made_by("old").is_empty());
        cache.hear(Heard::Gone(map("a", 7, "new")));
        cache.take_in(map("a", 6, "late"));
        assert!(cache.is_empty());
        cache.take_in(map("a", 8, "again"));
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn a_list_takes_away_what_it_does_not_name_but_not_what_was_written_meanwhile() {
        let cache = Cache::new(None);
        cache.hear(Heard::Changed(map("a", 1, "x")));
        cache.hear(Heard::Changed(map("b", 2, "x")));
        cache.hear(Heard::Listing);
        cache.take_in(map("c", 9, "x"));
        cache.hear(Heard::Listed(map("b", 2, "x")));
        cache.hear(Heard::Complete);
        let mut found = cache.keys();
        found.sort();
        assert_eq!(found, [Key::new("n", "b"), Key::new("n", "c")]);
    }

    #[test]
    fn each_change_is_told_once() {
        let cache = Cache::new(None);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ears = Arc::clone(&heard);
        cache.listen(move |change: &Change<ConfigMap>| {
            ears.lock().unwrap().push((change.old.is_some(), change.new.is_some()));
        });
        cache.take_in(map("a", 1, "x"));
        cache.hear(Heard::Changed(map("a", 1, "x")));
        cache.hear(Heard::Changed(map("a", 2, "x")));
        cache.hear(Heard::Gone(map("a", 3, "x")));
        assert_eq!(*heard.lock().unwrap(), [(false, true), (true, true), (true, false)]);
    }
}
