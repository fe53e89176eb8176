// SPDX-License-Identifier: Apache-2.0
//! Defaulting and validation as webhooks of a real API server: control-plane spec 2 and 3.
//!
//! Mechanism: golden cases of creation in the categories that no schema decides before the webhooks do; then an object's
//! life: created, changed well and badly, its status changed, deleted.
//! Depends on: rig, webhook.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use api::kind::Kind;
use serde_json::{Map, Value, json};

use crate::Case;
use crate::rig::{Place, check_equal, object, test_data};
use crate::webhook;

pub(crate) const CASES: &[Case] = &[Case {
    name: "the_api_server_answers_as_knative_with_our_webhooks",
    check: the_api_server_answers_as_knative_with_our_webhooks,
}];

/// Categories of golden cases that reach the webhooks whole, and how many of each are tried.
const CATEGORIES: [&str; 9] = [
    "name",
    "byo_name",
    "image",
    "timeouts",
    "concurrency",
    "autoscaling",
    "traffic",
    "rollout_duration",
    "networking_annotation",
];
const OF_EACH: usize = 5;

fn the_api_server_answers_as_knative_with_our_webhooks(place: &Place) -> Result<()> {
    webhook::install(place)?;
    wait_until_called(place)?;
    for (service, told) in refused_services() {
        let refusal = place.refusal(&service)?;
        ensure!(refusal.contains(told), "expected {told:?}, got {refusal:?}");
    }
    golden_creations(place)?;
    life_of_a_service(place)
}

/// Services that each part of the chain refuses, while those behind it would too, and its words; the embedded API says
/// the same.
pub(crate) fn refused_services() -> [(Value, &'static str); 3] {
    let service = |container: Value| {
        let spec = json!({"template": {"spec": {"containers": [container]}}});
        object(Kind::Service, "refused", &spec)
    };
    let twice = json!([{"name": "A"}, {"name": "A"}]);
    [
        (
            service(json!({"image": 5, "env": twice})),
            "admission webhook \"webhook.serving.knative.dev\" denied the request: mutation failed: cannot decode incoming new object: json: cannot unmarshal number into Go struct field ",
        ),
        (
            service(json!({"image": "i", "env": twice})),
            "spec.template.spec.containers[0].env[1]: Duplicate value: {\"name\":\"A\"}",
        ),
        (
            service(json!({"image": "i"})),
            "admission webhook \"validation.webhook.serving.knative.dev\" denied the request: validation failed: Failed to parse image reference: spec.template.spec.containers[0].image\nimage: \"i\", error: could not parse reference: i",
        ),
    ]
}

/// The API server takes a moment to notice a new webhook.
fn wait_until_called(place: &Place) -> Result<()> {
    for attempt in 0..100 {
        let probe = object(Kind::Route, &format!("probe-{attempt}"), &json!({"traffic": []}));
        match place.refusal(&probe) {
            Ok(refusal) if refusal.contains("Traffic targets sum to 0") => return Ok(()),
            Ok(other) => bail!("{other}"),
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(100)),
        }
    }
    bail!("the webhooks are not called")
}

fn golden_creations(place: &Place) -> Result<()> {
    let file = test_data().join("admission.jsonl");
    let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let mut tried: BTreeMap<(String, bool), usize> = BTreeMap::new();
    for line in text.lines() {
        let case: Value = serde_json::from_str(line)?;
        let category = case["category"].as_str().unwrap_or_default();
        let allowed = case["allowed"] == true;
        let is_create = case["operation"] == "create" && case["configmaps"] == json!({});
        if !is_create || !CATEGORIES.contains(&category) || !has_containers(&case) {
            continue;
        }
        let count = tried.entry((category.to_owned(), allowed)).or_default();
        if *count >= OF_EACH {
            continue;
        }
        *count += 1;
        let name = case["name"].as_str().unwrap_or_default();
        creation(place, &case, &format!("g{}", tried.values().sum::<usize>())).with_context(|| name.to_owned())?;
    }
    let tried: usize = tried.values().sum();
    ensure!(tried > 40, "only {tried} cases were tried");
    Ok(())
}

/// Without containers the schema refuses, not the webhook.
fn has_containers(case: &Value) -> bool {
    let pointer = match case["kind"].as_str() {
        Some("Service" | "Configuration") => "/object/spec/template/spec/containers",
        Some("Revision") => "/object/spec/containers",
        _ => return true,
    };
    case.pointer(pointer)
        .is_some_and(|containers| containers.as_array().is_some_and(|list| !list.is_empty()))
}

fn creation(place: &Place, case: &Value, name: &str) -> Result<()> {
    let mut object = case["object"].clone();
    object["metadata"]["namespace"] = place.namespace().into();
    if case["allowed"] != true {
        let expected = case["error"].as_str().unwrap_or_default();
        let refusal = place.refusal(&object)?;
        // For a name that nothing may have the API server has words of its own, before any webhook.
        let names = ["metadata.name: Invalid value", "name or generateName is required"];
        let is_of_name = case["category"] == "name" && names.iter().any(|words| refusal.contains(words));
        ensure!(
            refusal.contains(expected) || is_of_name,
            "expected {expected:?}, got {refusal:?}"
        );
        return Ok(());
    }
    // Names are taken once; a Revision's name given by the user begins with it.
    let is_free = object.pointer("/spec/template/metadata/name").is_none();
    if is_free && object["metadata"]["name"].is_string() {
        object["metadata"]["name"] = name.into();
    }
    let stored = place.create(&object)?;
    check_equal(
        "spec",
        &essence(&stored["spec"]),
        &essence(&case["defaulted_object"]["spec"]),
    )?;
    let kind = case["kind"].as_str().unwrap_or_default();
    let name = stored["metadata"]["name"].as_str().unwrap_or_default();
    let group = case["object"]["apiVersion"]
        .as_str()
        .and_then(|version| version.split_once('/'));
    let (group, version) = group.unwrap_or_default();
    let resource = format!("{}s.{version}.{group}", kind.to_lowercase());
    place.kubectl(&["delete", &resource, name]).map(drop)
}

/// A value without what says nothing.
fn essence(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), essence(value)))
            .filter(|(_, value)| !value.is_null() && *value != json!({}))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(essence).collect(),
        other => other.clone(),
    }
}

fn life_of_a_service(place: &Place) -> Result<()> {
    let spec = json!({"template": {
        "metadata": {"name": "life-v1"},
        "spec": {"containers": [{"image": "example.com/app:v1"}]},
    }});
    let stored = place.create(&object(Kind::Service, "life", &spec))?;
    let user = &stored["metadata"]["annotations"]["serving.knative.dev/creator"];
    check_equal("creator", user, &json!("admin"))?;
    let change = |change: Value, of_status: bool| place.patch(Kind::Service, "life", &change, of_status);
    let refused = |change: Result<Value>| match change {
        Ok(stored) => bail!("it was changed: {stored}"),
        Err(refused) => Ok(refused.to_string()),
    };

    let refusal = refused(change(
        json!({"spec": {"template": {"spec": {"timeoutSeconds": 5}}}}),
        false,
    ))?;
    ensure!(
        refusal.contains("Saw the following changes without a name change"),
        "{refusal}"
    );
    let forged = json!({"metadata": {"annotations": {"serving.knative.dev/creator": "eve"}}});
    let refusal = refused(change(forged, false))?;
    ensure!(refusal.contains("annotation value is immutable"), "{refusal}");
    let next = json!({"spec": {"template": {"metadata": {"name": "life-v2"}, "spec": {"timeoutSeconds": 5}}}});
    let stored = change(next, false)?;
    check_equal(
        "timeout",
        &stored["spec"]["template"]["spec"]["timeoutSeconds"],
        &json!(5),
    )?;
    let stored = change(json!({"status": {"observedGeneration": 2}}), true)?;
    check_equal("observed", &stored["status"]["observedGeneration"], &json!(2))?;
    place.kubectl(&["delete", "ksvc", "life"]).map(drop)
}
