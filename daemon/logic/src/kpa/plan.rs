// SPDX-License-Identifier: Apache-2.0
//! What to do about one PodAutoscaler of the KPA class (data-plane spec 1.10, 1.12).
//!
//! Problem: pods, endpoints and conditions follow from one decision and must agree.
//! Mechanism: the decision is brought within the bounds, the way to zero is walked (`zero`), and mode, number of activators
//! and conditions follow from what is wanted. Everything comes back as data; the reconciler applies it.
//! Invariants: without a private service nothing is scaled; once initialised, a revision stays so.
//! Depends on: activators, activity, bounds, config, decider, derive, moment, reach, spec, zero.

use crate::kpa::activators::{self, Mode};
use crate::kpa::activity::{Active, ActiveSince, Activity};
use crate::kpa::bounds::Bounds;
use crate::kpa::config::{Annotations, Config};
use crate::kpa::decider::{Decision, UNKNOWN};
use crate::kpa::derive;
use crate::kpa::moment::Moment;
use crate::kpa::reach::Reachability;
use crate::kpa::spec::Spec;
use crate::kpa::zero::{self, Next, Path, Probe, Rules, Step};
use std::time::Duration;

/// A PodAutoscaler and what belongs to it, as observed.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed<'a> {
    /// Its annotations.
    pub annotations: &'a Annotations,
    /// Its `spec.reachability`.
    pub reachability: Reachability,
    /// Its condition Active.
    pub condition: ActiveSince,
    /// Whether its ScaleTargetInitialized is True.
    pub is_initialised: bool,
    /// Its `status.desiredScale`.
    pub desired_scale: Option<i32>,
    /// Whether its `status.serviceName` is set, which is the name its ServerlessService gives.
    pub has_service: bool,
    /// Where its endpoints lead.
    pub path: Path,
    /// Pods that are ready.
    pub ready: u32,
    /// `spec.replicas` of what it scales; absent is 1.
    pub replicas: Option<i32>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Pods wanted; −1: not known.
    pub want: i32,
    /// Set `spec.replicas` to this.
    pub scale_to: Option<i32>,
    /// `spec.mode` of the ServerlessService.
    pub mode: Mode,
    /// `spec.numActivators` of the ServerlessService.
    pub activators: i32,
    /// What becomes of the condition Active.
    pub activity: Activity,
    /// Whether ScaleTargetInitialized is True.
    pub is_initialised: bool,
    /// `status.desiredScale`.
    pub desired_scale: Option<i32>,
    /// `status.actualScale`.
    pub actual_scale: i32,
    /// When to look again, if nothing happens before.
    pub again_after: Option<Duration>,
    /// Probe the activator in the background.
    pub keep_probing: bool,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planned {
    /// This.
    Do(Plan),
    /// Probe the activator once, and plan again with its answer.
    Probe,
}

/// The plan while the private service does not exist: the ServerlessService leads to activators, nothing is scaled.
pub fn without_service(observed: &Observed<'_>, config: &Config) -> Plan {
    let none = Observed {
        ready: 0,
        ..observed.clone()
    };
    let step = Step {
        want: UNKNOWN,
        ..Step::default()
    };
    finish(&none, config, step, Mode::Proxy, activators::FEWEST)
}

/// The plan for what was decided. `spec` is the decider's; `probe` whether the activator answered, if it was asked.
pub fn plan(
    now: Moment,
    observed: &Observed<'_>,
    decision: Decision,
    spec: &Spec,
    config: &Config,
    probe: Probe,
) -> Planned {
    let step = match step(now, observed, decision.desired, spec, config, probe) {
        Next::Do(step) => step,
        Next::Probe => return Planned::Probe,
    };
    let mode = Mode::of(step.want, decision);
    let count = activators::count(observed.ready, spec);
    Planned::Do(finish(observed, config, step, mode, count))
}

fn step(now: Moment, observed: &Observed<'_>, desired: i32, spec: &Spec, config: &Config, probe: Probe) -> Next {
    if desired < 0 && observed.condition.active != Active::Activating {
        return Next::Do(Step {
            want: desired,
            ..Step::default()
        });
    }
    let want = scale_bounds(observed, config).clamp(desired);
    if want != 0 {
        return Next::Do(Step {
            want,
            apply: true,
            ..Step::default()
        });
    }
    let probe = match spec.target_burst_capacity == -1.0 {
        true => Probe::Answered,
        false if !observed.has_service => Probe::Failed,
        false => probe,
    };
    zero::next(now, observed.condition, observed.path, probe, &rules(observed, config))
}

/// The bounds of what is applied: a revision that never had its initial pods gets them first.
fn scale_bounds(observed: &Observed<'_>, config: &Config) -> Bounds {
    let bounds = Bounds::of(observed.annotations, observed.reachability, config);
    let initial = derive::initial_scale(observed.annotations, config);
    match initial > 1 && !observed.is_initialised && observed.reachability.is_reachable() {
        true => bounds.at_least(initial),
        false => bounds,
    }
}

fn rules(observed: &Observed<'_>, config: &Config) -> Rules {
    let annotations = observed.annotations;
    let retention = annotations
        .scale_to_zero_pod_retention_period
        .unwrap_or(config.scale_to_zero_pod_retention_period);
    Rules {
        is_enabled: config.enable_scale_to_zero,
        progress_deadline: annotations.progress_deadline.unwrap_or(config.progress_deadline),
        stable_window: derive::stable_window(annotations, config),
        grace: config.scale_to_zero_grace_period,
        retention: match observed.reachability.is_reachable() {
            true => retention,
            false => Duration::ZERO,
        },
    }
}

fn finish(observed: &Observed<'_>, config: &Config, step: Step, mode: Mode, activators: i32) -> Plan {
    let ready = i32::try_from(observed.ready).unwrap_or(i32::MAX);
    let threshold = active_threshold(observed, config);
    Plan {
        want: step.want,
        scale_to: (step.apply && observed.replicas.unwrap_or(1) != step.want).then_some(step.want),
        mode,
        activators,
        activity: Activity::of(step.want, ready, threshold, observed.condition.active),
        is_initialised: observed.is_initialised || (ready >= threshold && observed.has_service),
        desired_scale: match step.want == UNKNOWN {
            true => observed.desired_scale.filter(|scale| *scale >= 0).or(Some(UNKNOWN)),
            false => Some(step.want),
        },
        actual_scale: ready,
        again_after: step.again_after,
        keep_probing: step.keep_probing && observed.has_service,
    }
}

/// How many ready pods make it active: its initial pods once, then its minimum, at least one.
fn active_threshold(observed: &Observed<'_>, config: &Config) -> i32 {
    let min = Bounds::of(observed.annotations, observed.reachability, config).min;
    match observed.is_initialised {
        true => min.max(1),
        false => min.max(derive::initial_scale(observed.annotations, config)),
    }
}

#[cfg(test)]
mod tests;
