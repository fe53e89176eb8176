// SPDX-License-Identifier: Apache-2.0
//! Quantities inside a pod: read in every spelling, numbers included, kept in the canonical one.
//!
//! Depends on: `logic`.

use logic::quantity::{Malformed, Quantity};
use serde_json::Value;

/// Fields that hold quantities by name of resource.
const MAPS: [&str; 3] = ["limits", "overhead", "requests"];
/// Fields that hold one quantity.
const SINGLE: [&str; 2] = ["divisor", "sizeLimit"];

/// Makes every quantity in a PodSpec canonical.
///
/// # Errors
/// A text is no quantity.
pub(crate) fn canonical_quantities(value: &mut Value) -> Result<(), Malformed> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(canonical_quantities),
        Value::Object(fields) => fields.iter_mut().try_for_each(|(key, value)| match value {
            Value::Object(quantities) if MAPS.contains(&key.as_str()) => {
                quantities.values_mut().try_for_each(canonical)
            }
            value if SINGLE.contains(&key.as_str()) => canonical(value),
            value => canonical_quantities(value),
        }),
        _ => Ok(()),
    }
}

/// Whether two PodSpecs differ in nothing but how quantities are spelt.
pub(crate) fn same_amounts(value: &Value, other: &Value) -> bool {
    match (value, other) {
        (Value::Array(items), Value::Array(others)) => {
            items.len() == others.len() && items.iter().zip(others).all(|(item, other)| same_amounts(item, other))
        }
        (Value::Object(_), Value::Object(_)) => same_fields(value, other, |key, value, other| match key {
            key if MAPS.contains(&key) => same_fields(value, other, |_, value, other| is_same_amount(value, other)),
            key if SINGLE.contains(&key) => is_same_amount(value, other),
            _ => same_amounts(value, other),
        }),
        _ => value == other,
    }
}

fn same_fields(value: &Value, other: &Value, is_same: impl Fn(&str, &Value, &Value) -> bool) -> bool {
    match (value.as_object(), other.as_object()) {
        (Some(fields), Some(others)) => {
            fields.len() == others.len()
                && fields
                    .iter()
                    .all(|(key, value)| others.get(key).is_some_and(|other| is_same(key, value, other)))
        }
        _ => value == other,
    }
}

fn is_same_amount(value: &Value, other: &Value) -> bool {
    let amount = |value: &Value| Quantity::parse(value.as_str()?).ok();
    value == other || amount(value).is_some_and(|value| amount(other) == Some(value))
}

/// What is neither text nor number is left to the decoder.
fn canonical(value: &mut Value) -> Result<(), Malformed> {
    let text = match value {
        Value::String(text) => Quantity::parse(text.trim())?.to_string(),
        Value::Number(number) => Quantity::parse(&number.to_string())?.to_string(),
        Value::Null => "0".to_owned(),
        _ => return Ok(()),
    };
    *value = Value::String(text);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_and_texts_become_canonical_where_quantities_stand() {
        let mut pod = json!({"containers": [{
            "image": "1000m",
            "resources": {"requests": {"cpu": 1, "memory": "1024Ki"}, "limits": {"cpu": 0.5}},
        }]});
        assert_eq!(canonical_quantities(&mut pod), Ok(()));
        let expected = json!({"containers": [{
            "image": "1000m",
            "resources": {"requests": {"cpu": "1", "memory": "1Mi"}, "limits": {"cpu": "500m"}},
        }]});
        assert_eq!(pod, expected);
    }

    #[test]
    fn a_text_that_is_no_quantity_is_refused() {
        let mut pod = json!({"volumes": [{"emptyDir": {"sizeLimit": "much"}}]});
        assert_eq!(canonical_quantities(&mut pod), Err(Malformed::Form));
    }
}
