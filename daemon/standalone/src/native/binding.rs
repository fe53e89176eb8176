// SPDX-License-Identifier: Apache-2.0
//! Pods without a node get the one node.
//!
//! Depends on: actor.

use serde_json::Value;

use super::actor::Actor;
use crate::key::Key;
use crate::meta;
use crate::refusal::Refusal;
use crate::store::Transaction;

/// Whether a pod waits for a node.
pub(super) fn is_unbound(pod: &Value) -> bool {
    let has_node = pod["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    let is_ours = pod["spec"]["schedulerName"]
        .as_str()
        .is_none_or(|name| name == "default-scheduler");
    !has_node && is_ours && !meta::is_deleting(pod)
}

pub(super) fn settle(actor: &Actor, transaction: &mut Transaction, key: &Key, node: &str) -> Result<(), Refusal> {
    let Some(pod) = transaction.get(key).filter(|pod| is_unbound(pod)) else {
        return Ok(());
    };
    let mut next = Value::clone(&pod);
    let spec = meta::fields(&mut next).entry("spec").or_insert(Value::Null);
    meta::fields(spec).insert("nodeName".to_owned(), node.into());
    actor.update(transaction, key, next)
}
