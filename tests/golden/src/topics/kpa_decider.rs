// SPDX-License-Identifier: Apache-2.0
//! `kpa-decider`: every decision of a scenario, second by second.
//!
//! Depends on: compare, data, report.

use crate::compare::difference;
use crate::data::Case;
use crate::report::Verdict;
use logic::kpa::{Algorithm, Averages, Decider, Decision, Metric, Moment, Spec, Windows};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Deserialize)]
struct Scenario {
    start_unix: u64,
    spec: Settings,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Settings {
    max_scale_up_rate: f64,
    max_scale_down_rate: f64,
    target_value: f64,
    total_value: f64,
    target_burst_capacity: f64,
    panic_threshold: f64,
    stable_window_seconds: f64,
    panic_window_seconds: f64,
    scale_down_delay_seconds: f64,
    reachable: bool,
    activation_scale: i32,
    algorithm: String,
    scrape_target: bool,
}

#[derive(Deserialize)]
struct Step {
    t: u64,
    value: Option<f64>,
    ready: u32,
    decision: Option<Value>,
}

/// Whether every decision is Knative's.
pub(crate) fn judge(case: &Case) -> Verdict {
    let scenario: Scenario = serde_json::from_value(case.value.clone()).map_err(|error| error.to_string())?;
    let spec = scenario.spec.spec()?;
    let mut windows = Windows::of(&spec);
    let mut decider: Option<Decider> = None;
    for step in &scenario.steps {
        let now = Moment::from_unix_seconds(scenario.start_unix + step.t);
        let decider = decider.get_or_insert_with(|| Decider::new(spec.clone(), now, step.ready));
        if let Some(value) = step.value {
            windows.record(now, value).map_err(|error| error.to_string())?;
        }
        if let Some(expected) = &step.decision {
            let averages = averages(&windows, now, scenario.spec.scrape_target);
            let actual = decision(decider.evaluate(now, step.ready, averages));
            if let Some(difference) = difference(expected, &actual) {
                return Err(format!("t={} {difference}", step.t));
            }
        }
    }
    Ok(())
}

/// Without a scrape target no data is a load of zero.
fn averages(windows: &Windows, now: Moment, scrape_target: bool) -> Option<Averages> {
    let averages = windows.averages(now);
    match scrape_target {
        true => averages,
        false => Some(averages.unwrap_or_default()),
    }
}

fn decision(decision: Option<Decision>) -> Value {
    match decision {
        None => json!({"valid": false, "desired": 0, "excess_burst_capacity": 0}),
        Some(decision) => json!({
            "valid": true,
            "desired": decision.desired,
            "excess_burst_capacity": decision.excess_burst_capacity,
        }),
    }
}

impl Settings {
    fn spec(&self) -> Result<Spec, String> {
        Ok(Spec {
            max_scale_up_rate: self.max_scale_up_rate,
            max_scale_down_rate: self.max_scale_down_rate,
            metric: Metric::Concurrency,
            target_value: self.target_value,
            total_value: self.total_value,
            target_burst_capacity: self.target_burst_capacity,
            panic_threshold: self.panic_threshold,
            stable_window: seconds(self.stable_window_seconds)?,
            panic_window: seconds(self.panic_window_seconds)?,
            scale_down_delay: seconds(self.scale_down_delay_seconds)?,
            activation_scale: self.activation_scale,
            reachable: self.reachable,
            algorithm: match self.algorithm.as_str() {
                "linear" => Algorithm::Linear,
                "weighted-exponential" | "weightedExponential" => Algorithm::WeightedExponential,
                other => return Err(format!("unknown algorithm `{other}`")),
            },
            ..Spec::default()
        })
    }
}

fn seconds(value: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(value).map_err(|error| format!("{value} s: {error}"))
}
