// SPDX-License-Identifier: Apache-2.0
//! What a cluster has beside its API server: the controllers of Kubernetes' own kinds, and what is there from the start.
//!
//! Problem: our controllers make Deployments and Services, and expect ReplicaSets, Pods and EndpointSlices to follow.
//! Mechanism: one task reads the store's log, knows from each change which objects are concerned, and brings each of
//! them to rest in one transaction: observe, decide (pure), write.
//! Invariants: work is in proportion to what changed; since every decision sees the store as it is, nothing is created
//! twice; what fails is tried again, later each time.
//! Depends on: state, store, verbs, life.

mod account;
mod actor;
mod binding;
mod conditions;
mod deployment;
mod endpoints;
mod expiry;
mod furnish;
mod labels;
mod queue;
mod record;
mod replica_set;
mod selectors;
mod settings;
mod task;

use std::sync::Arc;

use life::Tasks;

use crate::refusal::Refusal;
use crate::state::{Kept, State};

pub use settings::Settings;

/// Puts in place what a cluster has from the start, unless it is there, and starts the controllers. What it answers tells
/// when these objects are in the file.
///
/// # Errors
/// If the first objects cannot be stored.
pub fn run(state: &Arc<State>, settings: Settings, tasks: &Tasks) -> Result<Kept, Refusal> {
    state.set_range(settings.service_range);
    let kept = furnish::furnish(state, &settings)?;
    tasks.spawn("native", task::run(Arc::clone(state), settings));
    Ok(kept)
}

#[cfg(test)]
mod tests;
