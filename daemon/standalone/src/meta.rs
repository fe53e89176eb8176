// SPDX-License-Identifier: Apache-2.0
//! Reading and writing `metadata` of an object that is plain JSON.
//!
//! Invariants: no JSON panics; what has the wrong type reads as absent.
//! Depends on: nothing.

use serde_json::{Map, Value};

/// The fields of an object; another value becomes an empty object first.
pub fn fields(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    #[expect(clippy::expect_used, reason = "invariant: the line above made it an object")]
    value.as_object_mut().expect("invariant: an object")
}

/// The metadata, to be changed.
pub fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    fields(fields(object).entry("metadata").or_insert(Value::Null))
}

/// A text of the metadata; empty if absent.
#[must_use]
pub fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object["metadata"][key].as_str().unwrap_or_default()
}

/// The name.
#[must_use]
pub fn name(object: &Value) -> &str {
    text(object, "name")
}

/// The namespace; empty for a cluster's object.
#[must_use]
pub fn namespace(object: &Value) -> &str {
    text(object, "namespace")
}

/// The UID.
#[must_use]
pub fn uid(object: &Value) -> &str {
    text(object, "uid")
}

/// The resourceVersion as clients see it.
#[must_use]
pub fn version(object: &Value) -> &str {
    text(object, "resourceVersion")
}

/// Whether somebody has deleted it and it still waits for something.
#[must_use]
pub fn is_deleting(object: &Value) -> bool {
    !text(object, "deletionTimestamp").is_empty()
}

/// Whether all containers of a pod have ended for good.
#[must_use]
pub fn is_over(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// The finalizers.
#[must_use]
pub fn finalizers(object: &Value) -> Vec<&str> {
    let list = object["metadata"]["finalizers"].as_array();
    list.map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

/// The owner references.
#[must_use]
pub fn owners(object: &Value) -> &[Value] {
    object["metadata"]["ownerReferences"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// Sets a field of the metadata, or removes it if the value is null.
pub fn set(object: &mut Value, key: &str, value: Value) {
    let metadata = metadata(object);
    if value.is_null() {
        metadata.remove(key);
    } else {
        metadata.insert(key.to_owned(), value);
    }
}

/// Adds a finalizer unless it is there.
pub fn add_finalizer(object: &mut Value, finalizer: &str) {
    let mut list: Vec<Value> = finalizers(object).into_iter().map(Value::from).collect();
    if list.iter().all(|one| one != finalizer) {
        list.push(finalizer.into());
    }
    set(object, "finalizers", list.into());
}

/// Removes a finalizer.
pub fn remove_finalizer(object: &mut Value, finalizer: &str) {
    let list: Vec<Value> = finalizers(object)
        .into_iter()
        .filter(|one| *one != finalizer)
        .map(Value::from)
        .collect();
    let list = if list.is_empty() { Value::Null } else { list.into() };
    set(object, "finalizers", list);
}

/// Whether two objects differ in no more than version and the book of managers' times.
#[must_use]
pub fn is_same(left: &Value, right: &Value) -> bool {
    equal_but(left, right, &["metadata"])
        && equal_but(
            &left["metadata"],
            &right["metadata"],
            &["resourceVersion", "managedFields"],
        )
        && has_same_book(left, right)
}

/// Whether two objects differ outside of metadata and status.
#[must_use]
pub fn has_same_spec(left: &Value, right: &Value) -> bool {
    equal_but(left, right, &["metadata", "status"])
}

/// Whether two values are equal in all fields but some; what is no object is compared as it is.
fn equal_but(left: &Value, right: &Value, but: &[&str]) -> bool {
    let (Some(one), Some(other)) = (left.as_object(), right.as_object()) else {
        return left == right;
    };
    let counts = |name: &&String| !but.contains(&name.as_str());
    one.keys().filter(counts).count() == other.keys().filter(counts).count()
        && one
            .iter()
            .all(|(name, value)| !counts(&name) || other.get(name) == Some(value))
}

fn has_same_book(left: &Value, right: &Value) -> bool {
    let (one, other) = (book(left), book(right));
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(one, other)| equal_but(one, other, &["time"]))
}

fn book(object: &Value) -> &[Value] {
    let entries = object["metadata"]["managedFields"].as_array();
    entries.map(Vec::as_slice).unwrap_or_default()
}
