// SPDX-License-Identifier: Apache-2.0
//! An object against the schema of its kind, as the API server holds it: unknown and repeated fields, types, what is
//! required, allowed values, keys of lists.
//!
//! Invariants: what the schema keeps unknown is not looked into.
//! Depends on: advice, logic (YAML).

use std::collections::BTreeSet;

use logic::go::yaml::Node;
use serde_json::{Map, Value};

use super::advice;
use super::{Finding, Severity, UnknownFields};

/// How the message about a wrong type begins.
pub(super) const WRONG_TYPE: &str = "Invalid value: must be of type ";
/// The message about a field that is absent.
pub(super) const REQUIRED: &str = "Required value";

/// The metadata that users and controllers write.
const METADATA: [&str; 15] = [
    "name",
    "generateName",
    "namespace",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
];

const KEEPS_UNKNOWN: &str = "x-kubernetes-preserve-unknown-fields";

/// Everything that the API server would say before any webhook.
pub(super) fn check(root: &Node, schema: &Value, unknown: UnknownFields) -> Vec<Finding> {
    let mut check = Check {
        root: schema,
        unknown,
        findings: Vec::new(),
    };
    check.node(root, schema, "", root.line);
    check.findings
}

/// The object without its unknown fields.
pub(super) fn pruned(node: &Node, schema: &Value) -> Value {
    let mut value = node.to_json();
    prune(&mut value, schema, true);
    value
}

/// Every object has these, whatever its schema says.
fn is_head(path: &str, key: &str) -> bool {
    path.is_empty() && matches!(key, "apiVersion" | "kind" | "metadata")
}

fn keeps_unknown(schema: &Value) -> bool {
    schema[KEEPS_UNKNOWN] == true
}

fn prune(value: &mut Value, schema: &Value, is_root: bool) {
    match value {
        Value::Object(fields) if !keeps_unknown(schema) => {
            let properties = schema["properties"].as_object();
            let values = &schema["additionalProperties"];
            let is_map = values.is_object();
            let path = if is_root { "" } else { "." };
            fields.retain(|key, _| {
                is_map || is_head(path, key) || properties.is_some_and(|properties| properties.contains_key(key))
            });
            for (key, value) in fields.iter_mut().filter(|(key, _)| !is_head(path, key)) {
                prune(value, if is_map { values } else { &schema["properties"][key] }, false);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| prune(item, &schema["items"], false)),
        _ => {}
    }
}

struct Check<'a> {
    root: &'a Value,
    unknown: UnknownFields,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn add(&mut self, line: usize, field: &str, message: String, help: String) {
        self.findings.push(Finding {
            severity: Severity::Error,
            line,
            field: field.to_owned(),
            message,
            help,
        });
    }

    fn node(&mut self, node: &Node, schema: &Value, path: &str, line: usize) {
        let value = node.to_json();
        if value.is_null() || !self.is_of_type(&value, schema, path, line) {
            return;
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(&value)
        {
            let allowed = allowed.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
            self.add(
                line,
                path,
                format!("Unsupported value: {value}: supported values: {allowed}"),
                String::new(),
            );
        }
        if node.is_map() {
            self.object(node, schema, path, line);
        }
        self.list_keys(node, schema, path);
        for (index, item) in node.items().iter().enumerate() {
            self.node(item, &schema["items"], &format!("{path}[{index}]"), item.line);
        }
    }

    fn is_of_type(&mut self, value: &Value, schema: &Value, path: &str, line: usize) -> bool {
        let wanted = match schema["type"].as_str() {
            _ if schema["x-kubernetes-int-or-string"] == true => "integer or string",
            Some(wanted) => wanted,
            None => return true,
        };
        let is_good = match wanted {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64(),
            "number" => value.is_number(),
            _ => value.is_i64() || value.is_f64() || value.is_string(),
        };
        if !is_good {
            let message = format!("{WRONG_TYPE}{wanted}: {}", shortened(value));
            self.add(line, path, message, advice::of_type(value, wanted));
        }
        is_good
    }

    fn object(&mut self, node: &Node, schema: &Value, path: &str, line: usize) {
        let nothing = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&nothing);
        let values = &schema["additionalProperties"];
        let mut seen = BTreeSet::new();
        for entry in node.entries() {
            let field = match path {
                "" => entry.key.clone(),
                path => format!("{path}.{}", entry.key),
            };
            if !seen.insert(entry.key.as_str()) {
                let message = format!("field {field:?} is set twice");
                self.add(entry.line, &field, message, "keep one of them".to_owned());
            }
            match properties.get(&entry.key) {
                _ if path.is_empty() && entry.key == "metadata" => self.metadata(&entry.value, entry.line, &field),
                Some(schema) => self.node(&entry.value, schema, &field, entry.line),
                None if values.is_object() => self.node(&entry.value, values, &field, entry.line),
                None if keeps_unknown(schema) || is_head(path, &entry.key) => {}
                None => self.unknown(&field, &entry.key, properties, entry.line),
            }
        }
        for required in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if node.get(required).is_none_or(|value| value.to_json().is_null()) {
                let field = format!("{path}.{required}");
                self.add(line, field.trim_start_matches('.'), REQUIRED.to_owned(), String::new());
            }
        }
    }

    /// Labels and annotations are texts.
    fn metadata(&mut self, node: &Node, line: usize, path: &str) {
        let texts = serde_json::json!({"type": "object", "additionalProperties": {"type": "string"}});
        let text = serde_json::json!({"type": "string"});
        self.is_of_type(&node.to_json(), &serde_json::json!({"type": "object"}), path, line);
        for entry in node.entries() {
            let field = format!("{path}.{}", entry.key);
            match entry.key.as_str() {
                "labels" | "annotations" => self.node(&entry.value, &texts, &field, entry.line),
                "name" | "namespace" | "generateName" => self.node(&entry.value, &text, &field, entry.line),
                key if METADATA.contains(&key) => {}
                key => {
                    let known = METADATA.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
                    self.unknown(&field, key, &known, entry.line);
                }
            }
        }
    }

    fn unknown(&mut self, field: &str, key: &str, known: &Map<String, Value>, line: usize) {
        let severity = match self.unknown {
            UnknownFields::Strict => Severity::Error,
            UnknownFields::Warn => Severity::Warning,
            UnknownFields::Ignore => return,
        };
        self.findings.push(Finding {
            severity,
            line,
            field: field.to_owned(),
            message: format!("unknown field {field:?}"),
            help: advice::of_unknown(key, known, self.root),
        });
    }

    fn list_keys(&mut self, node: &Node, schema: &Value, path: &str) {
        let keys = schema["x-kubernetes-list-map-keys"].as_array();
        let Some(key) = keys.and_then(|keys| keys.first()).and_then(Value::as_str) else {
            return;
        };
        let mut seen = BTreeSet::new();
        for (index, item) in node.items().iter().enumerate() {
            let value = item.text(key).unwrap_or_default();
            if !seen.insert(value) {
                let message = format!("Duplicate value: {{\"{key}\":\"{value}\"}}");
                self.add(item.line, &format!("{path}[{index}]"), message, String::new());
            }
        }
    }
}

/// A value that is not too long to be shown.
fn shortened(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        other => {
            let text = other.to_string();
            match text.char_indices().nth(60) {
                Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
                None => text,
            }
        }
    }
}
