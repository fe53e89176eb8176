// SPDX-License-Identifier: Apache-2.0
//! Properties of the store under any sequence of writes.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::moment::Moment;
use crate::part::Part;
use crate::refusal::Refusal;
use crate::resource;
use crate::verbs::{self, Caller, DeleteOptions};

#[derive(Clone, Debug)]
enum Step {
    Create(u8),
    Update(u8, u8, bool),
    Delete(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..6_u8).prop_map(Step::Create),
        (0..6_u8, any::<u8>(), any::<bool>()).prop_map(|(name, value, is_stale)| Step::Update(name, value, is_stale)),
        (0..6_u8).prop_map(Step::Delete),
    ]
}

fn moment() -> Moment {
    Moment {
        now: k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
        random: fastrand::Rng::with_seed(7),
    }
}

/// A store with a namespace, and what makes calls in it.
struct World {
    store: Store,
    moment: Moment,
    settings: api::context::Settings,
}

impl World {
    fn new(remembered: usize) -> Self {
        let mut world = Self {
            store: Store::new(remembered),
            moment: moment(),
            settings: api::context::Settings::default(),
        };
        // Nearly all of it is pressed.
        world.store.fresh = Fresh::new(1);
        let namespaces = resource::find("", "v1", "namespaces").unwrap();
        let namespace = json!({"metadata": {"name": "n"}});
        world
            .write(|transaction, caller| verbs::create(transaction, namespaces, "", namespace, caller).map(drop))
            .unwrap();
        world
    }

    fn write<T>(&mut self, decide: impl FnOnce(&mut Transaction, &Caller) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let caller = Caller {
            settings: &self.settings,
            user: "u",
            manager: "m",
            has_booked: false,
            unknown: verbs::Unknown::Told,
        };
        let mut transaction = self.store.begin(&mut self.moment);
        let decided = decide(&mut transaction, &caller)?;
        let events = transaction.finish();
        self.store.commit(events);
        Ok(decided)
    }

    fn take(&mut self, step: &Step) -> Result<(), Refusal> {
        let maps = resource::find("", "v1", "configmaps").unwrap();
        let key = |name: u8| Key::new(maps, "n", &format!("m{name}"));
        match step {
            Step::Create(name) => {
                let object = json!({"metadata": {"name": key(*name).name}, "data": {"value": "0"}});
                self.write(|transaction, caller| verbs::create(transaction, maps, "n", object, caller).map(drop))
            }
            Step::Update(name, value, is_stale) => {
                let Some(old) = self.store.get(&key(*name)) else {
                    return Ok(());
                };
                let mut object = Value::clone(&old);
                object["data"]["value"] = value.to_string().into();
                if *is_stale {
                    meta::set(&mut object, "resourceVersion", "0".into());
                }
                let key = key(*name);
                self.write(|transaction, caller| {
                    verbs::update(transaction, &key, Part::Whole, object, caller).map(drop)
                })
            }
            Step::Delete(name) => {
                let key = key(*name);
                let options = DeleteOptions::default();
                self.write(|transaction, _| verbs::delete(transaction, &key, &options).map(drop))
            }
        }
    }
}

fn content(store: &Store) -> BTreeMap<Key, Arc<Value>> {
    let listed = store.objects.iter();
    listed.map(|(key, place)| (Key::clone(key), place.get())).collect()
}

proptest! {
    #[test]
    fn who_replays_the_log_from_a_list_has_the_next_list(
        before in proptest::collection::vec(step(), 0..20),
        after in proptest::collection::vec(step(), 0..40),
    ) {
        let mut world = World::new(1_000);
        for step in &before {
            let _ = world.take(step);
        }
        let (mut seen, since) = (content(&world.store), world.store.version());
        for step in &after {
            let _ = world.take(step);
        }
        let mut last = since;
        for event in world.store.events_after(since).unwrap() {
            prop_assert!(event.version > last);
            last = event.version;
            let object = event.object.get();
            prop_assert_eq!(meta::version(&object), event.version.to_string());
            prop_assert_eq!(event.kind == EventKind::Added, !seen.contains_key(&*event.key));
            if event.kind == EventKind::Deleted {
                seen.remove(&*event.key);
            } else {
                seen.insert(Key::clone(&event.key), event.object.get());
            }
        }
        prop_assert_eq!(last, world.store.version());
        prop_assert_eq!(seen, content(&world.store));
    }

    #[test]
    fn an_update_of_an_old_version_changes_nothing(steps in proptest::collection::vec(step(), 0..40)) {
        let mut world = World::new(1_000);
        for step in &steps {
            let before = (content(&world.store), world.store.version());
            let taken = world.take(step);
            if taken.is_err() {
                prop_assert_eq!(&before, &(content(&world.store), world.store.version()));
            }
            if let Step::Update(name, ..) = step
                && let Err(refusal) = &taken
            {
                prop_assert_eq!(refusal.code(), 409, "m{}", name);
            }
        }
    }
}

#[test]
fn what_the_log_has_forgotten_is_expired() {
    let mut world = World::new(3);
    for name in 0..5 {
        world.take(&Step::Create(name)).unwrap();
    }
    let newest = world.store.version();
    assert_eq!(world.store.events_after(newest - 3).unwrap().count(), 3);
    let expired = world.store.events_after(newest - 4).map(drop).unwrap_err();
    assert_eq!(
        expired,
        Expired::TooOld {
            wanted: newest - 4,
            oldest: newest - 3
        }
    );
    assert_eq!(world.store.events_after(newest).unwrap().count(), 0);
    let ahead = world.store.events_after(newest + 1).map(drop).unwrap_err();
    assert!(matches!(ahead, Expired::TooLarge { .. }), "{ahead}");
}

#[test]
fn what_is_taken_back_leaves_the_store_as_it_was_and_every_watch_behind() {
    let resource = crate::resource::find("", "v1", "configmaps").unwrap();
    let key = |name: &str| Key::new(resource, "n", name);
    let object = |name: &str, data: &str| serde_json::json!({"metadata": {"name": name, "uid": name}, "data": data});
    let mut moment = Moment {
        now: k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
        random: fastrand::Rng::with_seed(1),
    };
    let mut store = Store::new(10);
    let mut change = |store: &mut Store, put: &[(&str, &str)], gone: &[&str]| {
        let mut transaction = store.begin(&mut moment);
        for (name, data) in put {
            transaction.put(key(name), object(name, data));
        }
        for name in gone {
            transaction.remove(&key(name));
        }
        let events = transaction.finish();
        store.commit(events.clone());
        events
    };
    change(&mut store, &[("a", "1"), ("b", "1")], &[]);
    let before: Vec<_> = store.list(resource, None).map(|(_, object)| object.clone()).collect();
    let mut events = change(&mut store, &[("a", "2"), ("c", "1")], &["b"]);
    events.extend(change(&mut store, &[("b", "3")], &["c"]));
    let seen = store.version();
    store.undo(events.iter().rev());
    let after: Vec<_> = store.list(resource, None).map(|(_, object)| object.clone()).collect();
    assert_eq!(after, before);
    assert!(store.events_after(seen).is_err() && store.version() > seen);
}
