// SPDX-License-Identifier: Apache-2.0
//! Strategic merge patch, for Kubernetes' own kinds: kubectl sends no other for them.
//!
//! Mechanism: as a merge patch, except that lists with keys merge item by item; `$patch: replace|delete|merge`,
//! `$deleteFromPrimitiveList/…`, `$setElementOrder/…` and `$retainKeys` are obeyed.
//! Depends on: lists, meta.

use serde_json::{Map, Value};

use crate::lists::{Merging, merging};
use crate::meta;
use crate::resource::Resource;

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const REMOVED: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

/// Whether the resource takes such patches here.
pub(super) fn is_taken(resource: &Resource) -> bool {
    resource.knative.is_none()
}

pub(super) fn apply(resource: &Resource, object: &Value, patch: &Value) -> Value {
    let mut next = object.clone();
    merge(resource, &mut Vec::new(), &mut next, patch);
    next
}

fn merge(resource: &Resource, place: &mut Vec<String>, into: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *into = patch.clone();
        return;
    };
    match changes.get(PATCH).and_then(Value::as_str) {
        Some("replace") => {
            *into = Value::Object(without_directives(changes));
            return;
        }
        Some("delete") => {
            *into = Value::Null;
            return;
        }
        _ => {}
    }
    if let Some(kept) = changes.get(RETAIN).and_then(Value::as_array) {
        meta::fields(into).retain(|name, _| kept.iter().any(|one| one == name));
    }
    for (name, change) in changes {
        if let Some(list) = name.strip_prefix(REMOVED) {
            let gone = change.as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(items) = meta::fields(into).get_mut(list).and_then(Value::as_array_mut) {
                items.retain(|item| !gone.contains(item));
            }
        } else if !name.starts_with('$') {
            place.push(name.clone());
            field(resource, place, into, name, change);
            place.pop();
        }
    }
    for (name, order) in changes {
        if let Some(list) = name.strip_prefix(ORDER) {
            place.push(list.to_owned());
            sort(resource, place, meta::fields(into).get_mut(list), order);
            place.pop();
        }
    }
}

fn field(resource: &Resource, place: &mut Vec<String>, into: &mut Value, name: &str, change: &Value) {
    if change.is_null() {
        meta::fields(into).remove(name);
        return;
    }
    let key = key(resource, place, change);
    let field = meta::fields(into).entry(name.to_owned()).or_insert(Value::Null);
    match (change, key) {
        (Value::Object(_), _) => merge(resource, place, field, change),
        (Value::Array(changes), Some(key)) => items(resource, place, field, changes, &key),
        (Value::Array(changes), None) if merging(resource, place, change) == Merging::Set => {
            let mut all = field.as_array().cloned().unwrap_or_default();
            all.extend(
                changes
                    .iter()
                    .filter(|item| !field.as_array().is_some_and(|list| list.contains(item)))
                    .cloned(),
            );
            *field = all.into();
        }
        _ => *field = change.clone(),
    }
    if field.is_null() {
        meta::fields(into).remove(name);
    }
}

/// Strategic merge knows one key a list, the first.
fn key(resource: &Resource, place: &[String], list: &Value) -> Option<String> {
    match merging(resource, place, list) {
        Merging::Keyed(keys) => keys.into_iter().next(),
        _ => None,
    }
}

fn items(resource: &Resource, place: &mut Vec<String>, into: &mut Value, changes: &[Value], key: &str) {
    let mut list = into.as_array().cloned().unwrap_or_default();
    if changes.iter().any(|change| change[PATCH] == "replace") {
        list.clear();
    }
    for change in changes {
        let at = list.iter().position(|item| item[key] == change[key]);
        match (change[PATCH].as_str(), at) {
            (Some("replace"), _) if change.get(key).is_none() => {}
            (Some("delete"), Some(at)) => {
                list.remove(at);
            }
            (Some("delete"), None) => {}
            (_, Some(at)) => {
                if let Some(item) = list.get_mut(at) {
                    merge(resource, place, item, change);
                }
            }
            (_, None) => {
                let mut item = Value::Object(Map::new());
                merge(resource, place, &mut item, change);
                list.push(item);
            }
        }
    }
    *into = list.into();
}

fn sort(resource: &Resource, place: &[String], list: Option<&mut Value>, order: &Value) {
    let Some(list) = list else {
        return;
    };
    let key = key(resource, place, list);
    let name = |item: &Value| {
        key.as_ref()
            .map_or_else(|| item.clone(), |key| item[key.as_str()].clone())
    };
    let order: Vec<Value> = order.as_array().into_iter().flatten().map(name).collect();
    if let Some(items) = list.as_array_mut() {
        items.sort_by_key(|item| order.iter().position(|one| *one == name(item)).unwrap_or(order.len()));
    }
}

fn without_directives(changes: &Map<String, Value>) -> Map<String, Value> {
    let kept = changes.iter().filter(|(name, _)| !name.starts_with('$'));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource;

    fn spec(containers: &Value) -> Value {
        json!({"spec": {"template": {"spec": {"containers": containers}}}})
    }

    #[test]
    fn containers_are_merged_by_name() {
        let resource = resource::find("apps", "v1", "deployments").unwrap();
        let before = spec(&json!([{"name": "a", "image": "1", "args": ["x", "y"]}, {"name": "b", "image": "1"}]));
        let rows = [
            (
                json!([{"name": "a", "image": "2"}]),
                json!([{"name": "a", "image": "2", "args": ["x", "y"]}, {"name": "b", "image": "1"}]),
            ),
            (
                json!([{"name": "a", "args": ["z"]}]),
                json!([{"name": "a", "image": "1", "args": ["z"]}, {"name": "b", "image": "1"}]),
            ),
            (
                json!([{"name": "a", "$patch": "delete"}]),
                json!([{"name": "b", "image": "1"}]),
            ),
            (
                json!([{"name": "c", "image": "3"}, {"$patch": "replace"}]),
                json!([{"name": "c", "image": "3"}]),
            ),
            (
                json!([{"name": "b", "image": null}]),
                json!([{"name": "a", "image": "1", "args": ["x", "y"]}, {"name": "b"}]),
            ),
        ];
        for (change, expected) in rows {
            assert_eq!(apply(resource, &before, &spec(&change)), spec(&expected), "{change}");
        }
    }

    #[test]
    fn the_order_of_items_can_be_set() {
        let resource = resource::find("", "v1", "services").unwrap();
        let before = json!({"spec": {"ports": [{"port": 1, "name": "a"}, {"port": 2}]}});
        let patch = json!({"spec": {"$setElementOrder/ports": [{"port": 2}, {"port": 1}], "ports": [{"port": 1, "name": "b"}]}});
        let expected = json!({"spec": {"ports": [{"port": 2}, {"port": 1, "name": "b"}]}});
        assert_eq!(apply(resource, &before, &patch), expected);
    }
}
