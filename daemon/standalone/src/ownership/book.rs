// SPDX-License-Identifier: Apache-2.0
//! The entries of `metadata.managedFields`, and what a write that is no apply does to them.
//!
//! Depends on: leaves, path.

use serde_json::{Value, json};

use super::leaves;
use super::path::{self, Set};
use crate::meta;
use crate::part::Part;
use crate::resource::Resource;

/// An entry.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) manager: String,
    pub(super) operation: String,
    pub(super) sub_resource: String,
    pub(super) api_version: String,
    pub(super) time: String,
    pub(super) fields: Set,
}

impl Entry {
    pub(super) fn is_of(&self, manager: &str, operation: &str, part: Part) -> bool {
        self.manager == manager && self.operation == operation && self.sub_resource == part.sub_resource()
    }
}

/// The entries of an object.
pub(super) fn read(object: &Value) -> Vec<Entry> {
    let listed = object["metadata"]["managedFields"].as_array();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entry = |entry: &Value| Entry {
        manager: text(&entry["manager"]),
        operation: text(&entry["operation"]),
        sub_resource: text(&entry["subresource"]),
        api_version: text(&entry["apiVersion"]),
        time: text(&entry["time"]),
        fields: path::read(&entry["fieldsV1"]),
    };
    listed.into_iter().flatten().map(entry).collect()
}

/// Writes the entries that own something.
pub(super) fn write(object: &mut Value, entries: &[Entry]) {
    let owning = entries.iter().filter(|entry| !entry.fields.is_empty());
    let written: Vec<Value> = owning
        .map(|entry| {
            let mut value = json!({
                "manager": entry.manager, "operation": entry.operation, "apiVersion": entry.api_version,
                "time": entry.time, "fieldsType": "FieldsV1", "fieldsV1": path::written(&entry.fields),
            });
            if !entry.sub_resource.is_empty() {
                meta::fields(&mut value).insert("subresource".to_owned(), entry.sub_resource.clone().into());
            }
            value
        })
        .collect();
    let written = if written.is_empty() {
        Value::Null
    } else {
        written.into()
    };
    meta::set(object, "managedFields", written);
}

/// Gives the fields in which `next` differs from `old` to a manager, and takes those that are gone from everybody.
pub fn track(resource: &Resource, part: Part, old: &Value, next: &mut Value, manager: &str, time: &str) {
    let (before, after) = (leaves::of(resource, part, old), leaves::of(resource, part, next));
    let is_new = |path: &&Vec<String>| before.get(*path) != after.get(*path) || !before.contains_key(*path);
    let changed: Set = after.keys().filter(is_new).cloned().collect();
    let gone: Set = before
        .keys()
        .filter(|path| !after.contains_key(*path))
        .cloned()
        .collect();
    let mut entries = read(old);
    for entry in &mut entries {
        entry
            .fields
            .retain(|path| !changed.contains(path) && !gone.contains(path));
    }
    if !changed.is_empty() {
        match entries.iter_mut().find(|entry| entry.is_of(manager, "Update", part)) {
            Some(own) => {
                own.fields.extend(changed);
                own.time = time.to_owned();
            }
            None => entries.push(Entry {
                manager: manager.to_owned(),
                operation: "Update".to_owned(),
                sub_resource: part.sub_resource().to_owned(),
                api_version: resource.api_version(),
                time: time.to_owned(),
                fields: changed,
            }),
        }
    }
    write(next, &entries);
}
