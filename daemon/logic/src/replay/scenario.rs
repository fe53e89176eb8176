// SPDX-License-Identifier: Apache-2.0
//! Recorded scenarios: samples and ready pods second by second, and what was decided (as in `kpa-decider.jsonl`).
//!
//! Mechanism: the decider and the windows of the KPA, as the runner uses them; the pods are those of the record, so the loop
//! is open. Other settings replace those of the record one by one.
//! Invariants: without other settings the decisions are Knative's for the same samples; times never go back.
//! Depends on: kpa, line, settings, timeline.

mod record;

use super::line::LineError;
use super::settings::{Pair, SettingError};
use super::timeline::{Point, Timeline};
use crate::kpa::{Decider, Decision, Moment, Spec, Windows};

pub use record::{Decided, Scenario, Step};

/// A scenario played.
#[derive(Debug, Clone, PartialEq)]
pub struct Played {
    /// The scenario with the decisions that were made now.
    pub scenario: Scenario,
    /// Decisions.
    pub decisions: u64,
    /// Decisions that differ from those of the record.
    pub different: u64,
    /// The most pods decided.
    pub most_desired: i32,
    /// Pods decided, summed over seconds.
    pub pod_seconds: f64,
    /// Seconds in panic.
    pub panic_seconds: u64,
    /// What happened when.
    pub points: Vec<Point>,
    /// How many seconds a point covers.
    pub width: u64,
}

/// Why a scenario cannot be played.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refused {
    /// The line is wrong.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The other settings are.
    #[error(transparent)]
    Setting(#[from] SettingError),
}

/// Plays a scenario as it was recorded, but by these settings instead of those of the same name.
pub fn play(scenario: &Scenario, instead: &[Pair]) -> Result<Played, Refused> {
    let recorded = scenario.spec.spec()?;
    let spec = match instead.is_empty() {
        true => recorded,
        false => {
            let base = scenario.spec.settings()?;
            replaced(recorded, &base.spec(), base.with(instead)?.spec())
        }
    };
    let mut played = Played {
        scenario: scenario.clone(),
        decisions: 0,
        different: 0,
        most_desired: 0,
        pod_seconds: 0.0,
        panic_seconds: 0,
        points: Vec::new(),
        width: 1,
    };
    let mut player = Player {
        windows: Windows::of(&spec),
        decider: None,
        spec,
        is_scraped: scenario.spec.scrape_target,
    };
    let mut timeline = Timeline::default();
    let mut desired = 0;
    for (index, step) in scenario.steps.iter().enumerate() {
        let decided = player.step(scenario.moment(step), step)?;
        if let (Some(before), Some(decision)) = (&step.decision, decided) {
            let now = Decided::of(decision);
            played.decisions += 1;
            played.different += u64::from(*before != now);
            desired = decision.map_or(desired, |decision| decision.desired);
            if let Some(step) = played.scenario.steps.get_mut(index) {
                step.decision = Some(now);
            }
        }
        let is_panicking = player.decider.as_ref().is_some_and(Decider::is_panicking);
        played.most_desired = played.most_desired.max(desired);
        let next = scenario
            .steps
            .get(index + 1)
            .map_or(step.t.saturating_add(1), |next| next.t);
        let seconds = next.saturating_sub(step.t);
        played.pod_seconds += f64::from(desired) * seconds as f64;
        played.panic_seconds += if is_panicking { seconds } else { 0 };
        timeline.push(Point {
            load: step.value.unwrap_or(0.0),
            desired: f64::from(desired),
            ready: f64::from(step.ready),
            panic: is_panicking,
            ..Point::default()
        });
    }
    (played.points, played.width) = timeline.finish();
    played.scenario.spec = scenario.spec.with(&player.spec);
    Ok(played)
}

/// The decider of one scenario.
struct Player {
    windows: Windows,
    decider: Option<Decider>,
    spec: Spec,
    is_scraped: bool,
}

impl Player {
    /// One second; `None` if it has no decision.
    fn step(&mut self, now: Moment, step: &Step) -> Result<Option<Option<Decision>>, LineError> {
        let spec = &self.spec;
        let decider = self
            .decider
            .get_or_insert_with(|| Decider::new(spec.clone(), now, step.ready));
        if let Some(value) = step.value {
            let refused = |_| LineError::new("steps.value", "a number between -1e12 and 1e12", &value.to_string());
            self.windows.record(now, value).map_err(refused)?;
        }
        if step.decision.is_none() {
            return Ok(None);
        }
        let averages = self.windows.averages(now);
        let averages = match self.is_scraped {
            true => averages,
            // Without a scrape target no data is a load of zero.
            false => Some(averages.unwrap_or_default()),
        };
        Ok(Some(decider.evaluate(now, step.ready, averages)))
    }
}

/// The recorded settings, exact; where `wanted` differs from `base`, which is rounded, its own.
fn replaced(recorded: Spec, base: &Spec, wanted: Spec) -> Spec {
    macro_rules! choose {
        ($($field:ident),*) => {
            Spec { $($field: if base.$field == wanted.$field { recorded.$field } else { wanted.$field }),* }
        };
    }
    choose!(
        max_scale_up_rate,
        max_scale_down_rate,
        metric,
        target_value,
        total_value,
        target_burst_capacity,
        activator_capacity,
        panic_threshold,
        stable_window,
        panic_window,
        scale_down_delay,
        initial_scale,
        activation_scale,
        reachable,
        algorithm
    )
}

#[cfg(test)]
mod tests;
