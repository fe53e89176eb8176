// SPDX-License-Identifier: Apache-2.0
//! The way to zero pods and the last steps before it (data-plane spec 1.12).
//!
//! Problem: the last pod may go only when no request can reach it any more, and not while the revision is being activated.
//! Mechanism: a table over the condition Active and the time it has stood. Where it depends on whether the activator
//! answers for the revision, the caller probes and asks again.
//! Invariants: zero is applied only after a probe that the activator answered, or when activation timed out.
//! Depends on: activators, activity, decider, moment.

use crate::kpa::activators::Mode;
use crate::kpa::activity::{Active, ActiveSince};
use crate::kpa::decider::UNKNOWN;
use crate::kpa::moment::Moment;
use std::time::Duration;

/// Time beyond the progress deadline after which an activation has failed.
const ACTIVATION_BUFFER: Duration = Duration::from_secs(30);
/// When to look again after the condition became False and the endpoints already lead to activators.
const ALREADY_PROXIED: Duration = Duration::from_secs(3);

/// The settings that the way to zero depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// `enable-scale-to-zero`.
    pub is_enabled: bool,
    /// Progress deadline of the revision.
    pub progress_deadline: Duration,
    /// Stable window of the revision.
    pub stable_window: Duration,
    /// `scale-to-zero-grace-period`.
    pub grace: Duration,
    /// How long the last pod stays; zero for an unreachable revision.
    pub retention: Duration,
}

/// Where the endpoints lead, as the ServerlessService says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// `spec.mode`.
    pub mode: Mode,
    /// Since when its ActivatorEndpointsPopulated is True; `None` if it is not.
    pub proxied_since: Option<Moment>,
}

/// Whether the activator answers for the revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Probe {
    /// Nobody asked yet.
    NotAsked,
    /// It answered, or it is always in the path (target burst capacity −1).
    Answered,
    /// It did not, or there is no service to ask.
    Failed,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Step {
    /// Pods wanted; −1: not known.
    pub want: i32,
    /// Whether to scale to that number now.
    pub apply: bool,
    /// When to look again, if nothing happens before.
    pub again_after: Option<Duration>,
    /// Probe the activator every second for up to 45 s, and look again one second after that ends.
    pub keep_probing: bool,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// This.
    Do(Step),
    /// Probe the activator once, and ask again with its answer.
    Probe,
}

/// What comes next for a revision that needs no pod.
pub fn next(now: Moment, condition: ActiveSince, path: Path, probe: Probe, rules: &Rules) -> Next {
    if !rules.is_enabled {
        return Next::Do(to(1));
    }
    match condition.active {
        Active::Activating => Next::Do(activating(condition.age(now), rules)),
        Active::Yes => Next::Do(active(condition.age(now), path.mode, rules)),
        Active::No => match probe {
            Probe::NotAsked => Next::Probe,
            Probe::Failed => Next::Do(Step {
                keep_probing: true,
                ..Step::default()
            }),
            Probe::Answered => Next::Do(inactive(now, condition.age(now), path, rules)),
        },
    }
}

fn activating(age: Duration, rules: &Rules) -> Step {
    let deadline = rules.progress_deadline.saturating_add(ACTIVATION_BUFFER);
    match age > deadline {
        true => to(0),
        false => Step {
            want: UNKNOWN,
            again_after: Some(deadline),
            ..Step::default()
        },
    }
}

fn active(age: Duration, mode: Mode, rules: &Rules) -> Step {
    match rules.stable_window.checked_sub(age).filter(|rest| !rest.is_zero()) {
        Some(rest) => Step {
            again_after: Some(rest),
            ..to(1)
        },
        None => Step {
            again_after: (mode == Mode::Proxy).then_some(ALREADY_PROXIED),
            ..Step::default()
        },
    }
}

fn inactive(now: Moment, age: Duration, path: Path, rules: &Rules) -> Step {
    if age >= rules.grace.max(rules.retention) {
        return to(0);
    }
    let proxied = path.proxied_since.map_or(Duration::ZERO, |since| now.since(since));
    let rest = match rules.retention.saturating_sub(age) {
        Duration::ZERO => rules.grace.saturating_sub(proxied),
        retained => retained,
    };
    match rest.is_zero() {
        true => to(0),
        false => Step {
            again_after: Some(rest),
            ..Step::default()
        },
    }
}

fn to(want: i32) -> Step {
    Step {
        want,
        apply: true,
        ..Step::default()
    }
}

#[cfg(test)]
mod tests;
