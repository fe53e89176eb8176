// SPDX-License-Identifier: Apache-2.0
//! Parts of an OpenAPI schema. The first argument is always what `kubectl explain` shows.
//!
//! Depends on: nothing.

use serde_json::{Map, Value, json};

/// A field of an object and its schema.
pub(super) type Field = (&'static str, Value);

pub(super) fn text(doc: &str) -> Value {
    json!({"description": doc, "type": "string"})
}

pub(super) fn boolean(doc: &str) -> Value {
    json!({"description": doc, "type": "boolean"})
}

/// A number of 32 bits.
pub(super) fn int32(doc: &str) -> Value {
    json!({"description": doc, "type": "integer", "format": "int32"})
}

/// A number of 64 bits.
pub(super) fn int64(doc: &str) -> Value {
    json!({"description": doc, "type": "integer", "format": "int64"})
}

/// A port, by number or by name.
pub(super) fn port(doc: &str) -> Value {
    json!({
        "description": doc,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "x-kubernetes-int-or-string": true,
    })
}

/// A quantity of a resource.
pub(super) fn quantity(doc: &str) -> Value {
    let number = r"(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))";
    let suffix = format!(r"([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?{number})");
    let mut schema = port(doc);
    set(&mut schema, "pattern", format!(r"^(\+|-)?{number}({suffix})?$").into());
    schema
}

pub(super) fn list(doc: &str, items: Value) -> Value {
    json!({"description": doc, "type": "array", "items": items})
}

/// A list that is replaced as a whole.
pub(super) fn atomic_list(doc: &str, items: Value) -> Value {
    let mut schema = list(doc, items);
    set(&mut schema, "x-kubernetes-list-type", "atomic".into());
    schema
}

/// A list whose items are told apart by a field: two with the same are an error.
pub(super) fn keyed_list(doc: &str, key: &str, items: Value) -> Value {
    let mut schema = list(doc, items);
    set(&mut schema, "x-kubernetes-list-type", "map".into());
    set(&mut schema, "x-kubernetes-list-map-keys", json!([key]));
    schema
}

pub(super) fn texts(doc: &str) -> Value {
    list(doc, json!({"type": "string"}))
}

/// An object with any keys.
pub(super) fn map(doc: &str, values: Value) -> Value {
    json!({"description": doc, "type": "object", "additionalProperties": values})
}

pub(super) fn text_map(doc: &str) -> Value {
    map(doc, json!({"type": "string"}))
}

pub(super) fn object(doc: &str, fields: impl IntoIterator<Item = Field>) -> Value {
    let properties: Map<String, Value> = fields
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect();
    json!({"description": doc, "type": "object", "properties": properties})
}

/// An object of which some fields must be present.
pub(super) fn object_with(doc: &str, required: &[&str], fields: impl IntoIterator<Item = Field>) -> Value {
    let mut schema = object(doc, fields);
    set(&mut schema, "required", required.into());
    schema
}

/// An object that is kept as it is.
pub(super) fn preserving(doc: &str) -> Value {
    json!({"description": doc, "type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// What a feature flag allows.
pub(super) fn behind(flag: &str) -> String {
    format!("Needs the feature {flag} in config-features.")
}

/// An object that is replaced as a whole.
pub(super) fn atomic(mut schema: Value) -> Value {
    set(&mut schema, "x-kubernetes-map-type", "atomic".into());
    schema
}

/// A value that is there even when nobody gave one.
pub(super) fn with_default(mut schema: Value, default: &str) -> Value {
    set(&mut schema, "default", default.into());
    schema
}

pub(super) fn set(schema: &mut Value, key: &str, value: Value) {
    if let Some(fields) = schema.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
}

/// The schema of a whole object.
pub(super) fn kind(doc: &str, spec: Value, status: Option<Value>) -> Value {
    let head = [
        ("apiVersion", text("The group and version of the object.")),
        ("kind", text("The kind of the object.")),
        ("metadata", json!({"type": "object"})),
        ("spec", spec),
    ];
    object(doc, head.into_iter().chain(status.map(|status| ("status", status))))
}
