// SPDX-License-Identifier: Apache-2.0
//! The subresource `scale` of what has `spec.replicas`.
//!
//! Depends on: meta, refusal.

use serde_json::{Value, json};

use crate::key::Key;
use crate::meta;
use crate::refusal::Refusal;

/// The Scale of an object.
#[must_use]
pub fn scale_of(object: &Value) -> Value {
    let replicas = |part: &str| object[part]["replicas"].as_i64().unwrap_or_default();
    let labels = object["spec"]["selector"]["matchLabels"].as_object();
    let selector: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        meta::fields(&mut metadata).insert(field.to_owned(), object["metadata"][field].clone());
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": replicas("spec")},
        "status": {"replicas": replicas("status"), "selector": selector.join(",")},
    })
}

/// The object as a Scale wants it.
///
/// # Errors
/// 422 if the replicas are negative or no number.
pub fn scaled(key: &Key, object: &Value, scale: &Value) -> Result<Value, Refusal> {
    let wanted = &scale["spec"]["replicas"];
    let Some(replicas) = wanted
        .as_i64()
        .or_else(|| wanted.is_null().then_some(0))
        .filter(|count| *count >= 0)
    else {
        let detail = format!("Invalid value: {wanted}: must be greater than or equal to 0");
        return Err(Refusal::invalid(
            key.resource,
            &key.name,
            "FieldValueInvalid",
            "spec.replicas",
            detail,
        ));
    };
    let mut next = object.clone();
    let spec = meta::fields(&mut next).entry("spec").or_insert(Value::Null);
    meta::fields(spec).insert("replicas".to_owned(), replicas.into());
    let version = meta::version(scale);
    if !version.is_empty() {
        meta::set(&mut next, "resourceVersion", version.into());
    }
    Ok(next)
}
