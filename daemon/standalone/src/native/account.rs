// SPDX-License-Identifier: Apache-2.0
//! Every namespace has a ServiceAccount `default`.
//!
//! Depends on: actor.

use serde_json::json;

use super::actor::{Actor, resource};
use crate::key::Key;
use crate::meta;
use crate::refusal::Refusal;
use crate::store::Transaction;

pub(super) fn settle(actor: &Actor, transaction: &mut Transaction, namespace: &str) -> Result<(), Refusal> {
    let place = Key::new(resource("", "v1", "namespaces")?, "", namespace);
    let accounts = resource("", "v1", "serviceaccounts")?;
    let is_there = transaction.get(&place).is_some_and(|found| !meta::is_deleting(&found));
    if !is_there || transaction.get(&Key::new(accounts, namespace, "default")).is_some() {
        return Ok(());
    }
    let account = json!({"metadata": {"name": "default"}});
    actor.create(transaction, accounts, namespace, account).map(drop)
}
