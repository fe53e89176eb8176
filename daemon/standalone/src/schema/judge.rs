// SPDX-License-Identifier: Apache-2.0
//! What is wrong with an object: types, what must be there, and items that are there twice.
//!
//! Mechanism: the rules and words are those of kube-openapi's validator and of the API server's check of lists, which
//! follows it; of a value of the wrong type nothing else is said.
//! Depends on: path, cause.

use std::collections::HashMap;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value};

use super::Schema;
use super::path::Path;
use crate::cause::Cause;

/// What was found.
#[derive(Default)]
struct Found {
    causes: Vec<Cause>,
    /// They are told after all others.
    twice: Vec<Cause>,
}

impl Found {
    fn add(&mut self, reason: &'static str, path: &Path, message: String) {
        self.causes.push(Cause {
            reason,
            message,
            field: path.to_string(),
        });
    }
}

pub(super) fn judge(schema: &Schema, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut found = Found::default();
    if let Value::Object(fields) = object {
        judge_fields(schema, fields, old, None, &mut found);
    }
    found.causes.append(&mut found.twice);
    found.causes
}

fn judge_value(schema: &Schema, value: &Value, old: Option<&Value>, path: &Path, found: &mut Found) {
    if old == Some(value) {
        return;
    }
    if let Some(is) = mismatch(schema, value) {
        let (place, wanted) = (within(path), schema.types.join(","));
        let message = format!("Invalid value: {is:?}: {place} in body must be of type {wanted}: {is:?}");
        found.add("FieldValueTypeInvalid", path, message);
        return;
    }
    match value {
        Value::String(text) => judge_text(schema, text, path, found),
        Value::Array(items) => judge_items(schema, items, old, path, found),
        Value::Object(fields) => judge_fields(schema, fields, old, Some(path), found),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The type that is there, where another is wanted.
fn mismatch(schema: &Schema, value: &Value) -> Option<&'static str> {
    let takes = |name: &str| schema.types.iter().any(|wanted| wanted == name);
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_whole = is == "number" && takes("integer") && value.as_f64().is_some_and(|number| number.fract() == 0.0);
    (!schema.types.is_empty() && !takes(is) && !is_whole).then_some(is)
}

/// A place as the server's validator names it: of a status it does not see the whole object.
fn within(path: &Path) -> String {
    let whole = path.to_string();
    whole.strip_prefix("status.").map(str::to_owned).unwrap_or(whole)
}

fn judge_text(schema: &Schema, text: &str, path: &Path, found: &mut Found) {
    if schema.format == "date-time" && text.parse::<Timestamp>().is_err() {
        let place = within(path);
        let message = format!("Invalid value: {text:?}: {place} in body must be of type date-time: {text:?}");
        found.add("FieldValueTypeInvalid", path, message);
    }
    if let Some(pattern) = schema.pattern.as_ref().filter(|_| !is_quantity(text)) {
        let message = format!(
            "Invalid value: {text:?}: {} in body should match '{pattern}'",
            within(path)
        );
        found.add("FieldValueInvalid", path, message);
    }
}

/// Whether the one pattern of our definitions takes a text: a number, and a suffix or an exponent.
fn is_quantity(text: &str) -> bool {
    let Some(suffix) = after_number(unsigned(text)) else {
        return false;
    };
    let exponent = suffix.strip_prefix(['e', 'E']).map(unsigned);
    exponent.and_then(after_number) == Some("")
        || matches!(suffix, "" | "n" | "u" | "m" | "k" | "M" | "G" | "T" | "P" | "E")
        || matches!(suffix, "Ki" | "Mi" | "Gi" | "Ti" | "Pi" | "Ei")
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

/// What follows the number that a text begins with.
fn after_number(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(is_digit);
    let fraction = rest.strip_prefix('.');
    let end = fraction.map_or(rest, |fraction| fraction.trim_start_matches(is_digit));
    let has_digit = rest.len() < text.len() || fraction.is_some_and(|fraction| end.len() < fraction.len());
    has_digit.then_some(end)
}

fn is_digit(letter: char) -> bool {
    letter.is_ascii_digit()
}

fn judge_items(schema: &Schema, items: &[Value], old: Option<&Value>, path: &Path, found: &mut Found) {
    let is_keyed = !schema.keys.is_empty();
    let olds = old.and_then(Value::as_array).filter(|_| is_keyed);
    let olds: HashMap<_, _> = olds.into_iter().flatten().map(|old| (keys(schema, old), old)).collect();
    let mut seen: HashMap<_, usize> = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        let path = path.item(index);
        let old = (!olds.is_empty())
            .then(|| olds.get(&keys(schema, item)).copied())
            .flatten();
        if let Some(schema) = &schema.items {
            judge_value(schema, item, old, &path, found);
        }
        if !is_keyed {
            continue;
        }
        let count = seen.entry(keys(schema, item)).or_default();
        *count += 1;
        // Of many the server tells the second only.
        if *count == 2 {
            found.twice.push(twice(schema, item, &path));
        }
    }
}

/// What tells an item apart.
fn keys<'a>(schema: &Schema, item: &'a Value) -> Vec<Option<&'a Value>> {
    schema.keys.iter().map(|key| item.get(key)).collect()
}

fn twice(schema: &Schema, item: &Value, path: &Path) -> Cause {
    let known = schema
        .keys
        .iter()
        .filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
    let keys = Value::Object(known.collect());
    Cause {
        reason: "FieldValueDuplicate",
        message: format!("Duplicate value: {keys}"),
        field: path.to_string(),
    }
}

fn judge_fields(
    schema: &Schema,
    fields: &Map<String, Value>,
    old: Option<&Value>,
    path: Option<&Path>,
    found: &mut Found,
) {
    for name in schema.required.iter().filter(|name| !fields.contains_key(*name)) {
        let path = Path::field(path, name);
        found.add("FieldValueRequired", &path, "Required value".to_owned());
    }
    for (name, value) in fields {
        let of_name = schema.properties.get(name).or(schema.values.as_deref());
        if let Some(of_name) = of_name {
            let old = old.and_then(|old| old.get(name));
            judge_value(of_name, value, old, &Path::field(path, name), found);
        }
    }
}
