// SPDX-License-Identifier: Apache-2.0
//! The JSON patch (RFC 6902) that makes one value another.
//!
//! Invariants: applied to the first value it gives the second; nothing that is equal is mentioned.
//! Depends on: nothing.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// The operations from `old` to `new`.
pub(super) fn between(old: &Value, new: &Value) -> Vec<Value> {
    let mut operations = Vec::new();
    walk("", old, new, &mut operations);
    operations
}

fn walk(path: &str, old: &Value, new: &Value, operations: &mut Vec<Value>) {
    match (old, new) {
        _ if old == new => {}
        (Value::Object(old), Value::Object(new)) => of_objects(path, old, new, operations),
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                walk(&format!("{path}/{index}"), old, new, operations);
            }
        }
        _ => operations.push(json!({"op": "replace", "path": path, "value": new})),
    }
}

fn of_objects(path: &str, old: &Map<String, Value>, new: &Map<String, Value>, operations: &mut Vec<Value>) {
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let path = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
        match (old.get(key), new.get(key)) {
            (Some(old), Some(new)) => walk(&path, old, new, operations),
            (Some(_), None) => operations.push(json!({"op": "remove", "path": path})),
            (None, Some(new)) => operations.push(json!({"op": "add", "path": path, "value": new})),
            (None, None) => {}
        }
    }
}
