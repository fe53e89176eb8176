// SPDX-License-Identifier: Apache-2.0
//! A schema as a definition has it.
//!
//! Depends on: nothing.

use serde_json::Value;

use super::Schema;

impl Schema {
    /// Reads a definition's schema.
    #[must_use]
    pub fn read(written: &Value) -> Self {
        let properties = written["properties"].as_object();
        let types = if written["x-kubernetes-int-or-string"] == true {
            vec!["integer".to_owned(), "string".to_owned()]
        } else {
            text(&written["type"]).into_iter().collect()
        };
        let keeps = written["x-kubernetes-preserve-unknown-fields"] == true;
        Self {
            types,
            format: text(&written["format"]).unwrap_or_default(),
            pattern: text(&written["pattern"]),
            default: written.get("default").cloned(),
            properties: properties
                .into_iter()
                .flatten()
                .map(|(name, schema)| (name.clone(), Self::read(schema)))
                .collect(),
            required: texts(&written["required"]),
            values: inner(&written["additionalProperties"]),
            items: inner(&written["items"]),
            keys: texts(&written["x-kubernetes-list-map-keys"]),
            is_open: keeps || properties.is_none(),
        }
    }
}

fn inner(written: &Value) -> Option<Box<Schema>> {
    written.is_object().then(|| Box::new(Schema::read(written)))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(text).collect()
}
