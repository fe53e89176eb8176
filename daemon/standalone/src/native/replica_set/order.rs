// SPDX-License-Identifier: Apache-2.0
//! Which pod goes first when there are too many.
//!
//! Mechanism: who does least goes first: without a node, then pending, then not ready; then the cheaper by its
//! annotation; then who became ready later, who restarted more, who is younger.
//! Depends on: conditions.

use std::cmp::{Ordering, Reverse};

use serde_json::Value;

use super::super::conditions;
use crate::meta;

/// The annotation by which others say what the loss of a pod costs.
const COST: &str = "controller.kubernetes.io/pod-deletion-cost";

pub(super) fn first_to_go(one: &Value, other: &Value) -> Ordering {
    rank(one).cmp(&rank(other))
}

fn rank(pod: &Value) -> (bool, u8, bool, i32, Reverse<&str>, Reverse<i64>, Reverse<&str>) {
    let has_node = pod["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    let phase = match pod["status"]["phase"].as_str() {
        Some("Running") => 2,
        Some("Unknown") => 1,
        _ => 0,
    };
    let cost = pod["metadata"]["annotations"][COST].as_str();
    let cost = cost.and_then(|cost| cost.parse().ok()).unwrap_or_default();
    let is_ready = conditions::is_true(pod, "Ready");
    let since = conditions::find(pod, "Ready").and_then(|ready| ready["lastTransitionTime"].as_str());
    let since = since.filter(|_| is_ready).unwrap_or_default();
    let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    let restarts = statuses
        .filter_map(|one| one["restartCount"].as_i64())
        .max()
        .unwrap_or_default();
    let born = Reverse(meta::text(pod, "creationTimestamp"));
    (has_node, phase, is_ready, cost, Reverse(since), Reverse(restarts), born)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(ready: Option<&str>, cost: &str, restarts: i64, born: &str) -> Value {
        let status = if ready.is_some() { "True" } else { "False" };
        json!({
            "metadata": {"creationTimestamp": born, "annotations": {COST: cost}},
            "spec": {"nodeName": "n"},
            "status": {
                "phase": "Running", "containerStatuses": [{"restartCount": restarts}],
                "conditions": [{"type": "Ready", "status": status, "lastTransitionTime": ready.unwrap_or("1")}],
            },
        })
    }

    #[test]
    fn the_least_loss_goes_first() {
        let mut pending = pod(None, "9", 0, "1");
        pending["status"]["phase"] = "Pending".into();
        let mut unbound = pod(Some("1"), "9", 0, "1");
        unbound["spec"] = json!({});
        let in_order = [
            unbound,
            pending,
            pod(None, "9", 0, "1"),
            pod(Some("1"), "-3", 0, "1"),
            pod(Some("2"), "", 0, "1"),
            pod(Some("1"), "", 2, "1"),
            pod(Some("1"), "x", 1, "2"),
            pod(Some("1"), "", 1, "1"),
            pod(Some("3"), "1", 9, "9"),
        ];
        for (place, one) in in_order.iter().enumerate() {
            for later in in_order.iter().skip(place + 1) {
                assert_eq!(first_to_go(one, later), Ordering::Less, "{one}\n{later}");
            }
        }
    }
}
