// SPDX-License-Identifier: Apache-2.0
//! Update of an object or of its status.
//!
//! Invariants: an update of a version that is not the latest changes nothing; what equals the stored object gets no new
//! version; the spec raises the generation, nothing else does; the last finalizer of a deleted object takes it along.
//! Depends on: admit, collect, defaults, store.

use serde_json::Value;

use super::call::{Caller, Written};
use super::{admit, collect, shape};
use crate::defaults;
use crate::key::Key;
use crate::meta;
use crate::ownership;
use crate::part::Part;
use crate::refusal::Refusal;
use crate::resource::Counting;
use crate::store::Transaction;

/// Replaces an object, or its status.
///
/// # Errors
/// 404, 409 if the version is not the latest, and whatever admission refuses.
pub fn update(
    transaction: &mut Transaction,
    key: &Key,
    part: Part,
    object: Value,
    caller: &Caller,
) -> Result<Written, Refusal> {
    let old = transaction.get(key).ok_or_else(|| Refusal::NotFound {
        resource: key.resource,
        name: key.name.clone(),
    })?;
    check_identity(key, &old, &object)?;
    if meta::version(&object).is_empty() && !key.resource.unconditional {
        return Err(Refusal::Unversioned {
            resource: key.resource,
            name: key.name.clone(),
        });
    }
    check_version(key, &old, meta::version(&object))?;
    let mut next = merged(key, part, &old, object);
    let mut warnings = shape::fit(key.resource, &mut next, caller)?;
    if part == Part::Whole {
        warnings.extend(defaults::fill(transaction, key.resource, Some(&old), &mut next)?);
    }
    if !caller.has_booked {
        let time = transaction.moment.written();
        ownership::track(key.resource, part, &old, &mut next, caller.manager, &time);
    }
    check_finalizers(key, &old, &next)?;
    let (mut next, told) = admit::admit(key.resource, part, next, Some(&old), caller)?;
    warnings.extend(told);
    let generation = old["metadata"]["generation"].as_i64().unwrap_or_default();
    if key.resource.counting == Counting::Spec && !meta::has_same_spec(&old, &next) {
        meta::set(&mut next, "generation", generation.saturating_add(1).into());
    }
    let written = |object| Written {
        object,
        is_new: false,
        warnings,
    };
    if meta::is_same(&old, &next) {
        return Ok(written(old));
    }
    let object = transaction.put(key.clone(), next);
    collect::settle(transaction, key);
    Ok(written(object))
}

/// Refuses a version that is not the latest; an empty one is no claim.
///
/// # Errors
/// 409.
pub fn check_version(key: &Key, old: &Value, version: &str) -> Result<(), Refusal> {
    if version.is_empty() || version == meta::version(old) {
        return Ok(());
    }
    Err(Refusal::modified(key.resource, &key.name))
}

fn check_identity(key: &Key, old: &Value, object: &Value) -> Result<(), Refusal> {
    let (name, namespace, uid) = (meta::name(object), meta::namespace(object), meta::uid(object));
    if name != key.name {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            key.name
        )));
    }
    if !namespace.is_empty() && namespace != key.namespace {
        return Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if !uid.is_empty() && uid != meta::uid(old) {
        return Err(Refusal::Conflict {
            resource: key.resource,
            name: key.name.clone(),
            why: format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                meta::uid(old)
            ),
        });
    }
    Ok(())
}

/// The object as the part that is written allows it to change.
fn merged(key: &Key, part: Part, old: &Value, mut object: Value) -> Value {
    if part == Part::Status {
        let mut next = old.clone();
        let status = meta::fields(&mut object).remove("status");
        replace(&mut next, "status", status);
        let managed = object["metadata"]["managedFields"].clone();
        if !managed.is_null() {
            meta::set(&mut next, "managedFields", managed);
        }
        return next;
    }
    if key.resource.has_status {
        replace(&mut object, "status", old.get("status").cloned());
    }
    let fields = meta::fields(&mut object);
    fields.insert("apiVersion".to_owned(), key.resource.api_version().into());
    fields.insert("kind".to_owned(), key.resource.kind.into());
    let fixed = [
        "uid",
        "namespace",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
        "generateName",
    ];
    for field in fixed {
        meta::set(&mut object, field, old["metadata"][field].clone());
    }
    object
}

fn replace(object: &mut Value, field: &str, value: Option<Value>) {
    let fields = meta::fields(object);
    match value {
        Some(value) => fields.insert(field.to_owned(), value),
        None => fields.remove(field),
    };
}

fn check_finalizers(key: &Key, old: &Value, next: &Value) -> Result<(), Refusal> {
    if !meta::is_deleting(old) {
        return Ok(());
    }
    let before = meta::finalizers(old);
    let mut added = meta::finalizers(next);
    added.retain(|finalizer| !before.contains(finalizer));
    if added.is_empty() {
        return Ok(());
    }
    let quoted: Vec<_> = added.iter().map(|finalizer| format!("{finalizer:?}")).collect();
    let detail = format!(
        "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        quoted.join(", ")
    );
    let field = "metadata.finalizers";
    Err(Refusal::invalid(
        key.resource,
        &key.name,
        "FieldValueForbidden",
        field,
        detail,
    ))
}
