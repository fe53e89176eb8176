// SPDX-License-Identifier: Apache-2.0
//! How the controllers write: by the same verbs as everybody.
//!
//! Depends on: verbs, store.

use std::sync::Arc;

use serde_json::Value;

use crate::key::Key;
use crate::part::Part;
use crate::refusal::Refusal;
use crate::resource::{self, Resource};
use crate::store::Transaction;
use crate::verbs::{self, Caller, DeleteOptions, Unknown};

/// Who the controllers are.
#[derive(Debug, Default)]
pub(super) struct Actor {
    settings: api::context::Settings,
}

impl Actor {
    /// The book of managers is not kept for objects that only controllers write: that would cost more than the write.
    fn caller(&self) -> Caller<'_> {
        Caller {
            settings: &self.settings,
            user: "system:kube-controller-manager",
            manager: "kube-controller-manager",
            has_booked: true,
            unknown: Unknown::Dropped,
        }
    }

    pub(super) fn create(
        &self,
        transaction: &mut Transaction,
        resource: &'static Resource,
        namespace: &str,
        object: Value,
    ) -> Result<Arc<Value>, Refusal> {
        verbs::create(transaction, resource, namespace, object, &self.caller()).map(|written| written.object)
    }

    pub(super) fn update(&self, transaction: &mut Transaction, key: &Key, object: Value) -> Result<(), Refusal> {
        verbs::update(transaction, key, Part::Whole, object, &self.caller()).map(drop)
    }

    /// Writes a status, if it differs.
    pub(super) fn set_status(
        &self,
        transaction: &mut Transaction,
        key: &Key,
        object: &Value,
        status: Value,
    ) -> Result<(), Refusal> {
        if object["status"] == status {
            return Ok(());
        }
        let mut next = object.clone();
        crate::meta::fields(&mut next).insert("status".to_owned(), status);
        verbs::update(transaction, key, Part::Status, next, &self.caller()).map(drop)
    }

    pub(super) fn delete(&self, transaction: &mut Transaction, key: &Key) -> Result<(), Refusal> {
        verbs::delete(transaction, key, &DeleteOptions::default()).map(drop)
    }
}

/// A resource of the table.
pub(super) fn resource(group: &str, version: &str, plural: &str) -> Result<&'static Resource, Refusal> {
    resource::find(group, version, plural).ok_or_else(|| Refusal::NoPath(format!("the resource {plural}")))
}

/// Whether the controller of an object has a UID.
pub(super) fn is_controlled_by(object: &Value, uid: &str) -> bool {
    crate::meta::owners(object)
        .iter()
        .any(|owner| owner["uid"] == uid && owner["controller"] == true)
}

/// The owner reference of a controller.
pub(super) fn owned_by(owner: &Value) -> Value {
    serde_json::json!([{
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": crate::meta::name(owner),
        "uid": crate::meta::uid(owner), "controller": true, "blockOwnerDeletion": true,
    }])
}
