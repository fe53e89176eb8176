// SPDX-License-Identifier: Apache-2.0
//! From a Deployment's template to a ReplicaSet.
//!
//! Depends on: meta.

use serde_json::{Value, json};

use super::super::actor::owned_by;
use crate::meta;

/// The label that tells the pods of one template from those of another.
const HASH: &str = "pod-template-hash";
/// Annotations of a Deployment that its sets do not have.
const OWN: [&str; 2] = ["kubectl.kubernetes.io/last-applied-configuration", super::REVISION];

/// Whether two templates are the same but for the hash.
pub(super) fn is_same(one: &Value, other: &Value) -> bool {
    let bare = |template: &Value| {
        let mut template = template.clone();
        if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
            if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
                labels.remove(HASH);
            }
            metadata.retain(|_, value| !value.is_null());
        }
        template
    };
    one["spec"] == other["spec"] && bare(one) == bare(other)
}

/// The set of a Deployment's template, without pods.
pub(super) fn set(deployment: &Value, hash: &str) -> Value {
    let mut template = deployment["spec"]["template"].clone();
    let metadata = meta::metadata(&mut template);
    meta::fields(metadata.entry("labels").or_insert(Value::Null)).insert(HASH.to_owned(), hash.into());
    let labels = metadata.get("labels").cloned().unwrap_or_default();
    let mut selector = deployment["spec"]["selector"].clone();
    let pairs = meta::fields(&mut selector).entry("matchLabels").or_insert(Value::Null);
    meta::fields(pairs).insert(HASH.to_owned(), hash.into());
    let mut annotations = deployment["metadata"]["annotations"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    annotations.retain(|key, _| !OWN.contains(&key.as_str()));
    let mut set = json!({
        "metadata": {
            "name": format!("{}-{hash}", meta::name(deployment)), "labels": labels, "annotations": annotations,
            "ownerReferences": owned_by(deployment),
        },
        "spec": {"replicas": 0, "selector": selector, "template": template},
    });
    let settles = &deployment["spec"]["minReadySeconds"];
    if !settles.is_null() {
        meta::fields(&mut set["spec"]).insert("minReadySeconds".to_owned(), settles.clone());
    }
    set
}

/// Sets an annotation.
pub(super) fn note(object: &mut Value, key: &str, value: String) {
    let annotations = meta::metadata(object).entry("annotations").or_insert(Value::Null);
    meta::fields(annotations).insert(key.to_owned(), value.into());
}
