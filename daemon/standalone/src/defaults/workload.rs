// SPDX-License-Identifier: Apache-2.0
//! Deployments and ReplicaSets.
//!
//! Depends on: pod.

use serde_json::{Value, json};

use super::{inner, pod, set};
use crate::meta;
use crate::refusal::Refusal;
use crate::resource::Resource;

pub(super) fn deployment(
    resource: &'static Resource,
    old: Option<&Value>,
    deployment: &mut Value,
) -> Result<(), Refusal> {
    replica_set(resource, old, deployment)?;
    let spec = inner(deployment, "spec");
    set(spec, "revisionHistoryLimit", 10);
    set(spec, "progressDeadlineSeconds", 600);
    let strategy = meta::fields(spec.entry("strategy").or_insert(Value::Null));
    set(strategy, "type", "RollingUpdate");
    if strategy.get("type").is_some_and(|kind| kind == "RollingUpdate") {
        let rolling = meta::fields(strategy.entry("rollingUpdate").or_insert(Value::Null));
        set(rolling, "maxUnavailable", "25%");
        set(rolling, "maxSurge", "25%");
    }
    Ok(())
}

pub(super) fn replica_set(resource: &'static Resource, old: Option<&Value>, set_of: &mut Value) -> Result<(), Refusal> {
    check(resource, old, set_of)?;
    let spec = inner(set_of, "spec");
    set(spec, "replicas", 1);
    if let Some(template) = spec.get_mut("template") {
        let metadata = meta::fields(template).entry("metadata").or_insert_with(|| json!({}));
        meta::fields(metadata).entry("creationTimestamp").or_insert(Value::Null);
        pod::template(template);
    }
    Ok(())
}

/// The rules without which a workload could never find its pods.
fn check(resource: &'static Resource, old: Option<&Value>, object: &Value) -> Result<(), Refusal> {
    let refuse = |reason, field: &str, detail: String| {
        Err(Refusal::invalid(resource, meta::name(object), reason, field, detail))
    };
    let spec = &object["spec"];
    if let Some(replicas) = spec["replicas"].as_i64().filter(|count| *count < 0) {
        let detail = format!("Invalid value: {replicas}: must be greater than or equal to 0");
        return refuse("FieldValueInvalid", "spec.replicas", detail);
    }
    let wanted = spec["selector"]["matchLabels"].as_object();
    let rules = spec["selector"]["matchExpressions"].as_array();
    if wanted.is_none_or(serde_json::Map::is_empty) && rules.is_none_or(Vec::is_empty) {
        let detail = "Required value".to_owned();
        return refuse("FieldValueRequired", "spec.selector", detail);
    }
    let labels = &spec["template"]["metadata"]["labels"];
    if wanted.into_iter().flatten().any(|(key, value)| labels[key] != *value) {
        let shown = labels.as_object().cloned().unwrap_or_default();
        let detail = format!(
            "Invalid value: {}: `selector` does not match template `labels`",
            Value::Object(shown)
        );
        return refuse("FieldValueInvalid", "spec.template.metadata.labels", detail);
    }
    match old {
        Some(old) if old["spec"]["selector"] != spec["selector"] => {
            let detail = format!("Invalid value: {}: field is immutable", spec["selector"]);
            refuse("FieldValueInvalid", "spec.selector", detail)
        }
        _ => Ok(()),
    }
}
