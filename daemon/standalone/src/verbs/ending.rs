// SPDX-License-Identifier: Apache-2.0
//! How an object that still waits for something notes that it is deleted.
//!
//! Depends on: meta, moment.

use serde_json::Value;

use crate::key::Key;
use crate::meta;
use crate::moment::Moment;
use crate::resource::Counting;

/// Notes that the object is deleted, unless that is noted; a shorter grace replaces a longer one.
pub(super) fn mark(moment: &Moment, key: &Key, object: &mut Value, wanted: Option<i64>) {
    let grace = grace(key, object, wanted);
    let noted = object["metadata"]["deletionGracePeriodSeconds"].as_i64();
    if meta::is_deleting(object) && noted.is_none_or(|noted| noted <= grace) {
        return;
    }
    let is_first = !meta::is_deleting(object);
    meta::set(object, "deletionTimestamp", moment.after(grace).into());
    meta::set(object, "deletionGracePeriodSeconds", grace.into());
    if let (true, Counting::Spec, Some(generation)) = (
        is_first,
        key.resource.counting,
        object["metadata"]["generation"].as_i64(),
    ) {
        meta::set(object, "generation", generation.saturating_add(1).into());
    }
}

/// Seconds: only a pod that runs on a node has any.
fn grace(key: &Key, object: &Value, wanted: Option<i64>) -> i64 {
    let is_pod = key.resource.group.is_empty() && key.resource.kind == "Pod";
    let runs = object["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    if !is_pod || meta::is_over(object) || !runs {
        return 0;
    }
    let own = || object["spec"]["terminationGracePeriodSeconds"].as_i64();
    wanted.or_else(own).unwrap_or(30).max(0)
}
