// SPDX-License-Identifier: Apache-2.0
//! Events that the controllers record.
//!
//! Depends on: actor.

use serde_json::{Value, json};

use super::actor::{Actor, resource};
use crate::meta;
use crate::store::Transaction;

/// What happened to whom.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) component: &'static str,
    pub(super) kind: &'static str,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// Records what happened to an object. An event that cannot be stored is lost: it must not hold up the work.
pub(super) fn event(actor: &Actor, transaction: &mut Transaction, about: &Value, record: Record) {
    let Ok(events) = resource("", "v1", "events") else {
        return;
    };
    let now = transaction.moment.written();
    let (name, namespace) = (meta::name(about).to_owned(), meta::namespace(about).to_owned());
    let suffix = format!("{:016x}", transaction.moment.random.u64(..));
    let event = json!({
        "metadata": {"name": format!("{name}.{suffix}")},
        "involvedObject": {
            "apiVersion": about["apiVersion"], "kind": about["kind"], "name": name, "namespace": namespace,
            "uid": meta::uid(about), "resourceVersion": meta::version(about),
        },
        "type": record.kind, "reason": record.reason, "message": record.message, "count": 1,
        "firstTimestamp": now, "lastTimestamp": now, "source": {"component": record.component},
        "reportingComponent": record.component, "reportingInstance": "",
    });
    let _lost = actor.create(transaction, events, &namespace, event);
}
