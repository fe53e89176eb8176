// SPDX-License-Identifier: Apache-2.0
//! An object taken apart into leaves.
//!
//! Invariants: what the server itself writes into metadata is nobody's; an item of a keyed list is a leaf of its own,
//! without a value, beside its fields.
//! Depends on: lists, path.

use std::collections::BTreeMap;

use serde_json::Value;

use super::path::{self, Path};
use crate::lists::{Merging, key_of, merging};
use crate::part::Part;
use crate::resource::Resource;

/// Leaves and their values.
pub(super) type Leaves = BTreeMap<Path, Value>;

const UNOWNED: [&str; 11] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
    "generateName",
];

/// The leaves of the part of an object that a call may write.
pub(super) fn of(resource: &Resource, part: Part, object: &Value) -> Leaves {
    let mut walk = Walk {
        resource,
        path: Vec::new(),
        place: Vec::new(),
        leaves: Leaves::new(),
    };
    for (name, value) in object.as_object().into_iter().flatten() {
        let is_written = match part {
            Part::Status => name == "status",
            Part::Whole => name != "status" || !resource.has_status,
        };
        match name.as_str() {
            "apiVersion" | "kind" => {}
            _ if !is_written => {}
            "metadata" => {
                let fields = value.as_object().into_iter().flatten();
                for (name, value) in fields.filter(|(name, _)| !UNOWNED.contains(&name.as_str())) {
                    walk.place.push("metadata".to_owned());
                    walk.path.push("f:metadata".to_owned());
                    walk.field(name, value);
                    walk.place.pop();
                    walk.path.pop();
                }
            }
            _ => walk.field(name, value),
        }
    }
    walk.leaves
}

struct Walk<'a> {
    resource: &'a Resource,
    path: Path,
    place: Vec<String>,
    leaves: Leaves,
}

impl Walk<'_> {
    fn field(&mut self, name: &str, value: &Value) {
        self.path.push(format!("f:{name}"));
        self.place.push(name.to_owned());
        self.value(value);
        self.place.pop();
        self.path.pop();
    }

    fn value(&mut self, value: &Value) {
        match (merging(self.resource, &self.place, value), value) {
            (Merging::Fields, Value::Object(fields)) if !fields.is_empty() => {
                for (name, value) in fields {
                    self.field(name, value);
                }
            }
            (Merging::Keyed(keys), Value::Array(items)) if !items.is_empty() => {
                for item in items {
                    self.path.push(path::item(&key_of(&keys, item)));
                    self.leaves.insert(self.path.clone(), Value::Null);
                    for (name, value) in item.as_object().into_iter().flatten() {
                        self.field(name, value);
                    }
                    self.path.pop();
                }
            }
            (Merging::Set, Value::Array(items)) if !items.is_empty() => {
                for item in items {
                    self.path.push(format!("v:{item}"));
                    self.leaves.insert(self.path.clone(), item.clone());
                    self.path.pop();
                }
            }
            _ => {
                self.leaves.insert(self.path.clone(), value.clone());
            }
        }
    }
}
