// SPDX-License-Identifier: Apache-2.0
//! Server-side apply.
//!
//! Depends on: place.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::place::{DEPLOYMENTS, MAPS, Place, SERVICES, Scenario, refused, same};
use super::server::Answer;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "an_apply_creates_merges_and_removes",
        check: an_apply_creates_merges_and_removes,
    },
    Scenario {
        name: "a_conflict_names_manager_and_field",
        check: a_conflict_names_manager_and_field,
    },
    Scenario {
        name: "an_apply_again_changes_nothing",
        check: an_apply_again_changes_nothing,
    },
    Scenario {
        name: "containers_have_owners_by_name",
        check: containers_have_owners_by_name,
    },
    Scenario {
        name: "an_update_takes_ownership",
        check: an_update_takes_ownership,
    },
    Scenario {
        name: "a_definitions_lists_have_owners_as_its_schema_says",
        check: a_definitions_lists_have_owners_as_its_schema_says,
    },
];

fn data(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
}

fn an_apply_creates_merges_and_removes(place: &Place) -> Result<()> {
    let apply = |manager: &str, wanted: Value| {
        place.patch(
            "apply-patch+yaml",
            MAPS,
            &format!("/a?fieldManager={manager}"),
            &data(wanted),
        )
    };
    same("new", &apply("x", json!({"a": "1", "b": "2"}))?.code.into(), 201)?;
    same(
        "merged",
        &apply("y", json!({"b": "2", "c": "3"}))?.body["data"],
        json!({"a": "1", "b": "2", "c": "3"}),
    )?;
    let left = apply("x", json!({}))?.body;
    same("shared stays", &left["data"], json!({"b": "2", "c": "3"}))?;
    let answer = place.patch("apply-patch+yaml", MAPS, "/a", &data(json!({})))?;
    let message = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
    refused(&answer, 422, "Invalid", message)
}

fn a_conflict_names_manager_and_field(place: &Place) -> Result<()> {
    let apply = |query: &str, wanted: Value| {
        place.patch(
            "apply-patch+yaml",
            MAPS,
            &format!("/a?fieldManager={query}"),
            &data(wanted),
        )
    };
    apply("x", json!({"a": "1", "b": "1"}))?;
    let answer = apply("y", json!({"a": "2"}))?;
    refused(
        &answer,
        409,
        "Conflict",
        "Apply failed with 1 conflict: conflict with \"x\": .data.a",
    )?;
    let cause = json!([{"reason": "FieldManagerConflict", "message": "conflict with \"x\"", "field": ".data.a"}]);
    same("causes", &answer.body["details"]["causes"], cause)?;
    let answer = apply("y", json!({"a": "2", "b": "2"}))?;
    refused(
        &answer,
        409,
        "Conflict",
        "Apply failed with 2 conflicts: conflicts with \"x\":\n- .data.a\n- .data.b",
    )?;
    same(
        "forced",
        &apply("y&force=true", json!({"a": "2"}))?.body["data"]["a"],
        "2",
    )?;
    same(
        "the other way",
        &apply("x", json!({"a": "1", "b": "1"}))?.code.into(),
        409,
    )
}

fn an_apply_again_changes_nothing(place: &Place) -> Result<()> {
    let apply = || place.patch("apply-patch+yaml", MAPS, "/a?fieldManager=x", &data(json!({"a": "1"})));
    let (first, second) = (apply()?.body, apply()?.body);
    same(
        "version",
        &second["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"].clone(),
    )?;
    let entries = first["metadata"]["managedFields"].as_array().map(Vec::len);
    ensure!(entries == Some(1), "{first}");
    let entry = &first["metadata"]["managedFields"][0];
    same("operation", &entry["operation"], "Apply")?;
    same("fields", &entry["fieldsV1"], json!({"f:data": {"f:a": {}}}))
}

fn deployment(containers: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"app": "d"}}, "template": {
            "metadata": {"labels": {"app": "d"}}, "spec": {"containers": containers},
        }},
    })
}

fn containers_have_owners_by_name(place: &Place) -> Result<()> {
    let apply = |manager: &str, containers: Value| {
        place.patch(
            "apply-patch+yaml",
            DEPLOYMENTS,
            &format!("/d?fieldManager={manager}"),
            &deployment(containers),
        )
    };
    apply(
        "x",
        json!([{"name": "a", "image": "1", "env": [{"name": "E", "value": "x"}]}]),
    )?;
    let stored = apply(
        "y",
        json!([{"name": "b", "image": "2"}, {"name": "a", "env": [{"name": "F", "value": "y"}]}]),
    )?
    .body;
    let containers = &stored["spec"]["template"]["spec"]["containers"];
    ensure!(containers.as_array().is_some_and(|list| list.len() == 2), "{stored}");
    let stored = apply("y", json!([{"name": "b", "image": "2"}]))?.body;
    let containers = stored["spec"]["template"]["spec"]["containers"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let a = containers
        .iter()
        .find(|one| one["name"] == "a")
        .cloned()
        .unwrap_or_default();
    same("env", &a["env"], json!([{"name": "E", "value": "x"}]))?;
    let stored = apply("x", json!([{"name": "b", "image": "2"}]))?.body;
    let containers = stored["spec"]["template"]["spec"]["containers"]
        .as_array()
        .map(Vec::len);
    ensure!(containers == Some(1), "{stored}");
    Ok(())
}

fn an_update_takes_ownership(place: &Place) -> Result<()> {
    let apply = || {
        place.patch(
            "apply-patch+yaml",
            MAPS,
            "/a?fieldManager=x",
            &data(json!({"a": "1", "b": "1"})),
        )
    };
    apply()?;
    place.patch(
        "merge-patch+json",
        MAPS,
        "/a?fieldManager=m",
        &json!({"data": {"a": "2"}}),
    )?;
    refused(
        &apply()?,
        409,
        "Conflict",
        "Apply failed with 1 conflict: conflict with \"m\" using v1: .data.a",
    )
}

/// Applies one of Knative's Services with this pod.
fn apply_service(place: &Place, query: &str, pod: &Value) -> Result<Answer> {
    let service = json!({
        "apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": "s"},
        "spec": {"template": {"spec": pod}},
    });
    let at = format!("/s?fieldManager={query}");
    place.patch("apply-patch+yaml", SERVICES, &at, &service)
}

fn a_definitions_lists_have_owners_as_its_schema_says(place: &Place) -> Result<()> {
    let volume = |secret: &str| json!([{"name": "v", "secret": {"secretName": secret}}]);
    let containers =
        json!([{"image": "example.com/app", "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": true}]}]);
    let of_x = json!({"containers": containers, "volumes": volume("1"), "imagePullSecrets": [{"name": "p"}]});
    same("new", &apply_service(place, "x", &of_x)?.code.into(), 201)?;
    let pod = |answer: &Answer| answer.body["spec"]["template"]["spec"].clone();

    let merged = apply_service(place, "y", &json!({"imagePullSecrets": [{"name": "q"}]}))?;
    let both = json!([{"name": "p"}, {"name": "q"}]);
    same("of both", &pod(&merged)["imagePullSecrets"], both)?;
    for (wanted, field) in [
        (
            json!({"containers": [{"image": "example.com/other"}]}),
            ".spec.template.spec.containers",
        ),
        (
            json!({"volumes": volume("2")}),
            ".spec.template.spec.volumes[name=\"v\"].secret.secretName",
        ),
    ] {
        let message = format!("Apply failed with 1 conflict: conflict with \"x\": {field}");
        refused(&apply_service(place, "y", &wanted)?, 409, "Conflict", &message)?;
    }
    let of_y = json!({"volumes": volume("2"), "imagePullSecrets": [{"name": "q"}]});
    let forced = apply_service(place, "y&force=true", &of_y)?;
    same("forced", &pod(&forced)["volumes"][0]["secret"]["secretName"], "2")?;

    // What only x had goes, what y has taken stays.
    let left = apply_service(place, "x", &json!({"containers": containers}))?;
    same("left", &pod(&left)["imagePullSecrets"], json!([{"name": "q"}]))?;
    same("taken", &pod(&left)["volumes"], volume("2"))?;
    let managers = left.body["metadata"]["managedFields"].as_array().cloned();
    let of = |manager: &str| {
        let mut entries = managers.iter().flatten().filter(|entry| entry["operation"] == "Apply");
        let entry = entries.find(|entry| entry["manager"] == manager).cloned();
        entry.unwrap_or_default()["fieldsV1"]["f:spec"]["f:template"]["f:spec"].clone()
    };
    same("fields of x", &of("x"), json!({"f:containers": {}}))?;
    let fields_of_y: Vec<String> = of("y")
        .as_object()
        .into_iter()
        .flatten()
        .map(|(field, _)| field.clone())
        .collect();
    same(
        "fields of y",
        &fields_of_y.into(),
        json!(["f:imagePullSecrets", "f:volumes"]),
    )
}
