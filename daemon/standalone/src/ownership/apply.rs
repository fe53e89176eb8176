// SPDX-License-Identifier: Apache-2.0
//! Server-side apply.
//!
//! Depends on: book, leaves, lists, path.

use std::collections::BTreeMap;

use api::names::kubernetes::LAST_APPLIED;
use serde_json::{Map, Value};

use super::book::{self, Entry};
use super::leaves;
use super::path::{self, Path, Set};
use crate::lists::{Merging, key_of, merging};
use crate::meta;
use crate::part::Part;
use crate::refusal::{Cause, Refusal};
use crate::resource::Resource;

/// An apply.
#[derive(Clone, Copy, Debug)]
pub struct Applied<'a> {
    /// To what kind.
    pub resource: &'static Resource,
    /// To which part of an object.
    pub part: Part,
    /// By whom.
    pub manager: &'a str,
    /// Whether fields of others are taken.
    pub is_forced: bool,
    /// When, as `managedFields` has it.
    pub time: &'a str,
}

/// The object after an apply, with its entries.
///
/// # Errors
/// 409 that names managers and fields.
pub fn apply(applied: &Applied, live: &Value, wanted: &Value) -> Result<Value, Refusal> {
    let (resource, part) = (applied.resource, applied.part);
    let named = leaves::of(resource, part, wanted);
    let present = leaves::of(resource, part, live);
    let mut entries = book::read(live);
    let differs = |path: &Path| present.get(path) != named.get(path);
    let excused = last_applied(applied, live);
    let mut conflicts: BTreeMap<String, Vec<Path>> = BTreeMap::new();
    for entry in entries
        .iter()
        .filter(|entry| !entry.is_of(applied.manager, "Apply", part))
    {
        let is_taken = |path: &&Path| entry.fields.contains(*path) && differs(path) && !excused.contains_key(*path);
        let taken = named.keys().filter(is_taken);
        let taken: Vec<Path> = taken.cloned().collect();
        if !taken.is_empty() {
            conflicts.entry(titled(entry)).or_default().extend(taken);
        }
    }
    if !conflicts.is_empty() && !applied.is_forced {
        return Err(refusal(&conflicts));
    }
    let fields: Set = named.keys().cloned().collect();
    let mut dropped = Set::new();
    let mut is_known = false;
    for entry in &mut entries {
        if entry.is_of(applied.manager, "Apply", part) {
            is_known = true;
            dropped = entry.fields.difference(&fields).cloned().collect();
            if entry.fields != fields {
                applied.time.clone_into(&mut entry.time);
                entry.fields.clone_from(&fields);
            }
        } else {
            entry.fields.retain(|path| !fields.contains(path) || !differs(path));
        }
    }
    if !is_known {
        entries.push(Entry {
            manager: applied.manager.to_owned(),
            operation: "Apply".to_owned(),
            sub_resource: part.sub_resource().to_owned(),
            api_version: resource.api_version(),
            time: applied.time.to_owned(),
            fields,
        });
    }
    let mut next = live.clone();
    merge_top(resource, part, &mut next, wanted);
    let is_owned = |path: &Path| {
        entries
            .iter()
            .any(|entry| entry.fields.iter().any(|one| one.starts_with(path)))
    };
    // An item comes before its fields: it goes whole, unless somebody owns a part of it.
    for path in dropped.iter().filter(|path| !is_owned(path) && !is_key(path)) {
        remove(&mut next, path);
    }
    // What was named as empty must not go because it became empty.
    merge_top(resource, part, &mut next, wanted);
    book::write(&mut next, &entries);
    Ok(next)
}

/// What `kubectl apply` set before it applied on the server's side: the API server lets kubectl take that over.
fn last_applied(applied: &Applied, live: &Value) -> leaves::Leaves {
    let text = live["metadata"]["annotations"][LAST_APPLIED]
        .as_str()
        .unwrap_or_default();
    if applied.manager != "kubectl" {
        return leaves::Leaves::new();
    }
    let before: Value = serde_json::from_str(text).unwrap_or_default();
    leaves::of(applied.resource, applied.part, &before)
}

/// Whether the path is of a field that tells an item apart: it stays as long as the item.
fn is_key(path: &Path) -> bool {
    let [.., item, field] = path.as_slice() else {
        return false;
    };
    let key = item
        .strip_prefix("k:")
        .and_then(|key| serde_json::from_str::<Value>(key).ok());
    let name = field.strip_prefix("f:").unwrap_or_default();
    key.is_some_and(|key| key.get(name).is_some())
}

fn titled(entry: &Entry) -> String {
    let mut title = format!("\"{}\"", entry.manager);
    if entry.sub_resource.is_empty() && entry.operation == "Update" {
        title = format!("{title} using {}", entry.api_version);
    } else if !entry.sub_resource.is_empty() {
        title = format!(
            "{title} with subresource \"{}\" using {}",
            entry.sub_resource, entry.api_version
        );
    }
    title
}

fn refusal(conflicts: &BTreeMap<String, Vec<Path>>) -> Refusal {
    let count: usize = conflicts.values().map(Vec::len).sum();
    let causes = conflicts.iter().flat_map(|(title, paths)| {
        paths.iter().map(move |path| Cause {
            reason: "FieldManagerConflict",
            message: format!("conflict with {title}"),
            field: path::shown(path),
        })
    });
    let texts = conflicts.iter().map(|(title, paths)| match paths.as_slice() {
        [one] => format!("conflict with {title}: {}", path::shown(one)),
        many => {
            let lines: Vec<String> = many.iter().map(|path| format!("- {}", path::shown(path))).collect();
            format!("conflicts with {title}:\n{}", lines.join("\n"))
        }
    });
    let texts: Vec<String> = texts.collect();
    let plural = if count == 1 { "conflict" } else { "conflicts" };
    Refusal::Ownership {
        message: format!("Apply failed with {count} {plural}: {}", texts.join("\n")),
        causes: causes.collect(),
    }
}

fn merge_top(resource: &Resource, part: Part, next: &mut Value, wanted: &Value) {
    for (name, value) in wanted.as_object().into_iter().flatten() {
        let is_written = match part {
            Part::Status => name == "status",
            Part::Whole => name != "status" || !resource.has_status,
        };
        if is_written {
            let field = meta::fields(next).entry(name.clone()).or_insert(Value::Null);
            merge(resource, &mut vec![name.clone()], field, value);
        }
    }
}

fn merge(resource: &Resource, place: &mut Vec<String>, into: &mut Value, wanted: &Value) {
    match (merging(resource, place, wanted), wanted) {
        (Merging::Fields, Value::Object(fields)) => {
            for (name, value) in fields {
                let field = meta::fields(into).entry(name.clone()).or_insert(Value::Null);
                place.push(name.clone());
                merge(resource, place, field, value);
                place.pop();
            }
            meta::fields(into);
        }
        (Merging::Keyed(keys), Value::Array(items)) => {
            list(into);
            for item in items {
                let key = key_of(&keys, item);
                let found = list(into).iter_mut().find(|one| key_of(&keys, one) == key);
                match found {
                    Some(found) => merge_item(resource, place, found, item),
                    None => list(into).push(item.clone()),
                }
            }
        }
        (Merging::Set, Value::Array(items)) => {
            list(into);
            for item in items {
                if !list(into).contains(item) {
                    list(into).push(item.clone());
                }
            }
        }
        _ => *into = wanted.clone(),
    }
}

fn merge_item(resource: &Resource, place: &mut Vec<String>, into: &mut Value, item: &Value) {
    for (name, value) in item.as_object().into_iter().flatten() {
        let field = meta::fields(into).entry(name.clone()).or_insert(Value::Null);
        place.push(name.clone());
        merge(resource, place, field, value);
        place.pop();
    }
}

fn list(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    #[expect(clippy::expect_used, reason = "invariant: the line above made it a list")]
    value.as_array_mut().expect("invariant: a list")
}

/// Removes what is at a path, and every object and list that becomes empty by it.
fn remove(value: &mut Value, path: &[String]) {
    let Some((step, rest)) = path.split_first() else {
        return;
    };
    let Some((form, text)) = step.split_once(':') else {
        return;
    };
    if form == "f" {
        remove_field(value, text, rest);
        return;
    }
    let Some(items) = value.as_array_mut() else {
        return;
    };
    let wanted: Value = serde_json::from_str(text).unwrap_or_default();
    let is_it = |item: &Value| match &wanted {
        Value::Object(key) if form == "k" => has_key(key, item),
        value => item == value,
    };
    if rest.is_empty() {
        items.retain(|item| !is_it(item));
    } else if let Some(item) = items.iter_mut().find(|item| is_it(item)) {
        remove(item, rest);
    }
}

fn remove_field(value: &mut Value, name: &str, rest: &[String]) {
    let Some(fields) = value.as_object_mut() else {
        return;
    };
    let is_empty = match fields.get_mut(name) {
        None => return,
        Some(_) if rest.is_empty() => true,
        Some(field) => {
            remove(field, rest);
            field.as_object().is_some_and(Map::is_empty) || field.as_array().is_some_and(Vec::is_empty)
        }
    };
    if is_empty {
        fields.remove(name);
    }
}

fn has_key(key: &Map<String, Value>, item: &Value) -> bool {
    let names: Vec<String> = key.keys().cloned().collect();
    key_of(&names, item)
        .into_iter()
        .all(|(name, value)| key.get(&name) == Some(&value))
}
