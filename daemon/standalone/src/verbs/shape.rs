// SPDX-License-Identifier: Apache-2.0
//! Whether an object has the shape of its kind: unknown fields, defaults, and types of fields.
//!
//! Mechanism: before admission a definition's schema drops what it does not know and fills in its defaults, once admission
//! has changed the object it judges it, as in the API server; objects of Kubernetes' own kinds must be readable as their
//! types.
//! Depends on: resource, schema, k8s-openapi.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Endpoints, Event, Namespace, Node, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::call::{Caller, Unknown};
use crate::meta;
use crate::refusal::Refusal;
use crate::resource::Resource;

/// Drops what the kind does not know, and tells what; refuses what has the wrong type.
pub(super) fn fit(resource: &'static Resource, object: &mut Value, caller: &Caller) -> Result<Vec<String>, Refusal> {
    let Some(schema) = &resource.schema else {
        return check_types(resource, object).map(|()| Vec::new());
    };
    let dropped = schema.fit(object);
    let told: Vec<String> = dropped.iter().map(|path| format!("unknown field \"{path}\"")).collect();
    match caller.unknown {
        Unknown::Refused if !told.is_empty() => Err(unreadable(
            resource,
            &format!("strict decoding error: {}", told.join(", ")),
        )),
        Unknown::Refused | Unknown::Dropped => Ok(Vec::new()),
        Unknown::Told => Ok(told),
    }
}

/// Fills in once more what admission took away, and refuses what the definition's schema does not allow; what is as it was
/// in `old` stays.
pub(super) fn judge(resource: &'static Resource, object: &mut Value, old: Option<&Value>) -> Result<(), Refusal> {
    let Some(schema) = &resource.schema else {
        return Ok(());
    };
    let _ = schema.fit(object);
    let causes = schema.judge(object, old);
    if causes.is_empty() {
        return Ok(());
    }
    Err(Refusal::Invalid {
        resource,
        name: meta::name(object).to_owned(),
        causes,
    })
}

fn unreadable(resource: &Resource, why: &str) -> Refusal {
    Refusal::bad_request(format!(
        "{} in version \"{}\" cannot be handled as a {}: {why}",
        resource.kind, resource.version, resource.kind
    ))
}

fn check_types(resource: &'static Resource, object: &Value) -> Result<(), Refusal> {
    let checked = match (resource.group, resource.kind) {
        ("", "Namespace") => reads::<Namespace>(object),
        ("", "Node") => reads::<Node>(object),
        ("", "Pod") => reads::<Pod>(object),
        ("", "Service") => reads::<Service>(object),
        ("", "Endpoints") => reads::<Endpoints>(object),
        ("", "ConfigMap") => reads::<ConfigMap>(object),
        ("", "Secret") => reads::<Secret>(object),
        ("", "ServiceAccount") => reads::<ServiceAccount>(object),
        ("", "Event") => reads::<Event>(object),
        ("apps", "Deployment") => reads::<Deployment>(object),
        ("apps", "ReplicaSet") => reads::<ReplicaSet>(object),
        (_, "EndpointSlice") => reads::<EndpointSlice>(object),
        (_, "Lease") => reads::<Lease>(object),
        (_, "HorizontalPodAutoscaler") => reads::<HorizontalPodAutoscaler>(object),
        _ => Ok(()),
    };
    checked.map_err(|error| unreadable(resource, &format!("json: {error}")))
}

fn reads<T: DeserializeOwned>(object: &Value) -> Result<(), serde_json::Error> {
    T::deserialize(object).map(drop)
}
