// SPDX-License-Identifier: Apache-2.0
//! What the API server fills into objects of Kubernetes' own kinds.
//!
//! Problem: clients and controllers read fields that nobody wrote, since a cluster fills them in.
//! Mechanism: per kind, absent fields get the values of the API server of Kubernetes 1.35; a Service gets an address.
//! Invariants: idempotent; a field that is there is never changed; pure but for the address, which is of the transaction.
//! Depends on: resource, store.

mod pod;
mod probe;
mod service;
mod volume;
mod workload;

use serde_json::{Map, Value, json};

use crate::meta;
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::store::Transaction;

/// Fills in what is absent in an object that is created, or that replaces `old`; answers what the caller is told.
///
/// # Errors
/// 422 for an object that breaks a rule of its kind, or wants an address that it cannot have.
pub fn fill(
    transaction: &mut Transaction,
    resource: &'static Resource,
    old: Option<&Value>,
    object: &mut Value,
) -> Result<Vec<String>, Refusal> {
    if resource.knative.is_some() {
        return Ok(Vec::new());
    }
    match resource.kind {
        "Pod" => pod::fill(object),
        "Deployment" => return workload::deployment(resource, old, object).map(|()| Vec::new()),
        "ReplicaSet" => return workload::replica_set(resource, old, object).map(|()| Vec::new()),
        "Service" => return service::fill(transaction, resource, old, object),
        "Secret" => secret(object),
        "Namespace" => namespace(object),
        _ => {}
    }
    Ok(Vec::new())
}

/// The status of a new object whose status has a path of its own.
#[must_use]
pub fn first_status(resource: &Resource, object: &Value) -> Option<Value> {
    if resource.knative.is_some() {
        return None;
    }
    match resource.kind {
        "Namespace" => Some(json!({"phase": "Active"})),
        "Pod" => Some(json!({"phase": "Pending", "qosClass": pod::quality(object)})),
        "Service" => Some(json!({"loadBalancer": {}})),
        "Deployment" => Some(json!({})),
        "ReplicaSet" => Some(json!({"replicas": 0})),
        _ => None,
    }
}

/// Sets a field that is absent or null.
fn set(fields: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    let slot = fields.entry(key).or_insert(Value::Null);
    if slot.is_null() {
        *slot = value.into();
    }
}

/// The fields of an object within another, which is made if it is absent.
fn inner<'a>(object: &'a mut Value, key: &str) -> &'a mut Map<String, Value> {
    meta::fields(meta::fields(object).entry(key).or_insert(Value::Null))
}

/// The objects of a list.
fn each<'a>(object: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    let list = object.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter(|item| item.is_object())
}

fn namespace(object: &mut Value) {
    let name = meta::name(object).to_owned();
    let labels = meta::fields(meta::metadata(object).entry("labels").or_insert(Value::Null));
    labels.insert("kubernetes.io/metadata.name".to_owned(), name.into());
    let spec = inner(object, "spec");
    set(spec, "finalizers", json!(["kubernetes"]));
}

fn secret(object: &mut Value) {
    use base64::Engine as _;
    let fields = meta::fields(object);
    set(fields, "type", "Opaque");
    let Some(Value::Object(texts)) = fields.remove("stringData") else {
        return;
    };
    let data = meta::fields(fields.entry("data").or_insert(Value::Null));
    for (key, text) in texts {
        let encoded = base64::engine::general_purpose::STANDARD.encode(text.as_str().unwrap_or_default());
        data.insert(key, encoded.into());
    }
}

#[cfg(test)]
mod tests;
