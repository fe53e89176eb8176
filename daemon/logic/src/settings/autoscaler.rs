// SPDX-License-Identifier: Apache-2.0
//! config-autoscaler: targets, windows, rates and scale bounds (data-plane spec 6).
//!
//! Depends on: go, table.

use super::problem::Problems;
use super::table::{self, Check, Data, Key, Reader, Reading, check, key};
use crate::go::print::{fixed, float};
use crate::go::span::Span;

/// The settings of config-autoscaler.
#[derive(Clone, Debug, PartialEq)]
pub struct Autoscaler {
    /// The class of PodAutoscalers without an annotation.
    pub class: String,
    /// Whether a revision may have no pod.
    pub enable_scale_to_zero: bool,
    /// Whether a new revision may start with no pod.
    pub allow_zero_initial_scale: bool,
    /// The share of the target at which to scale, in (0, 1].
    pub target_fraction: f64,
    /// Requests in flight a pod should have, without `containerConcurrency`.
    pub concurrency_target: f64,
    /// Requests a second a pod should have.
    pub rps_target: f64,
    /// The share of the target for every metric but concurrency; no key sets it.
    pub target_utilization: f64,
    /// Requests that must find room without a new pod; -1 is any number.
    pub target_burst_capacity: f64,
    /// Requests an activator takes.
    pub activator_capacity: f64,
    /// By how much a tick may multiply the pods.
    pub max_scale_up_rate: f64,
    /// By how much a tick may divide the pods.
    pub max_scale_down_rate: f64,
    /// The panic window in percent of the stable one.
    pub panic_window_percentage: f64,
    /// The load in percent of the pods' capacity at which panic starts.
    pub panic_threshold_percentage: f64,
    /// The window of the stable average.
    pub stable_window: Span,
    /// How long fewer pods must be wanted before some end.
    pub scale_down_delay: Span,
    /// How long the last pod stays at most after traffic goes elsewhere.
    pub scale_to_zero_grace_period: Span,
    /// How long the last pod stays at least.
    pub scale_to_zero_pod_retention_period: Span,
    /// Pods of a new revision.
    pub initial_scale: i32,
    /// Fewest pods.
    pub min_scale: i32,
    /// Most pods; 0 is any number.
    pub max_scale: i32,
    /// What `max-scale` may be set to at most; 0 is anything.
    pub max_scale_limit: i32,
}

/// The smallest target (data-plane spec 1.9).
const TARGET_MIN: f64 = 0.01;
const WINDOW_MIN: Span = Span::from_secs(6);
const WINDOW_MAX: Span = Span::from_secs(3600);

impl Default for Autoscaler {
    fn default() -> Self {
        Self {
            class: "kpa.autoscaling.knative.dev".to_owned(),
            enable_scale_to_zero: true,
            allow_zero_initial_scale: false,
            target_fraction: 0.7,
            concurrency_target: 100.0,
            rps_target: 200.0,
            target_utilization: 0.7,
            target_burst_capacity: 211.0,
            activator_capacity: 100.0,
            max_scale_up_rate: 1000.0,
            max_scale_down_rate: 2.0,
            panic_window_percentage: 10.0,
            panic_threshold_percentage: 200.0,
            stable_window: Span::from_secs(60),
            scale_down_delay: Span::ZERO,
            scale_to_zero_grace_period: Span::from_secs(30),
            scale_to_zero_pod_retention_period: Span::ZERO,
            initial_scale: 1,
            min_scale: 0,
            max_scale: 0,
            max_scale_limit: 0,
        }
    }
}

impl Autoscaler {
    /// Reads the map.
    ///
    /// # Errors
    /// Every problem of it.
    pub fn parse(data: &Data) -> Result<Self, Problems> {
        let mut settings = Self::default();
        let mut reading = Reading::with_prefix(data, "failed to parse data: ");
        reading.read(KEYS, &mut settings);
        // Up to 1 it was always read as a fraction.
        if settings.target_fraction > 1.0 {
            settings.target_fraction /= 100.0;
        }
        reading.check(CHECKS, &settings);
        reading.finish(settings)
    }

    /// The keys with a fixed name, in their current spelling.
    #[must_use]
    pub fn keys() -> Vec<&'static str> {
        table::names(KEYS).collect()
    }

    /// Whether the map has such a key.
    #[must_use]
    pub fn knows(key: &str) -> bool {
        table::knows(KEYS, key)
    }
}

const KEYS: &[Key<Autoscaler>] = &[
    key("pod-autoscaler-class", Reader::Text(|s| &mut s.class)),
    key("enable-scale-to-zero", Reader::Bool(|s| &mut s.enable_scale_to_zero)),
    key(
        "allow-zero-initial-scale",
        Reader::Bool(|s| &mut s.allow_zero_initial_scale),
    ),
    key("max-scale-up-rate", Reader::Float(|s| &mut s.max_scale_up_rate)),
    key("max-scale-down-rate", Reader::Float(|s| &mut s.max_scale_down_rate)),
    key(
        "container-concurrency-target-percentage",
        Reader::Float(|s| &mut s.target_fraction),
    ),
    key(
        "container-concurrency-target-default",
        Reader::Float(|s| &mut s.concurrency_target),
    ),
    key(
        "requests-per-second-target-default",
        Reader::Float(|s| &mut s.rps_target),
    ),
    key("target-burst-capacity", Reader::Float(|s| &mut s.target_burst_capacity)),
    key(
        "panic-window-percentage",
        Reader::Float(|s| &mut s.panic_window_percentage),
    ),
    key("activator-capacity", Reader::Float(|s| &mut s.activator_capacity)),
    key(
        "panic-threshold-percentage",
        Reader::Float(|s| &mut s.panic_threshold_percentage),
    ),
    key("initial-scale", Reader::Int32(|s| &mut s.initial_scale)),
    key("min-scale", Reader::Int32(|s| &mut s.min_scale)),
    key("max-scale", Reader::Int32(|s| &mut s.max_scale)),
    key("max-scale-limit", Reader::Int32(|s| &mut s.max_scale_limit)),
    key("stable-window", Reader::Span(|s| &mut s.stable_window)),
    key("scale-down-delay", Reader::Span(|s| &mut s.scale_down_delay)),
    key(
        "scale-to-zero-grace-period",
        Reader::Span(|s| &mut s.scale_to_zero_grace_period),
    ),
    key(
        "scale-to-zero-pod-retention-period",
        Reader::Span(|s| &mut s.scale_to_zero_pod_retention_period),
    ),
];

const CHECKS: &[Check<Autoscaler>] = &[
    check(&["scale-to-zero-grace-period"], |s| {
        let value = s.scale_to_zero_grace_period;
        (value <= Span::ZERO).then(|| format!("scale-to-zero-grace-period must be positive, was: {value}"))
    }),
    check(&["scale-down-delay"], |s| {
        let value = s.scale_down_delay;
        if value < Span::ZERO {
            return Some(format!("scale-down-delay cannot be negative, was: {value}"));
        }
        not_whole_seconds("scale-down-delay", value)
    }),
    check(&["scale-to-zero-pod-retention-period"], |s| {
        let value = s.scale_to_zero_pod_retention_period;
        (value < Span::ZERO).then(|| format!("scale-to-zero-pod-retention-period cannot be negative, was: {value}"))
    }),
    check(&["target-burst-capacity"], |s| {
        let value = s.target_burst_capacity;
        (value < 0.0 && value != -1.0).then(|| {
            let value = fixed(value);
            format!("target-burst-capacity must be either non-negative or -1 (for unlimited), was: {value}")
        })
    }),
    check(&["container-concurrency-target-percentage"], |s| {
        let value = s.target_fraction;
        (value <= 0.0 || value > 1.0).then(|| {
            let value = fixed(value);
            format!("container-concurrency-target-percentage = {value} is outside of valid range of (0, 100]")
        })
    }),
    check(
        &[
            "container-concurrency-target-default",
            "container-concurrency-target-percentage",
        ],
        target_too_small,
    ),
    check(&["requests-per-second-target-default"], |s| {
        (s.rps_target < TARGET_MIN).then(|| {
            let (min, value) = (float(TARGET_MIN), float(s.rps_target));
            format!("requests-per-second-target-default must be at least {min}, was: {value}")
        })
    }),
    check(&["activator-capacity"], |s| {
        let value = s.activator_capacity;
        (value < 1.0).then(|| format!("activator-capacity = {}, must be at least 1", float(value)))
    }),
    check(&["max-scale-up-rate"], |s| {
        rate_too_small("max-scale-up-rate", s.max_scale_up_rate)
    }),
    check(&["max-scale-down-rate"], |s| {
        rate_too_small("max-scale-down-rate", s.max_scale_down_rate)
    }),
    check(&["stable-window"], |s| {
        let value = s.stable_window;
        if value < WINDOW_MIN || value > WINDOW_MAX {
            return Some(format!(
                "stable-window = {value}, must be in [{WINDOW_MIN}; {WINDOW_MAX}] range"
            ));
        }
        not_whole_seconds("stable-window", value)
    }),
    check(&["panic-window-percentage"], |s| {
        let value = s.panic_window_percentage;
        is_outside(value, 1.0, 100.0).then(|| {
            format!(
                "panic-window-percentage = {}, must be in [1, 100] interval",
                float(value)
            )
        })
    }),
    check(&["initial-scale", "allow-zero-initial-scale"], |s| {
        let value = s.initial_scale;
        (value < 0 || value == 0 && !s.allow_zero_initial_scale).then(|| {
            format!(
                "initial-scale = {value}, must be at least 0 (or at least 1 when allow-zero-initial-scale is false)"
            )
        })
    }),
    check(&["max-scale", "max-scale-limit"], |s| {
        let (value, limit) = (s.max_scale, s.max_scale_limit);
        let least = i32::from(limit > 0);
        (value < least || limit > 0 && value > limit)
            .then(|| format!("max-scale = {value}, must be in [{least}, max-scale-limit({limit})] range"))
    }),
    check(&["max-scale-limit"], |s| {
        let value = s.max_scale_limit;
        (value < 0).then(|| format!("max-scale-limit = {value}, must be at least 0"))
    }),
    check(&["min-scale"], |s| {
        let value = s.min_scale;
        (value < 0).then(|| format!("min-scale = {value}, must be at least 0"))
    }),
    check(&["min-scale", "max-scale"], |s| {
        let (min, max) = (s.min_scale, s.max_scale);
        (max > 0 && min > max).then(|| format!("min-scale ({min}) must be less than or equal to max-scale ({max})"))
    }),
];

/// NaN is not outside, as in Knative.
fn is_outside(value: f64, least: f64, most: f64) -> bool {
    value < least || value > most
}

fn not_whole_seconds(key: &str, value: Span) -> Option<String> {
    (!value.is_whole_seconds()).then(|| format!("{key} = {value}, must be specified with at most second precision"))
}

fn rate_too_small(key: &str, value: f64) -> Option<String> {
    (value <= 1.0).then(|| format!("{key} = {}, must be greater than 1.0", float(value)))
}

fn target_too_small(settings: &Autoscaler) -> Option<String> {
    let target = settings.target_fraction * settings.concurrency_target;
    (target < TARGET_MIN).then(|| {
        let (target, min) = (float(target), float(TARGET_MIN));
        format!(
            "container-concurrency-target-percentage and container-concurrency-target-default yield target concurrency \
             of {target}, can't be less than {min}"
        )
    })
}
