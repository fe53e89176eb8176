// SPDX-License-Identifier: Apache-2.0
//! The schema of a definition, read once, and what it makes of an object.
//!
//! Mechanism: one walk drops what the schema does not know and fills in its defaults; another tells what is wrong, in the
//! words of the API server. What an update leaves as it was is not judged, so that an older object can still be changed.
//! Invariants: every word of our definitions is known here (a test compares them); metadata is never touched.
//! Depends on: cause.

mod judge;
mod path;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::cause::Cause;
use path::Path;

/// What the schema of a definition says of one value and of those within.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// What it may be, by JSON's names; anything if empty.
    types: Vec<String>,
    /// `int32` and `int64`, which are not judged, or `date-time`.
    format: String,
    /// What a text must match: always that of a quantity.
    pattern: Option<String>,
    default: Option<Value>,
    properties: BTreeMap<String, Schema>,
    required: Vec<String>,
    /// Of a map: its values.
    values: Option<Box<Schema>>,
    /// Of a list: its items.
    items: Option<Box<Schema>>,
    /// Of a list: what tells its items apart, each of them once.
    keys: Vec<String>,
    /// Whether unknown fields stay.
    is_open: bool,
}

impl Schema {
    /// Drops what it does not know, and fills in what it has defaults for; answers the paths of what was dropped, in the
    /// order of the object.
    #[must_use]
    pub fn fit(&self, object: &mut Value) -> Vec<String> {
        let mut dropped = Vec::new();
        if let Value::Object(fields) = object {
            self.fit_fields(fields, None, &mut dropped);
        }
        dropped
    }

    /// What is wrong with an object, but for what is as it was in `old`.
    #[must_use]
    pub fn judge(&self, object: &Value, old: Option<&Value>) -> Vec<Cause> {
        judge::judge(self, object, old)
    }

    fn fit_value(&self, value: &mut Value, path: &Path, dropped: &mut Vec<String>) {
        match (value, &self.items) {
            (Value::Object(fields), _) => self.fit_fields(fields, Some(path), dropped),
            (Value::Array(items), Some(schema)) => {
                for (index, item) in items.iter_mut().enumerate() {
                    schema.fit_value(item, &path.item(index), dropped);
                }
            }
            _ => {}
        }
    }

    fn fit_fields(&self, fields: &mut Map<String, Value>, path: Option<&Path>, dropped: &mut Vec<String>) {
        fields.retain(|name, value| {
            let path = Path::field(path, name);
            if let Some(known) = self.properties.get(name).or(self.values.as_deref()) {
                // A null says nothing where there may be none.
                if value.is_null() {
                    return false;
                }
                known.fit_value(value, &path, dropped);
            } else if !self.is_open {
                dropped.push(path.to_string());
                return false;
            }
            true
        });
        for (name, schema) in &self.properties {
            if let (Some(default), false) = (&schema.default, fields.contains_key(name)) {
                fields.insert(name.clone(), default.clone());
            }
        }
    }
}
