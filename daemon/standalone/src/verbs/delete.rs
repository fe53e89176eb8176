// SPDX-License-Identifier: Apache-2.0
//! Delete: preconditions, propagation, grace.
//!
//! Mechanism: what nothing holds goes at once; finalizers, dependents that block, and a pod's grace hold; then the
//! object is marked, and `collect` ends it when nothing holds it any more.
//! Depends on: collect, store.

use std::sync::Arc;

use serde_json::Value;

use super::collect::{self, FOREGROUND};
use super::ending;
use crate::key::Key;
use crate::meta;
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::selector::Selector;
use crate::store::Transaction;

/// What becomes of what the object owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// It goes after the object.
    #[default]
    Background,
    /// It goes before the object.
    Foreground,
    /// It stays.
    Orphan,
}

/// How to delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// What becomes of what the object owns.
    pub propagation: Propagation,
    /// Seconds that a pod has to end.
    pub grace: Option<i64>,
    /// The UID that the object must have.
    pub uid: Option<String>,
    /// The version that the object must have.
    pub version: Option<String>,
}

/// What came of a delete.
#[derive(Clone, Debug, PartialEq)]
pub enum Deleted {
    /// It is gone; this was it.
    Gone(Arc<Value>),
    /// Something holds it still.
    Waits(Arc<Value>),
}

/// Deletes an object.
///
/// # Errors
/// 404, and 409 if a precondition does not hold.
pub fn delete(transaction: &mut Transaction, key: &Key, options: &DeleteOptions) -> Result<Deleted, Refusal> {
    let old = transaction.get(key).ok_or_else(|| Refusal::NotFound {
        resource: key.resource,
        name: key.name.clone(),
    })?;
    check_preconditions(key, &old, options)?;
    if options.propagation == Propagation::Orphan {
        collect::orphan_dependents(transaction, meta::uid(&old));
    }
    let mut next = Value::clone(&old);
    if options.propagation == Propagation::Foreground {
        meta::add_finalizer(&mut next, FOREGROUND);
    }
    ending::mark(transaction.moment, key, &mut next, options.grace);
    if !meta::is_same(&old, &next) {
        transaction.put(key.clone(), next);
    }
    collect::settle(transaction, key);
    Ok(transaction.get(key).map_or_else(|| Deleted::Gone(old), Deleted::Waits))
}

/// Deletes every object of a resource in a namespace, or in all, that a selector takes.
///
/// # Errors
/// As [`delete`].
pub fn delete_collection(
    transaction: &mut Transaction,
    resource: &'static Resource,
    namespace: Option<&str>,
    selector: &Selector,
    options: &DeleteOptions,
) -> Result<Vec<Arc<Value>>, Refusal> {
    let mut listed = transaction.list(resource, namespace);
    listed.retain(|(_, object)| selector.matches(object));
    for (key, _) in &listed {
        // An earlier one may have taken it along.
        if transaction.get(key).is_some() {
            delete(transaction, key, options)?;
        }
    }
    Ok(listed.into_iter().map(|(_, object)| object).collect())
}

fn check_preconditions(key: &Key, old: &Value, options: &DeleteOptions) -> Result<(), Refusal> {
    let conflict = |what: &str, wanted: &str, found: &str| Refusal::Conflict {
        resource: key.resource,
        name: key.name.clone(),
        why: format!(
            "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). \
             The object might have been {}",
            if what == "UID" {
                "deleted and then recreated"
            } else {
                "modified"
            }
        ),
    };
    if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != meta::uid(old)) {
        return Err(conflict("UID", uid, meta::uid(old)));
    }
    if let Some(version) = options.version.as_deref().filter(|one| *one != meta::version(old)) {
        return Err(conflict("ResourceVersion", version, meta::version(old)));
    }
    Ok(())
}
