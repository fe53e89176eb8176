// SPDX-License-Identifier: Apache-2.0
//! What follows when an object goes: finalizers, what it owned, who waited for it.
//!
//! Problem: Kubernetes leaves this to a controller; here it happens with the call, so that nobody sees it half done.
//! Mechanism: a queue of keys to look at; each may go, and then its dependents and its waiting owners are looked at.
//! Invariants: ends, since every step removes an object, a reference or a finalizer, or marks what was not marked; an
//! object with an owner left stays.
//! Depends on: store, meta.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use super::ending;
use crate::key::Key;
use crate::meta;
use crate::resource;
use crate::store::Transaction;

/// The finalizer of an object that waits for what it owns.
pub(super) const FOREGROUND: &str = "foregroundDeletion";

/// Brings an object, and what hangs on it, to rest.
pub(super) fn settle(transaction: &mut Transaction, key: &Key) {
    let mut queue = VecDeque::from([key.clone()]);
    while let Some(key) = queue.pop_front() {
        look(transaction, &key, &mut queue);
    }
}

/// As the collector does with a new object whose owners have gone in the meantime.
pub(super) fn settle_orphan(transaction: &mut Transaction, key: &Key) {
    let Some(object) = transaction.get(key) else {
        return;
    };
    let owners = meta::owners(&object);
    // An owner of a kind that is not served cannot be looked up, so it counts as present.
    if owners.is_empty() || owners.iter().any(|owner| may_exist(transaction, owner)) {
        return;
    }
    mark(transaction, key, &object, false);
    settle(transaction, key);
}

/// Takes the references to an owner from all that it owns.
pub(super) fn orphan_dependents(transaction: &mut Transaction, uid: &str) {
    for (key, object) in transaction.dependents(uid) {
        let next = without_owner(&object, uid);
        transaction.put(key, next);
    }
}

fn look(transaction: &mut Transaction, key: &Key, queue: &mut VecDeque<Key>) {
    let Some(object) = transaction.get(key).filter(|object| meta::is_deleting(object)) else {
        return;
    };
    let uid = meta::uid(&object).to_owned();
    let mut object = object;
    if meta::finalizers(&object).contains(&FOREGROUND) {
        delete_dependents(transaction, &uid, queue);
        let blocks = |dependent: &Value| {
            let mut owners = meta::owners(dependent).iter();
            owners.any(|owner| owner["uid"] == uid.as_str() && owner["blockOwnerDeletion"] == true)
        };
        if transaction
            .dependents(&uid)
            .iter()
            .any(|(_, dependent)| blocks(dependent))
        {
            return;
        }
        let mut next = Value::clone(&object);
        meta::remove_finalizer(&mut next, FOREGROUND);
        object = transaction.put(key.clone(), next);
    }
    if !is_free(transaction, key, &object, queue) {
        return;
    }
    transaction.remove(key);
    queue.extend(meta::owners(&object).iter().filter_map(|owner| {
        let found = transaction.by_uid(owner["uid"].as_str()?)?;
        Some(found.0)
    }));
    if let Some(namespaces) = resource::find("", "v1", "namespaces").filter(|_| !key.namespace.is_empty()) {
        let namespace = Key::new(namespaces, "", &key.namespace);
        if transaction
            .get(&namespace)
            .is_some_and(|found| meta::is_deleting(&found))
        {
            queue.push_back(namespace);
        }
    }
    delete_dependents(transaction, &uid, queue);
}

/// Whether nothing holds a deleted object any more.
fn is_free(transaction: &mut Transaction, key: &Key, object: &Arc<Value>, queue: &mut VecDeque<Key>) -> bool {
    let has_grace = object["metadata"]["deletionGracePeriodSeconds"]
        .as_i64()
        .unwrap_or_default()
        > 0;
    if has_grace || !meta::finalizers(object).is_empty() {
        return false;
    }
    key.resource.kind != "Namespace" || is_emptied(transaction, key, object, queue)
}

/// Marks what is in a deleted namespace; whether nothing is.
fn is_emptied(transaction: &mut Transaction, key: &Key, namespace: &Arc<Value>, queue: &mut VecDeque<Key>) -> bool {
    if namespace["status"]["phase"] != "Terminating" {
        let mut next = Value::clone(namespace);
        let status = meta::fields(&mut next).entry("status").or_insert(Value::Null);
        meta::fields(status).insert("phase".to_owned(), "Terminating".into());
        transaction.put(key.clone(), next);
    }
    let mut is_empty = true;
    for resource in resource::all().iter().filter(|resource| resource.namespaced) {
        for (inner, object) in transaction.list(resource, Some(&key.name)) {
            is_empty = false;
            if !meta::is_deleting(&object) {
                mark(transaction, &inner, &object, false);
                queue.push_back(inner);
            }
        }
    }
    is_empty
}

/// Deletes what has no other owner left; the rest only loses the reference once the owner is gone.
fn delete_dependents(transaction: &mut Transaction, uid: &str, queue: &mut VecDeque<Key>) {
    let owner_waits = transaction.exists(uid);
    for (key, object) in transaction.dependents(uid) {
        let is_kept = meta::owners(&object).iter().any(|owner| {
            let other = owner["uid"].as_str().unwrap_or_default();
            other != uid && transaction.by_uid(other).is_some_and(|(_, owner)| !waits(&owner))
        });
        if is_kept {
            let next = without_owner(&object, uid);
            transaction.put(key, next);
        } else if !meta::is_deleting(&object) {
            let has_own = !transaction.dependents(meta::uid(&object)).is_empty();
            mark(transaction, &key, &object, owner_waits && has_own);
            queue.push_back(key);
        }
    }
}

fn waits(owner: &Value) -> bool {
    meta::is_deleting(owner) && meta::finalizers(owner).contains(&FOREGROUND)
}

fn may_exist(transaction: &Transaction, owner: &Value) -> bool {
    let text = |key: &str| owner[key].as_str().unwrap_or_default();
    resource::of_kind(text("apiVersion"), text("kind")).is_none() || transaction.exists(text("uid"))
}

fn mark(transaction: &mut Transaction, key: &Key, object: &Value, in_foreground: bool) {
    let mut next = object.clone();
    if in_foreground {
        meta::add_finalizer(&mut next, FOREGROUND);
    }
    ending::mark(transaction.moment, key, &mut next, None);
    transaction.put(key.clone(), next);
}

fn without_owner(object: &Value, uid: &str) -> Value {
    let mut next = object.clone();
    let left: Vec<Value> = meta::owners(object)
        .iter()
        .filter(|owner| owner["uid"] != uid)
        .cloned()
        .collect();
    let left = if left.is_empty() { Value::Null } else { left.into() };
    meta::set(&mut next, "ownerReferences", left);
    next
}
