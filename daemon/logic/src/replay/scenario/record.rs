// SPDX-License-Identifier: Apache-2.0
//! A recorded scenario as it is written: one JSON object a line.
//!
//! Invariants: what is written back has the same shape; numbers that are whole stay so.
//! Depends on: kpa, line.

use crate::kpa::{Algorithm, Annotations, Config, Decision, Metric, Moment, Spec};
use crate::replay::line::LineError;
use crate::replay::model::Model;
use crate::replay::settings::Settings;
use serde::{Deserialize, Serialize, Serializer};
use std::time::Duration;

/// The longest time that a scenario may name, in seconds.
const LONGEST: f64 = 1e10;

/// Samples and pods of one revision, second by second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// The Unix time of its second 0.
    pub start_unix: u64,
    /// What it was decided by.
    pub spec: Recorded,
    /// Its seconds, in order.
    pub steps: Vec<Step>,
}

/// One second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Seconds since the start.
    pub t: u64,
    /// The sample, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "optional")]
    pub value: Option<f64>,
    /// Ready pods.
    pub ready: u32,
    /// What was decided; absent: nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decided>,
}

/// A decision as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Whether there was anything to decide by.
    pub valid: bool,
    /// Pods.
    pub desired: i32,
    /// Capacity beyond the burst to be absorbed.
    pub excess_burst_capacity: i32,
}

/// The settings of a decider as they are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    #[serde(serialize_with = "number")]
    max_scale_up_rate: f64,
    #[serde(serialize_with = "number")]
    max_scale_down_rate: f64,
    #[serde(serialize_with = "number")]
    target_value: f64,
    #[serde(serialize_with = "number")]
    total_value: f64,
    #[serde(serialize_with = "number")]
    target_burst_capacity: f64,
    #[serde(serialize_with = "number")]
    panic_threshold: f64,
    #[serde(serialize_with = "number")]
    stable_window_seconds: f64,
    #[serde(serialize_with = "number")]
    panic_window_seconds: f64,
    #[serde(serialize_with = "number")]
    scale_down_delay_seconds: f64,
    reachable: bool,
    activation_scale: i32,
    algorithm: String,
    /// Whether silence is no data; else it is a load of zero.
    pub(super) scrape_target: bool,
}

impl Scenario {
    /// The scenario of a line.
    pub fn parse(line: &str) -> Result<Self, LineError> {
        let wrong = |field, expected: &str, found: &str| LineError::new(field, expected, found);
        let scenario: Self =
            serde_json::from_str(line).map_err(|error| wrong("line", "a scenario in JSON", &error.to_string()))?;
        let mut last = 0;
        for step in &scenario.steps {
            if step.t < last {
                let expected = format!("a time not before that of the step before ({last})");
                return Err(wrong("steps.t", &expected, &step.t.to_string()));
            }
            last = step.t;
        }
        if scenario.steps.is_empty() {
            return Err(wrong("steps", "at least one step", ""));
        }
        if scenario.start_unix.saturating_add(last) as f64 > LONGEST {
            return Err(wrong(
                "start_unix",
                "a time before the year 2286",
                &scenario.start_unix.to_string(),
            ));
        }
        scenario.spec.spec()?;
        Ok(scenario)
    }

    /// The scenario as a line.
    pub fn to_line(&self) -> String {
        // A struct of texts and finite numbers can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// When a step is.
    pub(super) fn moment(&self, step: &Step) -> Moment {
        Moment::from_unix_seconds(self.start_unix.saturating_add(step.t))
    }
}

impl Decided {
    /// A decision, or that there was nothing to decide by.
    pub(super) fn of(decision: Option<Decision>) -> Self {
        Self {
            valid: decision.is_some(),
            desired: decision.map_or(0, |decision| decision.desired),
            excess_burst_capacity: decision.map_or(0, |decision| decision.excess_burst_capacity),
        }
    }
}

impl Recorded {
    /// What the decider works with.
    pub(super) fn spec(&self) -> Result<Spec, LineError> {
        Ok(Spec {
            max_scale_up_rate: self.max_scale_up_rate,
            max_scale_down_rate: positive("spec.max_scale_down_rate", self.max_scale_down_rate)?,
            metric: Metric::Concurrency,
            target_value: positive("spec.target_value", self.target_value)?,
            total_value: self.total_value,
            target_burst_capacity: self.target_burst_capacity,
            panic_threshold: self.panic_threshold,
            stable_window: seconds("spec.stable_window_seconds", self.stable_window_seconds)?,
            panic_window: seconds("spec.panic_window_seconds", self.panic_window_seconds)?,
            scale_down_delay: seconds("spec.scale_down_delay_seconds", self.scale_down_delay_seconds)?,
            activation_scale: self.activation_scale,
            reachable: self.reachable,
            algorithm: match self.algorithm.as_str() {
                "linear" => Algorithm::Linear,
                "weighted-exponential" | "weightedExponential" => Algorithm::WeightedExponential,
                other => {
                    return Err(LineError::new(
                        "spec.algorithm",
                        "linear or weighted-exponential",
                        other,
                    ));
                }
            },
            ..Spec::default()
        })
    }

    /// The same, written for other settings.
    pub(super) fn with(&self, spec: &Spec) -> Self {
        Self {
            max_scale_up_rate: spec.max_scale_up_rate,
            max_scale_down_rate: spec.max_scale_down_rate,
            target_value: spec.target_value,
            total_value: spec.total_value,
            target_burst_capacity: spec.target_burst_capacity,
            panic_threshold: spec.panic_threshold,
            stable_window_seconds: spec.stable_window.as_secs_f64(),
            panic_window_seconds: spec.panic_window.as_secs_f64(),
            scale_down_delay_seconds: spec.scale_down_delay.as_secs_f64(),
            reachable: spec.reachable,
            activation_scale: spec.activation_scale,
            algorithm: match spec.algorithm {
                Algorithm::Linear => "linear".to_owned(),
                Algorithm::WeightedExponential => "weighted-exponential".to_owned(),
            },
            scrape_target: self.scrape_target,
        }
    }

    /// ConfigMap and annotations that say the same, but for rounding.
    pub(super) fn settings(&self) -> Result<Settings, LineError> {
        let spec = self.spec()?;
        let config = Config {
            max_scale_up_rate: spec.max_scale_up_rate,
            max_scale_down_rate: spec.max_scale_down_rate,
            ..Config::default()
        };
        let annotations = Annotations {
            algorithm: Some(spec.algorithm),
            target: Some(spec.total_value),
            target_utilization_percentage: Some(100.0 * spec.target_value / spec.total_value),
            target_burst_capacity: Some(spec.target_burst_capacity),
            window: Some(spec.stable_window),
            panic_window_percentage: Some(100.0 * spec.panic_window.as_secs_f64() / spec.stable_window.as_secs_f64()),
            panic_threshold_percentage: Some(100.0 * spec.panic_threshold),
            scale_down_delay: Some(spec.scale_down_delay),
            activation_scale: Some(spec.activation_scale),
            ..Annotations::default()
        };
        Ok(Settings {
            config,
            annotations,
            model: Model::default(),
        })
    }
}

fn positive(field: &'static str, value: f64) -> Result<f64, LineError> {
    match value > 0.0 {
        true => Ok(value),
        false => Err(LineError::new(field, "a number above 0", &value.to_string())),
    }
}

fn seconds(field: &'static str, value: f64) -> Result<Duration, LineError> {
    Duration::try_from_secs_f64(value)
        .ok()
        .filter(|_| value <= LONGEST)
        .ok_or_else(|| LineError::new(field, "seconds, not negative", &value.to_string()))
}

fn optional<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => number(value, serializer),
        None => serializer.serialize_none(),
    }
}

fn number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    let is_whole = value.fract() == 0.0 && value.abs() < 1e15;
    match is_whole && !(*value == 0.0 && value.is_sign_negative()) {
        true => serializer.serialize_i64(*value as i64),
        false => serializer.serialize_f64(*value),
    }
}
