// SPDX-License-Identifier: Apache-2.0
//! Paths of leaves and sets of them, as FieldsV1 has them.
//!
//! Depends on: meta.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::meta;

/// Steps as FieldsV1 writes them: `f:name`, `k:{"name":"a"}`, `v:"a"`.
pub(super) type Path = Vec<String>;
/// Fields that somebody owns.
pub(super) type Set = BTreeSet<Path>;

/// The set as a FieldsV1 object.
pub(super) fn written(set: &Set) -> Value {
    let mut tree = Value::Object(Map::new());
    for path in set {
        let mut at = &mut tree;
        for step in path {
            at = meta::fields(at).entry(step.clone()).or_insert(Value::Null);
            meta::fields(at);
        }
        // Sets are in order, so what is below this path comes later and is told apart from the path itself.
        let has_below = set
            .range(path.clone()..)
            .nth(1)
            .is_some_and(|next| next.starts_with(path));
        if has_below {
            meta::fields(at).insert(".".to_owned(), Value::Object(Map::new()));
        }
    }
    tree
}

/// The set of a FieldsV1 object.
pub(super) fn read(tree: &Value) -> Set {
    let mut set = Set::new();
    walk(tree, &mut Vec::new(), &mut set);
    set
}

fn walk(tree: &Value, path: &mut Path, set: &mut Set) {
    let fields = tree.as_object();
    let is_leaf = fields.is_none_or(Map::is_empty);
    if is_leaf && !path.is_empty() {
        set.insert(path.clone());
    }
    for (step, below) in fields.into_iter().flatten() {
        if step == "." {
            set.insert(path.clone());
            continue;
        }
        path.push(step.clone());
        walk(below, path, set);
        path.pop();
    }
}

/// The step to an item with a key.
pub(super) fn item(key: &[(String, Value)]) -> String {
    let fields: Map<String, Value> = key.iter().cloned().collect();
    format!("k:{}", Value::Object(fields))
}

/// A path as conflicts show it: `.spec.containers[name="a"].image`.
pub(super) fn shown(path: &Path) -> String {
    let mut text = String::new();
    for step in path {
        match step.split_once(':') {
            Some(("f", name)) => {
                text.push('.');
                text.push_str(name);
            }
            Some(("k", key)) => {
                let key: Value = serde_json::from_str(key).unwrap_or_default();
                let parts = key
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| format!("{name}={value}"));
                text.push_str(&format!("[{}]", parts.collect::<Vec<_>>().join(",")));
            }
            Some((_, value)) => text.push_str(&format!("[={value}]")),
            None => text.push_str(step),
        }
    }
    text
}
