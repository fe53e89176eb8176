// SPDX-License-Identifier: Apache-2.0
//! Owners, finalizers and grace.

use serde_json::{Value, json};

use super::*;
use crate::key::Key;
use crate::meta;
use crate::moment::Moment;
use crate::part::Part;
use crate::refusal::Refusal;
use crate::resource::{self, Resource};
use crate::store::{Store, Transaction};

struct World {
    store: Store,
    moment: Moment,
    settings: api::context::Settings,
}

fn maps() -> &'static Resource {
    resource::find("", "v1", "configmaps").unwrap()
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            store: Store::new(100),
            moment: Moment {
                now: k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
                random: fastrand::Rng::with_seed(1),
            },
            settings: api::context::Settings::default(),
        };
        let namespaces = resource::find("", "v1", "namespaces").unwrap();
        world.create(namespaces, "", json!({"metadata": {"name": "n"}}));
        world
    }

    fn write<T>(&mut self, decide: impl FnOnce(&mut Transaction, &Caller) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let caller = Caller {
            settings: &self.settings,
            user: "u",
            manager: "m",
            has_booked: false,
            unknown: Unknown::Told,
        };
        let mut transaction = self.store.begin(&mut self.moment);
        let decided = decide(&mut transaction, &caller)?;
        let events = transaction.finish();
        self.store.commit(events);
        Ok(decided)
    }

    fn create(&mut self, resource: &'static Resource, namespace: &str, object: Value) -> Value {
        let written = self.write(|transaction, caller| create(transaction, resource, namespace, object, caller));
        Value::clone(&written.unwrap().object)
    }

    /// A ConfigMap with owners; `true` for one that blocks its owner.
    fn owned(&mut self, name: &str, owners: &[(&Value, bool)]) -> Value {
        let reference = |(owner, blocks): &(&Value, bool)| {
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "name": meta::name(owner), "uid": meta::uid(owner),
                "blockOwnerDeletion": blocks,
            })
        };
        let owners: Vec<Value> = owners.iter().map(reference).collect();
        self.create(
            maps(),
            "n",
            json!({"metadata": {"name": name, "ownerReferences": owners}}),
        )
    }

    fn delete(&mut self, name: &str, propagation: Propagation) {
        let options = DeleteOptions {
            propagation,
            ..DeleteOptions::default()
        };
        let key = Key::new(maps(), "n", name);
        self.write(|transaction, _| delete(transaction, &key, &options))
            .unwrap();
    }

    fn names(&self) -> Vec<&str> {
        self.store
            .list(maps(), Some("n"))
            .map(|(key, _)| key.name.as_str())
            .collect()
    }

    fn set_finalizers(&mut self, name: &str, finalizers: &[&str]) -> Result<Written, Refusal> {
        let key = Key::new(maps(), "n", name);
        let mut object = Value::clone(&self.store.get(&key).unwrap());
        meta::set(&mut object, "finalizers", finalizers.into());
        self.write(|transaction, caller| update(transaction, &key, Part::Whole, object, caller))
    }
}

#[test]
fn what_an_object_owns_goes_with_it_to_the_last_generation() {
    let mut world = World::new();
    let a = world.owned("a", &[]);
    let b = world.owned("b", &[(&a, false)]);
    world.owned("c", &[(&b, false)]);
    world.owned("other", &[]);
    world.delete("a", Propagation::Background);
    assert_eq!(world.names(), ["other"]);
}

#[test]
fn an_object_with_another_owner_stays_and_loses_the_reference() {
    let mut world = World::new();
    let (a, b) = (world.owned("a", &[]), world.owned("b", &[]));
    world.owned("c", &[(&a, true), (&b, true)]);
    world.delete("a", Propagation::Foreground);
    assert_eq!(world.names(), ["b", "c"]);
    let left = world.store.get(&Key::new(maps(), "n", "c")).unwrap();
    assert_eq!(meta::owners(&left).len(), 1);
}

#[test]
fn orphans_stay() {
    let mut world = World::new();
    let a = world.owned("a", &[]);
    world.owned("b", &[(&a, true)]);
    world.delete("a", Propagation::Orphan);
    assert_eq!(world.names(), ["b"]);
}

#[test]
fn an_object_in_foreground_waits_for_what_blocks_it() {
    let mut world = World::new();
    let a = world.owned("a", &[]);
    world.owned("b", &[(&a, true)]);
    world.set_finalizers("b", &["x/y"]).unwrap();
    world.delete("a", Propagation::Foreground);
    assert_eq!(world.names(), ["a", "b"]);
    world.set_finalizers("b", &[]).unwrap();
    assert!(world.names().is_empty());
}

#[test]
fn a_deleted_object_takes_no_new_finalizer() {
    let mut world = World::new();
    world.owned("a", &[]);
    world.set_finalizers("a", &["x/y"]).unwrap();
    world.delete("a", Propagation::Background);
    assert_eq!(world.set_finalizers("a", &["x/y", "x/z"]).unwrap_err().code(), 422);
    world.set_finalizers("a", &[]).unwrap();
    assert!(world.names().is_empty());
}

#[test]
fn an_object_whose_owner_has_gone_goes_as_soon_as_it_comes() {
    let mut world = World::new();
    let a = world.owned("a", &[]);
    world.delete("a", Propagation::Background);
    world.owned("b", &[(&a, false)]);
    assert!(world.names().is_empty());
}

#[test]
fn two_that_own_each_other_go_together() {
    let mut world = World::new();
    let a = world.owned("a", &[]);
    let b = world.owned("b", &[(&a, true)]);
    let key = Key::new(maps(), "n", "a");
    let mut object = Value::clone(&world.store.get(&key).unwrap());
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "b", "uid": meta::uid(&b), "blockOwnerDeletion": true}]);
    meta::set(&mut object, "ownerReferences", owner);
    world
        .write(|transaction, caller| update(transaction, &key, Part::Whole, object, caller))
        .unwrap();
    world.delete("a", Propagation::Background);
    assert!(world.names().is_empty());
}

#[test]
fn a_namespace_goes_when_nothing_is_in_it() {
    let mut world = World::new();
    world.owned("a", &[]);
    world.set_finalizers("a", &["x/y"]).unwrap();
    let namespaces = resource::find("", "v1", "namespaces").unwrap();
    let key = Key::new(namespaces, "", "n");
    world
        .write(|transaction, _| delete(transaction, &key, &DeleteOptions::default()))
        .unwrap();
    assert_eq!(world.store.get(&key).unwrap()["status"]["phase"], "Terminating");
    let refused =
        world.write(|transaction, caller| create(transaction, maps(), "n", json!({"metadata": {"name": "b"}}), caller));
    assert_eq!(refused.unwrap_err().code(), 403);
    world.set_finalizers("a", &[]).unwrap();
    assert!(world.store.get(&key).is_none());
}

#[test]
fn a_pod_that_runs_has_its_grace_and_a_second_delete_can_shorten_it() {
    let mut world = World::new();
    let pods = resource::find("", "v1", "pods").unwrap();
    let pod = json!({"metadata": {"name": "p"}, "spec": {"nodeName": "here", "terminationGracePeriodSeconds": 40}});
    world.create(pods, "n", pod);
    let key = Key::new(pods, "n", "p");
    let mut delete_within = |grace| {
        let options = DeleteOptions {
            grace,
            ..DeleteOptions::default()
        };
        world
            .write(|transaction, _| delete(transaction, &key, &options))
            .unwrap()
    };
    let Deleted::Waits(pod) = delete_within(None) else {
        panic!("it went at once");
    };
    assert_eq!(pod["metadata"]["deletionGracePeriodSeconds"], 40);
    assert!(matches!(delete_within(Some(0)), Deleted::Gone(_)));
}
