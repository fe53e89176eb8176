// SPDX-License-Identifier: Apache-2.0
//! Gradual rollout: how the newest revision of a configuration takes over its share of a Route, step by step.
//!
//! Problem: with a rollout duration the newest revision starts at 1 % and must have everything after that time; the
//! state survives only as the text of an annotation, which older and newer controllers read too.
//! Mechanism: `reconcile` = parse the annotation, take the measure of the first step once the ingress is ready
//! (`pace`), merge with the goal and move what is due (`step`). Rules: control-plane spec 4.8.
//! Invariants: the revisions' shares sum to the configuration's percent; a step never takes from the newest revision;
//! nothing panics, where Knative does: see `step`. As with Knative, a percent that falls below the step size makes a
//! state that the next reconcile discards: the goal then holds at once.
//! Depends on: serde for the text.

mod pace;
mod state;
mod step;

#[cfg(test)]
mod tests;

pub use state::{ConfigurationRollout, Malformed, RevisionRollout, Rollout, StepParams};

use std::time::Duration;

/// The annotation of the KIngress that holds the state, as JSON.
pub const ANNOTATION: &str = "networking.internal.knative.dev/rollout";

/// What one reconcile of a Route sees of its rollout.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// The state stored by the reconcile before, if the KIngress exists and has the annotation.
    pub annotation: Option<&'a str>,
    /// How long a rollout shall take; whole seconds count, zero is "at once".
    pub duration: Duration,
    /// The KIngress is ready, and the Route does not say so yet.
    pub ingress_became_ready: bool,
    /// Unix time in nanoseconds.
    pub now: i64,
}

/// The shares in effect, and when to look again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stepped {
    /// The state to store and to route by.
    pub rollout: Rollout,
    /// Unix time in nanoseconds of the next step; none if nothing rolls or the pace is not known yet.
    pub next_step: Option<i64>,
}

/// The effective rollout for `goal`, the shares asked for (one revision a configuration). Control-plane spec 4.8.
///
/// An annotation that cannot be read or is not consistent counts as none: the goal then holds at once.
#[must_use]
pub fn reconcile(goal: Rollout, seen: &Observation<'_>) -> Stepped {
    let at_once = |rollout| Stepped {
        rollout,
        next_step: None,
    };
    if seen.duration.as_secs() == 0 {
        return at_once(goal);
    }
    let Some(mut previous) = seen.annotation.and_then(|text| Rollout::parse(text).ok()) else {
        return at_once(goal);
    };
    if seen.ingress_became_ready {
        previous.observe_ready(seen.now, seen.duration);
    }
    goal.step(&previous, seen.now)
}

impl Rollout {
    /// This goal merged with the state before it, with the steps made that are due at `now` (Unix, nanoseconds).
    #[must_use]
    pub fn step(self, previous: &Self, now: i64) -> Stepped {
        let rollout = step::merged(self, previous, now);
        Stepped {
            next_step: step::next_step(&rollout, previous),
            rollout,
        }
    }

    /// Gives each rollout that has begun, and has no pace yet, its pace: the ingress took from its start until `now`
    /// to route the first 1 %, so no step can be faster than that.
    pub fn observe_ready(&mut self, now: i64, duration: Duration) {
        let begun =
            |one: &&mut ConfigurationRollout| one.step_params.step_duration == 0 && one.step_params.start_time > 0;
        for configuration in self.configurations.iter_mut().filter(begun) {
            pace::set(configuration, now, duration);
        }
    }
}
