// SPDX-License-Identifier: Apache-2.0
//! When two JSON values say the same, by the rules of the test data: a missing key is `null`; a missing `metadata`,
//! `spec`, `status` or `resources` is an empty one; numbers are compared by value; the order of keys is nothing.
//!
//! Depends on: nothing.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Keys for which missing and empty are the same.
const EMPTY_IS_MISSING: [&str; 4] = ["metadata", "spec", "status", "resources"];

/// The first difference, as `path: expected …, got …`.
pub(crate) fn difference(expected: &Value, actual: &Value) -> Option<String> {
    at("", expected, actual)
}

fn at(path: &str, expected: &Value, actual: &Value) -> Option<String> {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => of_objects(path, expected, actual),
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => expected
            .iter()
            .zip(actual)
            .enumerate()
            .find_map(|(index, (expected, actual))| at(&format!("{path}[{index}]"), expected, actual)),
        (Value::Number(left), Value::Number(right)) if left.as_f64() == right.as_f64() => None,
        _ if expected == actual => None,
        _ => Some(format!("{path}: expected {expected}, got {actual}")),
    }
}

fn of_objects(path: &str, expected: &Map<String, Value>, actual: &Map<String, Value>) -> Option<String> {
    let keys: BTreeSet<_> = expected.keys().chain(actual.keys()).collect();
    keys.into_iter().find_map(|key| {
        let expected = expected.get(key).unwrap_or(&Value::Null);
        let actual = actual.get(key).unwrap_or(&Value::Null);
        let is_nothing = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
        if EMPTY_IS_MISSING.contains(&key.as_str()) && is_nothing(expected) && is_nothing(actual) {
            return None;
        }
        at(&format!("{path}.{key}"), expected, actual)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn missing_null_and_an_empty_spec_are_the_same() {
        assert_eq!(difference(&json!({"a": null, "spec": {}}), &json!({"b": null})), None);
        assert_eq!(difference(&json!({"n": 1}), &json!({"n": 1.0})), None);
    }

    #[test]
    fn an_empty_value_elsewhere_is_a_difference() {
        assert!(difference(&json!({"emptyDir": {}}), &json!({})).is_some());
    }

    #[test]
    fn a_difference_says_where() {
        let found = difference(&json!({"a": [{"b": 1}]}), &json!({"a": [{"b": 2}]}));
        assert_eq!(found.as_deref(), Some(".a[0].b: expected 1, got 2"));
    }
}
