// SPDX-License-Identifier: Apache-2.0
//! Create: names, birth, admission.
//!
//! Invariants: who creates chooses neither UID, version, generation nor status (where the status has its own path).
//! Depends on: admit, collect, defaults, identifier, store.

use serde_json::Value;

use super::call::{Caller, Written};
use super::{admit, collect, identifier, shape};
use crate::defaults;
use crate::key::Key;
use crate::meta;
use crate::ownership;
use crate::part::Part;
use crate::refusal::Refusal;
use crate::resource::{self, Counting, Resource};
use crate::store::Transaction;

/// How often a generated name that is taken is generated again.
const ATTEMPTS: usize = 8;

/// Creates an object in a namespace (empty for a cluster's object).
///
/// # Errors
/// Whatever the API server refuses to create.
pub fn create(
    transaction: &mut Transaction,
    resource: &'static Resource,
    namespace: &str,
    mut object: Value,
    caller: &Caller,
) -> Result<Written, Refusal> {
    check_namespace(transaction, resource, namespace, &object)?;
    if !meta::version(&object).is_empty() {
        return Err(Refusal::internal(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let name = choose_name(transaction, resource, namespace, &object)?;
    identifier::check(resource, &name)?;
    be_born(transaction, resource, namespace, &name, &mut object);
    let mut warnings = shape::fit(resource, &mut object, caller)?;
    warnings.extend(defaults::fill(transaction, resource, None, &mut object)?);
    if let Some(status) = defaults::first_status(resource, &object) {
        meta::fields(&mut object).insert("status".to_owned(), status);
    }
    if !caller.has_booked {
        let time = transaction.moment.written();
        ownership::track(resource, Part::Whole, &Value::Null, &mut object, caller.manager, &time);
    }
    let (mut object, told) = admit::admit(resource, Part::Whole, object, None, caller)?;
    warnings.extend(told);
    let key = Key::new(resource, namespace, &name);
    if transaction.get(&key).is_some() {
        return Err(Refusal::AlreadyExists { resource, name });
    }
    meta::set(&mut object, "name", name.into());
    let object = transaction.put(key.clone(), object);
    collect::settle_orphan(transaction, &key);
    Ok(Written {
        object,
        is_new: true,
        warnings,
    })
}

fn check_namespace(
    transaction: &Transaction,
    resource: &'static Resource,
    namespace: &str,
    object: &Value,
) -> Result<(), Refusal> {
    let own = meta::namespace(object);
    if !own.is_empty() && own != namespace {
        return Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if !resource.namespaced {
        return Ok(());
    }
    let Some(namespaces) = resource::find("", "v1", "namespaces") else {
        return Ok(());
    };
    let Some(found) = transaction.get(&Key::new(namespaces, "", namespace)) else {
        return Err(Refusal::NotFound {
            resource: namespaces,
            name: namespace.to_owned(),
        });
    };
    if meta::is_deleting(&found) {
        return Err(Refusal::Forbidden {
            resource,
            name: meta::name(object).to_owned(),
            why: format!("unable to create new content in namespace {namespace} because it is being terminated"),
        });
    }
    Ok(())
}

fn choose_name(
    transaction: &mut Transaction,
    resource: &'static Resource,
    namespace: &str,
    object: &Value,
) -> Result<String, Refusal> {
    let (name, prefix) = (meta::name(object), meta::text(object, "generateName"));
    if !name.is_empty() {
        return Ok(name.to_owned());
    }
    if prefix.is_empty() {
        let detail = "Required value: name or generateName is required";
        return Err(Refusal::invalid(
            resource,
            "",
            "FieldValueRequired",
            "metadata.name",
            detail,
        ));
    }
    let mut generated = String::new();
    for _ in 0..ATTEMPTS {
        generated = format!("{prefix}{}", transaction.moment.suffix());
        if transaction.get(&Key::new(resource, namespace, &generated)).is_none() {
            break;
        }
    }
    Ok(generated)
}

fn be_born(transaction: &mut Transaction, resource: &Resource, namespace: &str, name: &str, object: &mut Value) {
    let uid = transaction.moment.uid();
    let now = transaction.moment.written();
    let fields = meta::fields(object);
    if resource.has_status {
        fields.remove("status");
    }
    fields.insert("apiVersion".to_owned(), resource.api_version().into());
    fields.insert("kind".to_owned(), resource.kind.into());
    for absent in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "resourceVersion",
        "generation",
    ] {
        meta::set(object, absent, Value::Null);
    }
    meta::set(object, "name", name.into());
    meta::set(
        object,
        "namespace",
        if resource.namespaced {
            namespace.into()
        } else {
            Value::Null
        },
    );
    meta::set(object, "uid", uid.into());
    meta::set(object, "creationTimestamp", now.into());
    if resource.counting == Counting::Spec {
        meta::set(object, "generation", 1.into());
    }
}
