// SPDX-License-Identifier: Apache-2.0
//! JSON merge patch (RFC 7396).
//!
//! Depends on: meta.

use serde_json::Value;

use crate::meta;

/// The value with the patch merged into it: null removes, objects merge, all else replaces.
pub(super) fn apply(value: &Value, patch: &Value) -> Value {
    let Value::Object(changes) = patch else {
        return patch.clone();
    };
    let mut merged = value.clone();
    let fields = meta::fields(&mut merged);
    for (key, change) in changes {
        if change.is_null() {
            fields.remove(key);
        } else {
            let next = apply(fields.get(key).unwrap_or(&Value::Null), change);
            fields.insert(key.clone(), next);
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc_hold() {
        let rows = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (value, patch, expected) in rows {
            assert_eq!(apply(&value, &patch), expected, "{value} {patch}");
        }
    }
}
