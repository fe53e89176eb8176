// SPDX-License-Identifier: Apache-2.0
//! Create, update and patch, and the words of refusals.
//!
//! Depends on: place.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::place::{DEPLOYMENTS, IMAGES, MAPS, PODS, Place, Scenario, image, map, refused, same};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a_new_object_has_uid_version_and_time",
        check: a_new_object_has_uid_version_and_time,
    },
    Scenario {
        name: "a_name_is_taken_once",
        check: a_name_is_taken_once,
    },
    Scenario {
        name: "names_are_generated_and_judged",
        check: names_are_generated_and_judged,
    },
    Scenario {
        name: "what_is_absent_is_not_found",
        check: what_is_absent_is_not_found,
    },
    Scenario {
        name: "an_old_version_is_a_conflict",
        check: an_old_version_is_a_conflict,
    },
    Scenario {
        name: "an_update_that_changes_nothing_has_no_version",
        check: an_update_that_changes_nothing_has_no_version,
    },
    Scenario {
        name: "a_definitions_kind_needs_a_version",
        check: a_definitions_kind_needs_a_version,
    },
    Scenario {
        name: "status_and_spec_are_written_apart",
        check: status_and_spec_are_written_apart,
    },
    Scenario {
        name: "patches_of_every_form_are_taken",
        check: patches_of_every_form_are_taken,
    },
    Scenario {
        name: "a_rehearsal_stores_nothing",
        check: a_rehearsal_stores_nothing,
    },
    Scenario {
        name: "unknown_fields_are_dropped_or_refused",
        check: unknown_fields_are_dropped_or_refused,
    },
    Scenario {
        name: "a_deployment_scales",
        check: a_deployment_scales,
    },
];

/// What only the embedded API says.
pub(super) const EMBEDDED_ONLY: &[Scenario] = &[
    Scenario {
        name: "what_is_not_served_is_named",
        check: what_is_not_served_is_named,
    },
    Scenario {
        name: "what_is_nowhere_is_named",
        check: what_is_nowhere_is_named,
    },
    Scenario {
        name: "a_patch_of_an_unknown_form_is_named",
        check: a_patch_of_an_unknown_form_is_named,
    },
];

fn what_is_not_served_is_named(place: &Place) -> Result<()> {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {}});
    place.create(PODS, &pod)?;
    for (method, rest, code, named) in [
        ("GET", "/p/exec", 405, "the subresource pods/exec"),
        ("POST", "/p/eviction", 405, "the subresource pods/eviction"),
        ("PUT", "", 405, "PUT of pods"),
        ("POST", "/p", 405, "POST of one of pods"),
    ] {
        let answer = place.ask(method, PODS, rest, &Value::Null)?;
        let message = format!("{named} is not supported by the embedded API of sluice standalone");
        refused(&answer, code, "MethodNotAllowed", &message)?;
    }
    Ok(())
}

fn what_is_nowhere_is_named(place: &Place) -> Result<()> {
    for (path, named) in [
        (
            "/apis/batch/v1/namespaces/default/jobs",
            "the resource jobs of the group batch in version v1",
        ),
        (
            "/apis/serving.knative.dev/v1beta1/services",
            "the resource services of the group serving.knative.dev in version v1beta1",
        ),
        (
            "/api/v1/namespaces/default/persistentvolumeclaims/p",
            "the resource persistentvolumeclaims of the core group in version v1",
        ),
        ("/metrics", "the path /metrics"),
        ("/api/v1/namespaces/default/pods/p/odd", "the subresource pods/odd"),
    ] {
        let answer = place.ask_at("GET", path, &Value::Null)?;
        let message = format!(
            "the server could not find the requested resource: {named} is not served by the embedded API of sluice standalone"
        );
        refused(&answer, 404, "NotFound", &message)?;
    }
    Ok(())
}

fn a_patch_of_an_unknown_form_is_named(place: &Place) -> Result<()> {
    let begin = "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json";
    for (form, kind, at, accepted) in [
        ("x-patch", IMAGES, "/a", ", application/apply-patch+yaml"),
        (
            "apply-patch+yaml",
            DEPLOYMENTS,
            "/d/scale?fieldManager=x",
            ", application/strategic-merge-patch+json",
        ),
    ] {
        let message = format!("{begin}{accepted}; this one is \"application/{form}\"");
        let answer = place.patch(form, kind, at, &json!({}))?;
        refused(&answer, 415, "UnsupportedMediaType", &message)?;
    }
    Ok(())
}

fn a_new_object_has_uid_version_and_time(place: &Place) -> Result<()> {
    let mut sent = image("a");
    sent["status"] = json!({"conditions": []});
    sent["metadata"]["uid"] = "mine".into();
    sent["metadata"]["generation"] = 7.into();
    let made = place.create(IMAGES, &sent)?;
    let metadata = &made["metadata"];
    ensure!(
        metadata["uid"].as_str().is_some_and(|uid| uid.len() == 36),
        "{metadata}"
    );
    ensure!(
        metadata["creationTimestamp"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z')),
        "{metadata}"
    );
    ensure!(
        metadata["resourceVersion"]
            .as_str()
            .is_some_and(|version| version.parse::<u64>().is_ok()),
        "{metadata}"
    );
    same("generation", &metadata["generation"], 1)?;
    same("status", &made["status"], Value::Null)?;
    let mut versioned = map("b");
    versioned["metadata"]["resourceVersion"] = "1".into();
    let answer = place.ask("POST", MAPS, "", &versioned)?;
    ensure!(
        answer.body["message"] == "resourceVersion should not be set on objects to be created",
        "{answer:?}"
    );
    same("code", &answer.code.into(), 500)
}

fn a_name_is_taken_once(place: &Place) -> Result<()> {
    place.create(MAPS, &map("a"))?;
    let answer = place.ask("POST", MAPS, "", &map("a"))?;
    refused(&answer, 409, "AlreadyExists", "configmaps \"a\" already exists")?;
    same(
        "details",
        &answer.body["details"],
        json!({"name": "a", "kind": "configmaps"}),
    )
}

fn names_are_generated_and_judged(place: &Place) -> Result<()> {
    let mut object = map("");
    object["metadata"] = json!({"generateName": "made-"});
    let made = place.create(MAPS, &object)?;
    let name = made["metadata"]["name"].as_str().unwrap_or_default();
    ensure!(name.starts_with("made-") && name.len() == 10, "{name}");
    object["metadata"] = json!({});
    let answer = place.ask("POST", MAPS, "", &object)?;
    let message = "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required";
    refused(&answer, 422, "Invalid", message)?;
    let answer = place.ask("POST", IMAGES, "", &image("A_b"))?;
    let message = "Image.caching.internal.knative.dev \"A_b\" is invalid: metadata.name: Invalid value: \"A_b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    refused(&answer, 422, "Invalid", message)
}

fn what_is_absent_is_not_found(place: &Place) -> Result<()> {
    let message = "images.caching.internal.knative.dev \"x\" not found";
    for (method, body) in [("GET", Value::Null), ("DELETE", Value::Null)] {
        let answer = place.ask(method, IMAGES, "/x", &body)?;
        refused(&answer, 404, "NotFound", message)?;
        let details = json!({"name": "x", "group": "caching.internal.knative.dev", "kind": "images"});
        same("details", &answer.body["details"], details)?;
    }
    refused(
        &place.patch("merge-patch+json", IMAGES, "/x", &json!({}))?,
        404,
        "NotFound",
        message,
    )
}

fn an_old_version_is_a_conflict(place: &Place) -> Result<()> {
    let made = place.create(MAPS, &map("a"))?;
    let mut next = made.clone();
    next["data"]["a"] = "2".into();
    let stored = place.ask("PUT", MAPS, "/a", &next)?;
    same("code", &stored.code.into(), 200)?;
    next["data"]["a"] = "3".into();
    let message = "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again";
    refused(&place.ask("PUT", MAPS, "/a", &next)?, 409, "Conflict", message)?;
    let patch = json!({"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {"a": "4"}});
    refused(
        &place.patch("merge-patch+json", MAPS, "/a", &patch)?,
        409,
        "Conflict",
        message,
    )?;
    same("data", &place.get(MAPS, "a")?.body["data"]["a"], "2")
}

fn an_update_that_changes_nothing_has_no_version(place: &Place) -> Result<()> {
    let made = place.create(IMAGES, &image("a"))?;
    let again = place.ask("PUT", IMAGES, "/a", &made)?.body;
    same(
        "version",
        &again["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"].clone(),
    )?;
    let patched = place
        .patch("merge-patch+json", IMAGES, "/a", &json!({"spec": {"image": "i"}}))?
        .body;
    same(
        "version",
        &patched["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"].clone(),
    )
}

fn a_definitions_kind_needs_a_version(place: &Place) -> Result<()> {
    place.create(IMAGES, &image("a"))?;
    let message = "images.caching.internal.knative.dev \"a\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update";
    refused(&place.ask("PUT", IMAGES, "/a", &image("a"))?, 422, "Invalid", message)?;
    place.create(MAPS, &map("a"))?;
    same("code", &place.ask("PUT", MAPS, "/a", &map("a"))?.code.into(), 200)?;
    let message = "the name of the object (b) does not match the name on the URL (a)";
    refused(&place.ask("PUT", MAPS, "/a", &map("b"))?, 400, "BadRequest", message)
}

fn status_and_spec_are_written_apart(place: &Place) -> Result<()> {
    place.create(IMAGES, &image("a"))?;
    let both = json!({"spec": {"image": "j"}, "status": {"observedGeneration": 5}, "metadata": {"labels": {"l": "m"}}});
    let stored = place.patch("merge-patch+json", IMAGES, "/a/status", &both)?.body;
    same("spec", &stored["spec"]["image"], "i")?;
    same("labels", &stored["metadata"]["labels"], Value::Null)?;
    same("status", &stored["status"]["observedGeneration"], 5)?;
    same("generation", &stored["metadata"]["generation"], 1)?;
    let both = json!({"spec": {"image": "k"}, "status": {"observedGeneration": 6}, "metadata": {"labels": {"l": "m"}}});
    let stored = place.patch("merge-patch+json", IMAGES, "/a", &both)?.body;
    same("status", &stored["status"]["observedGeneration"], 5)?;
    same("labels", &stored["metadata"]["labels"], json!({"l": "m"}))?;
    same("generation", &stored["metadata"]["generation"], 2)
}

fn patches_of_every_form_are_taken(place: &Place) -> Result<()> {
    place.create(MAPS, &map("a"))?;
    let merge = json!({"data": {"a": null, "b": "2"}});
    same(
        "merge",
        &place.patch("merge-patch+json", MAPS, "/a", &merge)?.body["data"],
        json!({"b": "2"}),
    )?;
    let steps =
        json!([{"op": "test", "path": "/data/b", "value": "2"}, {"op": "move", "from": "/data/b", "path": "/data/c"}]);
    same(
        "steps",
        &place.patch("json-patch+json", MAPS, "/a", &steps)?.body["data"],
        json!({"c": "2"}),
    )?;
    let failing = json!([{"op": "test", "path": "/data/c", "value": "3"}, {"op": "remove", "path": "/data/c"}]);
    let answer = place.patch("json-patch+json", MAPS, "/a", &failing)?;
    refused(
        &answer,
        422,
        "Invalid",
        "the server rejected our request due to an error in our request",
    )?;
    for (form, kind, at) in [
        ("x-patch", MAPS, "/a"),
        ("x-patch", IMAGES, "/x"),
        ("strategic-merge-patch+json", IMAGES, "/x"),
    ] {
        let answer = place.patch(form, kind, at, &json!({}))?;
        same("code", &answer.code.into(), 415)?;
        let message = answer.body["message"].as_str().unwrap_or_default();
        // Of Kubernetes' own kinds the real one says no more than the code.
        let known = "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
        ensure!(message.starts_with(known) || kind.1 == MAPS.1, "{message}");
    }
    Ok(())
}

fn a_rehearsal_stores_nothing(place: &Place) -> Result<()> {
    let made = place.ask("POST", MAPS, "?dryRun=All", &map("a"))?;
    same("code", &made.code.into(), 201)?;
    same("get", &place.get(MAPS, "a")?.code.into(), 404)
}

fn unknown_fields_are_dropped_or_refused(place: &Place) -> Result<()> {
    let mut object = image("a");
    object["spec"]["nothing"] = 1.into();
    let answer = place.ask("POST", IMAGES, "?fieldValidation=Strict", &object)?;
    let message = "Image in version \"v1alpha1\" cannot be handled as a Image: strict decoding error: unknown field \"spec.nothing\"";
    refused(&answer, 400, "BadRequest", message)?;
    same("spec", &place.create(IMAGES, &object)?["spec"], json!({"image": "i"}))?;
    let mut object = map("a");
    object["data"]["a"] = true.into();
    let answer = place.ask("POST", MAPS, "", &object)?;
    ensure!(
        answer.code == 400 && answer.body["reason"] == "BadRequest",
        "{answer:?}"
    );
    Ok(())
}

fn a_deployment_scales(place: &Place) -> Result<()> {
    let labels = json!({"app": "d"});
    let made = place.create(DEPLOYMENTS, &json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}, {"name": "e", "image": "i"}]},
        }},
    }))?;
    same("generation", &made["metadata"]["generation"], 1)?;
    let mut scale = place.ask("GET", DEPLOYMENTS, "/d/scale", &Value::Null)?.body;
    same("selector", &scale["status"]["selector"], "app=d")?;
    scale["spec"]["replicas"] = 5.into();
    same(
        "scaled",
        &place.ask("PUT", DEPLOYMENTS, "/d/scale", &scale)?.body["spec"]["replicas"],
        5,
    )?;
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "j"}, {"name": "e", "$patch": "delete"}]}}}});
    let stored = place
        .patch("strategic-merge-patch+json", DEPLOYMENTS, "/d", &patch)?
        .body;
    same("replicas", &stored["spec"]["replicas"], 5)?;
    same("generation", &stored["metadata"]["generation"], 3)?;
    let containers = stored["spec"]["template"]["spec"]["containers"]
        .as_array()
        .map(Vec::len);
    ensure!(containers == Some(1), "{stored}");
    same(
        "image",
        &stored["spec"]["template"]["spec"]["containers"][0]["image"],
        "j",
    )
}
