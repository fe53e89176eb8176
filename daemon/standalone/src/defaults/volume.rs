// SPDX-License-Identifier: Apache-2.0
//! Volumes of pods.
//!
//! Depends on: nothing.

use serde_json::{Value, json};

use super::{each, set};

/// 0644.
const MODE: i64 = 0o644;

/// A volume; one without a source is an empty folder.
pub(super) fn fill(volume: &mut Value) {
    if let Some(fields) = volume.as_object_mut()
        && fields.keys().all(|key| key == "name")
    {
        fields.insert("emptyDir".to_owned(), json!({}));
    }
    for source in ["configMap", "secret", "downwardAPI", "projected"] {
        if let Some(fields) = volume.get_mut(source).and_then(Value::as_object_mut) {
            set(fields, "defaultMode", MODE);
        }
    }
    if let Some(fields) = volume.get_mut("hostPath").and_then(Value::as_object_mut) {
        set(fields, "type", "");
    }
    if let Some(downward) = volume.get_mut("downwardAPI") {
        fields_of_pod(downward);
    }
    let Some(projected) = volume.get_mut("projected") else {
        return;
    };
    for source in each(projected, "sources") {
        if let Some(token) = source.get_mut("serviceAccountToken").and_then(Value::as_object_mut) {
            set(token, "expirationSeconds", 3_600);
        }
        if let Some(downward) = source.get_mut("downwardAPI") {
            fields_of_pod(downward);
        }
    }
}

fn fields_of_pod(downward: &mut Value) {
    for item in each(downward, "items") {
        if let Some(field) = item.get_mut("fieldRef").and_then(Value::as_object_mut) {
            set(field, "apiVersion", "v1");
        }
    }
}
