// SPDX-License-Identifier: Apache-2.0
//! `revision-objects.jsonl`: what a Service, a Configuration and a Revision make.
//!
//! Compared exactly, but for these paths, where pods without a queue-proxy differ (docs/compatibility.md):
//! - `deployment_without_queue_proxy`: `readinessProbe` of containers (docs/probes.md is our own table, each row a test) and
//!   the volumes that only a queue-proxy mounts ([`QUEUE_PROXY_VOLUMES`]); of the hash label only the presence.
//! - `public_service`, `private_service`: `targetPort` of ports; `status`, which Go writes even when empty.
//! - `queue_proxy_container` is for information.
//!
//! Depends on: api, compare, data, report; given.

mod given;

use crate::compare;
use crate::data::Case;
use crate::report::Verdict;
use api::names::serving;
use api::pod_autoscaler::PodAutoscaler;
use api::revision::desired::deployment::{deployment, selector};
use api::revision::desired::{image_caches, pod_autoscaler};
use api::serverless_service::desired::{private_service, private_service_name, public_service};
use api::{configuration, pod_autoscaler as scaling, service};
use given::Settings;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

/// Volumes that only a queue-proxy mounts.
const QUEUE_PROXY_VOLUMES: [&str; 3] = ["pod-info", "knative-token-volume", "server-certs"];

pub(super) fn judge(case: &Case) -> Verdict {
    match case.kind() {
        "revision" => of_revision(case),
        "configuration" => of_configuration(case),
        "service" => of_service(case),
        kind => Err(format!("no kind `{kind}`")),
    }
}

fn of_service(case: &Case) -> Verdict {
    let service = given::service(case, &Settings::of(case)?)?;
    let configuration = service::desired::configuration(&service, None);
    same(case, "configuration", bare(&configuration)?)?;
    same(case, "route", bare(&service::desired::route(&service))?)
}

fn of_configuration(case: &Case) -> Verdict {
    let seconds = case.value["now_unix"].as_i64().ok_or("no `now_unix`")?;
    let now = Time(Timestamp::from_second(seconds).map_err(|error| error.to_string())?);
    let configuration = given::object(&case.value["object"])?;
    same(
        case,
        "revision",
        bare(&configuration::desired::revision(&configuration, &now))?,
    )
}

fn of_revision(case: &Case) -> Verdict {
    let settings = Settings::of(case)?;
    let revision = given::revision(case, &settings)?;
    same(case, "defaulted_revision_spec", json!(revision.spec))?;
    let existing = given::existing_deployment(case)?;

    let pods = deployment(&revision, &settings.operator());
    same_deployment(case, bare(&pods)?)?;
    let images: Vec<_> = image_caches(&revision).iter().map(bare).collect::<Result<_, _>>()?;
    same(case, "image_caches", Value::Array(images))?;

    let mut scaled = pod_autoscaler(&revision, existing.as_ref());
    same(case, "pod_autoscaler", bare(&scaled)?)?;
    settings.set_defaults(&mut scaled);
    same(
        case,
        "pod_autoscaler_defaulted_annotations",
        json!(scaled.metadata.annotations),
    )?;
    scaled.metadata.uid = Some("pa-uid".to_owned());
    of_pod_autoscaler(case, &settings, &scaled)?;
    of_serverless_service(case, &scaled, &revision)
}

fn of_pod_autoscaler(case: &Case, settings: &Settings, scaled: &PodAutoscaler) -> Verdict {
    let sks = serverless_service_of(case, scaled);
    same(case, "serverless_service", bare(&sks)?)?;
    let target = private_service_name(&sks);
    let metric = scaling::desired::metric(scaled, &target, settings.autoscaler());
    same(case, "metric", bare(&metric)?)
}

fn of_serverless_service(case: &Case, scaled: &PodAutoscaler, revision: &api::revision::Revision) -> Verdict {
    let mut sks = serverless_service_of(case, scaled);
    sks.metadata.uid = Some("sks-uid".to_owned());
    same_service(case, "public_service", bare(&public_service(&sks))?)?;
    same_service(
        case,
        "private_service",
        bare(&private_service(&sks, selector(revision)))?,
    )
}

fn serverless_service_of(case: &Case, scaled: &PodAutoscaler) -> api::serverless_service::ServerlessService {
    let mode = case.value["sks_mode"].as_str().unwrap_or_default();
    let activators = case.value["num_activators"].as_i64().unwrap_or_default();
    scaling::desired::serverless_service(scaled, mode, i32::try_from(activators).unwrap_or_default())
}

/// The JSON of an object as the cases have it: without kind and version.
fn bare<T: Serialize>(object: &T) -> Result<Value, String> {
    let mut value = serde_json::to_value(object).map_err(|error| error.to_string())?;
    if let Some(fields) = value.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    Ok(value)
}

fn same(case: &Case, key: &str, actual: Value) -> Verdict {
    compared(key, &case.value["expect"][key], &actual)
}

fn compared(key: &str, expected: &Value, actual: &Value) -> Verdict {
    match compare::difference(expected, actual) {
        Some(difference) => Err(format!("{key}{difference}")),
        None => Ok(()),
    }
}

fn same_deployment(case: &Case, mut actual: Value) -> Verdict {
    let key = "deployment_without_queue_proxy";
    let mut expected = case.value["expect"][key].clone();
    let hash = &mut actual["metadata"]["labels"][serving::DEPLOYMENT_HASH];
    if hash.as_str().is_none_or(str::is_empty) {
        return Err(format!("{key}: no hash"));
    }
    *hash = json!("HASH");
    for deployment in [&mut expected, &mut actual] {
        let containers = deployment["spec"]["template"]["spec"]["containers"].as_array_mut();
        for container in containers.into_iter().flatten() {
            remove(container, "readinessProbe");
        }
    }
    let pod = &mut expected["spec"]["template"]["spec"];
    if let Some(volumes) = pod["volumes"].as_array_mut() {
        volumes.retain(|volume| {
            volume["name"]
                .as_str()
                .is_none_or(|name| !QUEUE_PROXY_VOLUMES.contains(&name))
        });
        if volumes.is_empty() {
            remove(pod, "volumes");
        }
    }
    compared(key, &expected, &actual)
}

fn same_service(case: &Case, key: &str, mut actual: Value) -> Verdict {
    let mut expected = case.value["expect"][key].clone();
    remove(&mut expected, "status");
    for service in [&mut expected, &mut actual] {
        for port in service["spec"]["ports"].as_array_mut().into_iter().flatten() {
            remove(port, "targetPort");
        }
    }
    compared(key, &expected, &actual)
}

fn remove(value: &mut Value, key: &str) {
    if let Some(fields) = value.as_object_mut() {
        fields.remove(key);
    }
}
