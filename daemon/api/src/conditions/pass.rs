// SPDX-License-Identifier: Apache-2.0
//! What happens to every status before and after one reconciliation: control-plane spec 4.1, steps 3 and 5.
//!
//! Invariants: a pass that changes nothing leaves the status equal, times included; after it the generation is observed.
//! Depends on: condition; its parent's trait.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Conditioned, same_but_for_time};
use crate::condition::Condition;

/// Initialises the conditions, and says so if this generation was never seen to the end.
pub fn begin<T: Conditioned>(status: &mut T, generation: i64, now: &Time) {
    let is_new = status.observed().observed_generation != generation;
    let mut marks = status.marks(now);
    marks.initialize();
    if is_new {
        marks.mark_unknown(
            T::SET.top(),
            "NewObservedGenFailure",
            "unsuccessfully observed a new generation",
        );
    }
}

/// Records that the generation was seen, and gives every condition that is as it was before the pass its old time.
pub fn end<T: Conditioned>(status: &mut T, before: &[Condition], generation: i64, now: &Time) {
    let observed = status.observed_mut();
    observed.observed_generation = generation;
    for condition in &mut observed.conditions {
        let unchanged = before.iter().find(|old| same_but_for_time(old, condition));
        condition.last_transition_time = match unchanged {
            Some(old) => old.last_transition_time.clone(),
            None => Some(now.clone()),
        };
    }
}
