// SPDX-License-Identifier: Apache-2.0
//! Server-side apply of an object or of its status: it creates what is absent.
//!
//! Depends on: create, update, ownership.

use serde_json::Value;

use super::call::{Caller, Written};
use super::{create, update};
use crate::key::Key;
use crate::meta;
use crate::ownership::{self, Applied};
use crate::part::Part;
use crate::refusal::Refusal;
use crate::store::Transaction;

/// Applies what a manager wants.
///
/// # Errors
/// 409 for fields of other managers unless forced, and as create and update.
pub fn apply(
    transaction: &mut Transaction,
    key: &Key,
    part: Part,
    wanted: &Value,
    caller: &Caller,
    is_forced: bool,
) -> Result<Written, Refusal> {
    if wanted["metadata"]["managedFields"]
        .as_array()
        .is_some_and(|list| !list.is_empty())
    {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    let live = transaction.get(key);
    let time = transaction.moment.written();
    let applied = Applied {
        resource: key.resource,
        part,
        manager: caller.manager,
        is_forced,
        time: &time,
    };
    let caller = Caller {
        has_booked: true,
        ..*caller
    };
    match live {
        Some(live) => {
            let next = ownership::apply(&applied, &live, wanted)?;
            update::update(transaction, key, part, next, &caller)
        }
        None if part == Part::Status => Err(Refusal::NotFound {
            resource: key.resource,
            name: key.name.clone(),
        }),
        None => {
            let mut next = ownership::apply(&applied, &Value::Null, wanted)?;
            meta::set(&mut next, "name", key.name.clone().into());
            create::create(transaction, key.resource, &key.namespace, next, &caller)
        }
    }
}
