// SPDX-License-Identifier: Apache-2.0
//! Tables and properties of apply.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::part::Part;
use crate::refusal::Refusal;
use crate::resource;

fn applied(manager: &str, live: &Value, wanted: &Value, is_forced: bool) -> Result<Value, Refusal> {
    let applied = Applied {
        resource: resource::find("apps", "v1", "deployments").unwrap(),
        part: Part::Whole,
        manager,
        is_forced,
        time: "2026-01-01T00:00:00Z",
    };
    apply(&applied, live, wanted)
}

fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    crate::meta::set(&mut object, "managedFields", Value::Null);
    object
}

fn with_containers(containers: Value) -> Value {
    json!({"metadata": {"name": "d"}, "spec": {"template": {"spec": {"containers": containers}}}})
}

#[test]
fn what_a_manager_no_longer_names_goes_unless_another_owns_it() {
    let first = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"replicas": 1}});
    let live = applied("x", &json!({}), &first, false).unwrap();
    let live = applied("y", &live, &json!({"metadata": {"labels": {"a": "1"}}}), false).unwrap();
    let live = applied("x", &live, &json!({"spec": {"replicas": 1}}), false).unwrap();
    assert_eq!(
        bare(&live),
        json!({"metadata": {"labels": {"a": "1"}}, "spec": {"replicas": 1}})
    );
    let live = applied("y", &live, &json!({}), false).unwrap();
    assert_eq!(bare(&live), json!({"metadata": {}, "spec": {"replicas": 1}}));
}

#[test]
fn a_field_of_another_manager_is_a_conflict_that_names_it() {
    let live = applied("x", &json!({}), &json!({"spec": {"replicas": 1}}), false).unwrap();
    let refused = applied("y", &live, &json!({"spec": {"replicas": 2}}), false).unwrap_err();
    assert_eq!(refused.code(), 409);
    assert_eq!(
        refused.to_string(),
        "Apply failed with 1 conflict: conflict with \"x\": .spec.replicas"
    );
    let live = applied("y", &live, &json!({"spec": {"replicas": 2}}), true).unwrap();
    assert_eq!(live["spec"]["replicas"], 2);
    assert!(applied("x", &live, &json!({"spec": {"replicas": 1}}), false).is_err());
}

#[test]
fn items_of_a_list_are_merged_by_their_key() {
    let live = applied(
        "x",
        &json!({}),
        &with_containers(json!([{"name": "a", "image": "1"}])),
        false,
    )
    .unwrap();
    let second = with_containers(json!([{"name": "b", "image": "2"}, {"name": "a", "workingDir": "/"}]));
    let live = applied("y", &live, &second, false).unwrap();
    let expected = json!([{"name": "a", "image": "1", "workingDir": "/"}, {"name": "b", "image": "2"}]);
    assert_eq!(live["spec"]["template"]["spec"]["containers"], expected);
    let live = applied(
        "y",
        &live,
        &with_containers(json!([{"name": "a", "workingDir": "/"}])),
        false,
    )
    .unwrap();
    let expected = json!([{"name": "a", "image": "1", "workingDir": "/"}]);
    assert_eq!(live["spec"]["template"]["spec"]["containers"], expected);
}

#[test]
fn a_write_owns_what_it_changes() {
    let resource = resource::find("apps", "v1", "deployments").unwrap();
    let live = applied(
        "x",
        &json!({}),
        &json!({"spec": {"replicas": 1, "paused": true}}),
        false,
    )
    .unwrap();
    let mut next = live.clone();
    next["spec"]["replicas"] = 5.into();
    track(resource, Part::Whole, &live, &mut next, "kubectl-scale", "t");
    let refused = applied("x", &next, &json!({"spec": {"replicas": 1, "paused": true}}), false).unwrap_err();
    let expected = "Apply failed with 1 conflict: conflict with \"kubectl-scale\" using apps/v1: .spec.replicas";
    assert_eq!(refused.to_string(), expected);
}

fn wanted() -> impl Strategy<Value = Value> {
    let labels = proptest::collection::btree_map("[a-c]", "[xy]", 0..3);
    let containers = proptest::collection::btree_map("[a-c]", proptest::option::of("[xy]"), 0..3);
    (labels, containers, proptest::option::of(0..3_i64)).prop_map(|(labels, containers, replicas)| {
        let container = |(name, image): (&String, &Option<String>)| match image {
            Some(image) => json!({"name": name, "image": image}),
            None => json!({"name": name}),
        };
        let containers: Vec<Value> = containers.iter().map(container).collect();
        let mut wanted = with_containers(containers.into());
        wanted["metadata"]["labels"] = json!(labels);
        if let Some(replicas) = replicas {
            wanted["spec"]["replicas"] = replicas.into();
        }
        wanted
    })
}

proptest! {
    #[test]
    fn applying_the_same_again_changes_nothing(first in wanted(), second in wanted()) {
        let live = applied("x", &json!({}), &first, false).unwrap();
        let live = applied("y", &live, &second, true).unwrap();
        let again = applied("y", &live, &second, false).unwrap();
        prop_assert_eq!(live, again);
    }

    #[test]
    fn one_manager_alone_gets_what_it_wants_whatever_it_wanted_before(first in wanted(), second in wanted()) {
        let live = applied("x", &json!({"metadata": {"name": "d"}}), &first, false).unwrap();
        let live = applied("x", &live, &second, false).unwrap();
        let fresh = applied("x", &json!({"metadata": {"name": "d"}}), &second, false).unwrap();
        let sorted = |object: &Value| {
            let mut object = object.clone();
            if let Some(list) = object["spec"]["template"]["spec"]["containers"].as_array_mut() {
                list.sort_by_key(ToString::to_string);
            }
            object
        };
        prop_assert_eq!(sorted(&live), sorted(&fresh));
    }

    #[test]
    fn a_book_is_read_as_it_is_written(wanted in wanted()) {
        let live = applied("x", &json!({}), &wanted, false).unwrap();
        let mut again = live.clone();
        book::write(&mut again, &book::read(&live));
        prop_assert_eq!(live, again);
    }
}
