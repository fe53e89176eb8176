// SPDX-License-Identifier: Apache-2.0
//! Whether an object has the shape of its kind: unknown fields, and types of fields.
//!
//! Mechanism: what a definition's schema does not know is dropped before admission, as the API server does; objects of
//! Kubernetes' own kinds must be readable as their types.
//! Invariants: metadata is never pruned; the paths of what was dropped are told in the order of the object.
//! Depends on: resource, k8s-openapi.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Endpoints, Event, Namespace, Node, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::call::{Caller, Unknown};
use crate::refusal::Refusal;
use crate::resource::Resource;

/// Drops what the kind does not know, and tells what; refuses what has the wrong type.
pub(super) fn fit(resource: &'static Resource, object: &mut Value, caller: &Caller) -> Result<Vec<String>, Refusal> {
    let Some(schema) = &resource.schema else {
        return check_types(resource, object).map(|()| Vec::new());
    };
    let mut dropped = Vec::new();
    for (name, value) in object.as_object_mut().into_iter().flatten() {
        if matches!(name.as_str(), "spec" | "status") {
            prune(
                value,
                &schema["properties"][name.as_str()],
                Path::Root(name),
                &mut dropped,
            );
        }
    }
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

fn unreadable(resource: &Resource, why: &str) -> Refusal {
    Refusal::bad_request(format!(
        "{} in version \"{}\" cannot be handled as a {}: {why}",
        resource.kind, resource.version, resource.kind
    ))
}

/// Where in the object we are; only what is dropped needs it as a text.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root(&'a str),
    Field(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Root(name) => out.write_str(name),
            Self::Field(above, name) => write!(out, "{above}.{name}"),
            Self::Item(above, index) => write!(out, "{above}[{index}]"),
        }
    }
}

fn prune(value: &mut Value, schema: &Value, path: Path, dropped: &mut Vec<String>) {
    match value {
        Value::Array(items) if !schema["items"].is_null() => {
            for (index, item) in items.iter_mut().enumerate() {
                prune(item, &schema["items"], Path::Item(&path, index), dropped);
            }
        }
        Value::Object(fields) => {
            let keeps = schema["x-kubernetes-preserve-unknown-fields"] == true || schema["properties"].is_null();
            let of_any = &schema["additionalProperties"];
            fields.retain(|name, value| {
                let path = Path::Field(&path, name);
                let known = &schema["properties"][name.as_str()];
                if !known.is_null() {
                    prune(value, known, path, dropped);
                } else if of_any.is_object() {
                    prune(value, of_any, path, dropped);
                } else if !keeps {
                    dropped.push(path.to_string());
                    return false;
                }
                true
            });
        }
        _ => {}
    }
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
