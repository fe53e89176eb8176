// SPDX-License-Identifier: Apache-2.0
//! The status is a subresource: who writes the one does not touch the other.
//!
//! Depends on: place, rig, samples.

use anyhow::Result;
use api::kind::Kind;
use serde_json::{Value, json};

use super::place::{INGRESSES, Kind as Path, Place, ROUTES, SCALERS, Scenario, refused, same};
use crate::rig::object;
use crate::samples::sample;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a_status_is_written_by_its_own_path_only",
        check: a_status_is_written_by_its_own_path_only,
    },
    Scenario {
        name: "only_the_spec_raises_the_generation",
        check: only_the_spec_raises_the_generation,
    },
];

/// The webhooks, which the embedded API has always, write the names of these Services, empty ones too.
pub(super) const REAL_ONLY: &[Scenario] = &[Scenario {
    name: "the_services_of_a_podautoscaler_are_required",
    check: the_services_of_a_podautoscaler_are_required,
}];

/// Merges a change into an object, or into its status.
fn change(place: &Place, kind: Path, at: &str, change: &Value) -> Result<Value> {
    Ok(place.patch("merge-patch+json", kind, at, change)?.body)
}

fn a_status_is_written_by_its_own_path_only(place: &Place) -> Result<()> {
    let traffic = json!([{"configurationName": "c", "latestRevision": true, "percent": 100}]);
    let mut route = object(Kind::Route, "full", &json!({"traffic": traffic}));
    route["status"] = json!({"url": "http://user.example.com"});
    let stored = place.create(ROUTES, &route)?;
    same("url after create", &stored["status"]["url"], Value::Null)?;
    let both = json!({"spec": {"traffic": []}, "status": {"url": "http://a.example.com"}});
    let stored = change(place, ROUTES, "/full/status", &both)?;
    same("url", &stored["status"]["url"], "http://a.example.com")?;
    same("spec", &stored["spec"]["traffic"], traffic)?;
    let status = json!({"status": {"url": "http://b.example.com"}});
    let stored = change(place, ROUTES, "/full", &status)?;
    same("url", &stored["status"]["url"], "http://a.example.com")
}

fn only_the_spec_raises_the_generation(place: &Place) -> Result<()> {
    let mut ingress = sample(Kind::Ingress);
    let splits = ingress["spec"]["rules"][0]["http"]["paths"][0]["splits"].as_array_mut();
    for split in splits.into_iter().flatten() {
        split["serviceNamespace"] = place.namespace().into();
    }
    place.create(INGRESSES, &ingress)?;
    let generation = |stored: &Value, expected: u64| {
        let found = &stored["metadata"]["generation"];
        same("generation", found, expected)
    };
    let observed = json!({"status": {"observedGeneration": 7}});
    generation(&change(place, INGRESSES, "/full/status", &observed)?, 1)?;
    let annotated = json!({"metadata": {"annotations": {"a": "b"}}});
    generation(&change(place, INGRESSES, "/full", &annotated)?, 1)?;
    let changed = json!({"spec": {"httpOption": "Enabled"}});
    generation(&change(place, INGRESSES, "/full", &changed)?, 2)
}

fn the_services_of_a_podautoscaler_are_required(place: &Place) -> Result<()> {
    place.create(SCALERS, &sample(Kind::PodAutoscaler))?;
    let change = |status: Value| place.patch("merge-patch+json", SCALERS, "/full/status", &json!({"status": status}));
    let message =
        "PodAutoscaler.autoscaling.internal.knative.dev \"full\" is invalid: status.serviceName: Required value";
    let services = json!({"desiredScale": 1, "metricsServiceName": "m"});
    refused(&change(services)?, 422, "Invalid", message)?;
    let stored = change(json!({"serviceName": "", "metricsServiceName": ""}))?;
    same("code", &stored.code.into(), 200)
}
