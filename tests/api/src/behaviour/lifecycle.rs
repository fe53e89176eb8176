// SPDX-License-Identifier: Apache-2.0
//! Delete: finalizers, preconditions, policies. What only a garbage collector does is not here: no such runs beside the
//! real API server of this tier.
//!
//! Depends on: place.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::place::{IMAGES, MAPS, PODS, Place, Scenario, image, map, refused, same};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a_delete_says_what_went",
        check: a_delete_says_what_went,
    },
    Scenario {
        name: "a_finalizer_holds_an_object",
        check: a_finalizer_holds_an_object,
    },
    Scenario {
        name: "preconditions_of_a_delete_hold",
        check: preconditions_of_a_delete_hold,
    },
    Scenario {
        name: "foreground_is_a_finalizer",
        check: foreground_is_a_finalizer,
    },
    Scenario {
        name: "a_collection_is_deleted_by_selector",
        check: a_collection_is_deleted_by_selector,
    },
    Scenario {
        name: "a_pod_that_runs_nowhere_goes_at_once",
        check: a_pod_that_runs_nowhere_goes_at_once,
    },
];

fn a_delete_says_what_went(place: &Place) -> Result<()> {
    let made = place.create(IMAGES, &image("a"))?;
    let answer = place.ask("DELETE", IMAGES, "/a", &Value::Null)?;
    same("code", &answer.code.into(), 200)?;
    same("status", &answer.body["status"], "Success")?;
    let details = json!({
        "name": "a", "group": "caching.internal.knative.dev", "kind": "images", "uid": made["metadata"]["uid"],
    });
    same("details", &answer.body["details"], details)?;
    place.gone(IMAGES, "a")
}

fn a_finalizer_holds_an_object(place: &Place) -> Result<()> {
    let mut object = image("a");
    object["metadata"]["finalizers"] = json!(["example.com/one"]);
    place.create(IMAGES, &object)?;
    let answer = place.ask("DELETE", IMAGES, "/a", &Value::Null)?;
    same("code", &answer.code.into(), 200)?;
    let held = place.get(IMAGES, "a")?.body;
    ensure!(held["metadata"]["deletionTimestamp"].is_string(), "{held}");
    same("grace", &held["metadata"]["deletionGracePeriodSeconds"], 0)?;
    same("generation", &held["metadata"]["generation"], 2)?;
    let more = json!({"metadata": {"finalizers": ["example.com/one", "example.com/two"]}});
    let answer = place.patch("merge-patch+json", IMAGES, "/a", &more)?;
    let message = "Image.caching.internal.knative.dev \"a\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"example.com/two\"}";
    refused(&answer, 422, "Invalid", message)?;
    place.patch(
        "merge-patch+json",
        IMAGES,
        "/a",
        &json!({"metadata": {"finalizers": null}}),
    )?;
    place.gone(IMAGES, "a")
}

fn preconditions_of_a_delete_hold(place: &Place) -> Result<()> {
    let made = place.create(MAPS, &map("a"))?;
    let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "other"}});
    let answer = place.ask("DELETE", MAPS, "/a", &options)?;
    same("code", &answer.code.into(), 409)?;
    same("reason", &answer.body["reason"], "Conflict")?;
    let options =
        json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": made["metadata"]["uid"]}});
    same("code", &place.ask("DELETE", MAPS, "/a", &options)?.code.into(), 200)
}

fn foreground_is_a_finalizer(place: &Place) -> Result<()> {
    let mut object = image("a");
    object["metadata"]["finalizers"] = json!(["example.com/one"]);
    place.create(IMAGES, &object)?;
    let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"});
    let answer = place.ask("DELETE", IMAGES, "/a", &options)?;
    same("code", &answer.code.into(), 200)?;
    ensure!(answer.body["metadata"]["deletionTimestamp"].is_string(), "{answer:?}");
    let policy = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Sometimes"});
    same(
        "unknown policy",
        &place.ask("DELETE", IMAGES, "/a", &policy)?.code.into(),
        422,
    )
}

fn a_collection_is_deleted_by_selector(place: &Place) -> Result<()> {
    for name in ["a", "b"] {
        let mut object = map(name);
        object["metadata"]["labels"] = json!({"l": name});
        place.create(MAPS, &object)?;
    }
    same(
        "code",
        &place
            .ask("DELETE", MAPS, "?labelSelector=l%3Da", &Value::Null)?
            .code
            .into(),
        200,
    )?;
    place.gone(MAPS, "a")?;
    same("the other", &place.get(MAPS, "b")?.code.into(), 200)
}

fn a_pod_that_runs_nowhere_goes_at_once(place: &Place) -> Result<()> {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    place.create(PODS, &pod)?;
    let answer = place.ask("DELETE", PODS, "/p", &Value::Null)?;
    same("the answer is the pod", &answer.body["kind"], "Pod")?;
    same("get", &place.get(PODS, "p")?.code.into(), 404)
}
