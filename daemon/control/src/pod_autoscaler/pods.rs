// SPDX-License-Identifier: Apache-2.0
//! The pods of a revision: how many are in which state, and which of them should go first.
//!
//! Problem: Kubernetes takes away whichever pods it likes unless they say what that would cost.
//! Mechanism: before a smaller number is written, the pods that have requests say by annotation how many
//! (`controller.kubernetes.io/pod-deletion-cost`); those without one cost nothing.
//! Invariants: a cost is written only where it changes whom it would hit.
//! Depends on: key, live, logic::kpa.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use logic::kpa::{Phase, Pod as Counted, PodCounts};

use crate::live::LivePod;

/// The annotation by which a pod says what its end costs.
pub const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// How many pods are in which state.
pub fn counts<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> PodCounts {
    pods.into_iter().map(counted).collect()
}

fn counted(pod: &Pod) -> Counted {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    Counted {
        phase: match phase {
            Some("Pending") => Phase::Pending,
            Some("Running") => Phase::Running,
            _ => Phase::Other,
        },
        is_deleted: is_ending(pod),
        is_ready: is_ready(pod),
    }
}

/// Whether its condition Ready is True.
#[must_use]
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Whether it was told to end.
#[must_use]
pub fn is_ending(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// The costs to write, by the name of the pod, so that of `pods` the `going` idlest ones end.
///
/// Only who goes before whom matters: either those that go are made cheap or those that stay dear, whoever are fewer.
#[must_use]
pub fn costs(pods: &[&Pod], live: &[LivePod], going: usize) -> BTreeMap<String, i64> {
    let in_flight: BTreeMap<&str, u64> = live.iter().map(|pod| (pod.uid.as_str(), pod.in_flight)).collect();
    let load = |pod: &Pod| in_flight.get(pod.metadata.uid.as_deref()?).copied();
    let mut staying: Vec<&Pod> = pods.iter().copied().filter(|pod| !is_ending(pod)).collect();
    // Kubernetes takes those that are not ready first; they need no mark.
    staying.sort_by_key(|pod| (is_ready(pod), load(pod).unwrap_or_default(), pod.metadata.name.clone()));
    let going = going.min(staying.len());
    let (first, last) = staying.split_at(going);
    let marks_going = first.len() <= last.len();
    let cheap = |pod: &&Pod| marked(pod, if marks_going { -1..=-1 } else { i64::MIN..=0 });
    let dear = |pod: &&Pod| marked(pod, if marks_going { 0..=i64::MAX } else { 1..=1 });
    first
        .iter()
        .filter_map(cheap)
        .chain(last.iter().filter_map(dear))
        .collect()
}

/// The cost to write so that it is within `wanted`; none if it is already.
fn marked(pod: &Pod, wanted: std::ops::RangeInclusive<i64>) -> Option<(String, i64)> {
    let nearest = 0_i64.clamp(*wanted.start(), *wanted.end());
    (!wanted.contains(&cost(pod))).then(|| Some((pod.metadata.name.clone()?, nearest)))?
}

/// What it says of itself; nothing said is nothing.
fn cost(pod: &Pod) -> i64 {
    let said = pod.metadata.annotations.as_ref().and_then(|all| all.get(DELETION_COST));
    said.and_then(|text| text.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn pod(name: &str, cost: Option<&str>, phase: &str, ready: &str) -> Pod {
        let annotations = cost.map(|cost| json!({ DELETION_COST: cost })).unwrap_or_default();
        serde_json::from_value(json!({
            "metadata": {"name": name, "uid": name, "annotations": annotations},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    fn live(uid: &str, in_flight: u64) -> LivePod {
        LivePod {
            uid: uid.to_owned(),
            in_flight,
            is_ready: true,
        }
    }

    #[test]
    fn only_running_ready_pods_that_stay_are_ready() {
        let mut going = pod("c", None, "Running", "True");
        going.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        let pods = [
            pod("a", None, "Running", "True"),
            pod("b", None, "Running", "False"),
            going,
            pod("d", None, "Pending", "False"),
            pod("e", None, "Succeeded", "False"),
        ];
        let counts = counts(&pods);
        assert_eq!(
            (counts.ready, counts.not_ready, counts.terminating, counts.pending),
            (1, 3, 1, 1)
        );
    }

    #[test]
    fn the_idlest_pods_are_made_cheap_or_the_busy_ones_dear() {
        let pods = ["a", "b", "c", "d"].map(|name| pod(name, None, "Running", "True"));
        let pods: Vec<&Pod> = pods.iter().collect();
        let live = [live("a", 3), live("c", 2), live("d", 9)];
        let cost = |name: &str, cost| (name.to_owned(), cost);
        assert_eq!(costs(&pods, &live, 1), BTreeMap::from([cost("b", -1)]));
        assert_eq!(costs(&pods, &live, 3), BTreeMap::from([cost("d", 1)]));
        assert_eq!(costs(&pods, &live, 9).len(), 0, "all go");
    }

    #[test]
    fn an_old_mark_that_says_something_wrong_is_taken_back() {
        let (old, new) = (
            pod("a", Some("-1"), "Running", "True"),
            pod("b", None, "Running", "True"),
        );
        let costs = costs(&[&old, &new], &[live("a", 5)], 1);
        assert_eq!(costs, BTreeMap::from([("a".to_owned(), 0), ("b".to_owned(), -1)]));
    }

    proptest! {
        #[test]
        fn with_the_costs_written_kubernetes_takes_the_idlest(
            loads in proptest::collection::vec((0_u64..5, -2_i64..3), 1..8),
            going in 0_usize..8,
        ) {
            let names: Vec<String> = (0..loads.len()).map(|index| format!("p{index}")).collect();
            let all: Vec<Pod> = names.iter().zip(&loads)
                .map(|(name, (_, cost))| pod(name, Some(&cost.to_string()), "Running", "True")).collect();
            let all: Vec<&Pod> = all.iter().collect();
            let flying: Vec<_> = names.iter().zip(&loads).map(|(name, (load, _))| live(name, *load)).collect();
            let written = costs(&all, &flying, going);
            let after = |index: usize| written.get(&names[index]).copied().unwrap_or(loads[index].1);
            let mut order: Vec<usize> = (0..loads.len()).collect();
            order.sort_by_key(|index| after(*index));
            let (gone, kept) = order.split_at(going.min(order.len()));
            for gone in gone {
                for kept in kept {
                    prop_assert!(loads[*gone].0 <= loads[*kept].0);
                }
            }
        }
    }
}
