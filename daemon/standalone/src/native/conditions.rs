// SPDX-License-Identifier: Apache-2.0
//! Conditions of workloads and pods.
//!
//! Depends on: nothing.

use serde_json::{Value, json};

/// The condition of a type.
pub(super) fn find<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let list = object["status"]["conditions"].as_array()?;
    list.iter().find(|condition| condition["type"] == kind)
}

/// Whether the condition of a type holds.
pub(super) fn is_true(object: &Value, kind: &str) -> bool {
    find(object, kind).is_some_and(|condition| condition["status"] == "True")
}

/// A condition to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) kind: &'static str,
    pub(super) holds: bool,
    pub(super) reason: String,
    pub(super) message: String,
}

impl Condition {
    /// As it is written: with the time of the last change of its status, and of its last renewal if it has one.
    pub(super) fn written(&self, object: &Value, now: &str, has_renewal: bool, is_renewed: bool) -> Value {
        let old = find(object, self.kind);
        let status = if self.holds { "True" } else { "False" };
        let is_same = old.is_some_and(|old| old["status"] == status && old["reason"] == self.reason.as_str());
        if let Some(old) = old.filter(|_| is_same && !is_renewed) {
            return old.clone();
        }
        let kept = old
            .filter(|old| old["status"] == status)
            .map(|old| old["lastTransitionTime"].clone());
        let mut written = json!({
            "type": self.kind, "status": status, "reason": self.reason, "message": self.message,
            "lastTransitionTime": kept.unwrap_or_else(|| now.into()),
        });
        if let Some(fields) = written.as_object_mut().filter(|_| has_renewal) {
            fields.insert("lastUpdateTime".to_owned(), now.into());
        }
        written
    }
}
