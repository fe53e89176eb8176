// SPDX-License-Identifier: Apache-2.0
//! What differs between two objects, for the text of an error.
//!
//! Knative prints the paths of its own structs here; these are the paths of the JSON, which users know.
//! Depends on: serde.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

/// Each field that differs, with the old and the new value.
pub(crate) fn lines(old: &impl Serialize, new: &impl Serialize) -> String {
    let as_value = |value: Result<Value, _>| value.unwrap_or_default();
    let mut text = String::new();
    between(
        "",
        &as_value(serde_json::to_value(old)),
        &as_value(serde_json::to_value(new)),
        &mut text,
    );
    text
}

fn between(path: &str, old: &Value, new: &Value, text: &mut String) {
    match (old, new) {
        _ if old == new => {}
        (Value::Object(old), Value::Object(new)) => of_objects(path, old, new, text),
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                between(&format!("{path}[{index}]"), old, new, text);
            }
        }
        _ => text.push_str(&format!("{path}:\n\t-: {old}\n\t+: {new}\n")),
    }
}

fn of_objects(path: &str, old: &Map<String, Value>, new: &Map<String, Value>, text: &mut String) {
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let of = |fields: &Map<String, Value>| fields.get(key).cloned().unwrap_or_default();
        let path = match path {
            "" => key.clone(),
            path => format!("{path}.{key}"),
        };
        between(&path, &of(old), &of(new), text);
    }
}
