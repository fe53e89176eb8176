// SPDX-License-Identifier: Apache-2.0
//! Selectors within objects: `matchLabels` and `matchExpressions`, and the plain map of a Service.
//!
//! Depends on: nothing.

use serde_json::Value;

/// Whether labels have every pair of a map; an empty map takes nothing.
pub(super) fn has_all(labels: &Value, wanted: &Value) -> bool {
    wanted.as_object().is_some_and(|wanted| {
        !wanted.is_empty()
            && wanted
                .iter()
                .all(|(key, value)| !value.is_null() && labels[key] == *value)
    })
}

/// Whether a LabelSelector takes labels; an empty one takes nothing, as no workload has one.
pub(super) fn takes(selector: &Value, labels: &Value) -> bool {
    let pairs = &selector["matchLabels"];
    let rules = selector["matchExpressions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let has_pairs = pairs.as_object().is_some_and(|pairs| !pairs.is_empty());
    (has_pairs || !rules.is_empty())
        && (!has_pairs || has_all(labels, pairs))
        && rules.iter().all(|rule| holds(rule, labels))
}

fn holds(rule: &Value, labels: &Value) -> bool {
    let value = &labels[rule["key"].as_str().unwrap_or_default()];
    let listed = || rule["values"].as_array().is_some_and(|values| values.contains(value));
    match rule["operator"].as_str() {
        Some("In") => listed(),
        Some("NotIn") => value.is_null() || !listed(),
        Some("Exists") => !value.is_null(),
        Some("DoesNotExist") => value.is_null(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_take_what_they_say() {
        let labels = json!({"a": "1", "b": "2"});
        for taken in [
            json!({"matchLabels": {"a": "1"}}),
            json!({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "In", "values": ["2", "3"]}]}),
            json!({"matchExpressions": [{"key": "c", "operator": "DoesNotExist"}, {"key": "a", "operator": "Exists"}]}),
            json!({"matchExpressions": [{"key": "c", "operator": "NotIn", "values": ["2"]}]}),
        ] {
            assert!(takes(&taken, &labels), "{taken}");
        }
        for left in [
            json!({}),
            json!({"matchLabels": {}}),
            json!({"matchLabels": {"a": "2"}}),
            json!({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["2"]}]}),
            json!({"matchExpressions": [{"key": "a", "operator": "Sometimes"}]}),
        ] {
            assert!(!takes(&left, &labels), "{left}");
        }
    }
}
