// SPDX-License-Identifier: Apache-2.0
//! The keys of annotations and of the model, and config-autoscaler to and from its text.
//!
//! Invariants: bounds are those of Knative's webhook (data-plane spec 1.9).
//! Depends on: kpa (config), model, settings (the ConfigMaps).

use super::error::SettingError;
use crate::kpa::{Algorithm, Annotations, Config, Metric, Profile};
use crate::replay::model::{MOST_PODS, Model};
use crate::settings::{Autoscaler, Data, Deployment, Span};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// How a value is read: `None` if it is none of the key's.
type Read = fn(&str, &mut Annotations, &mut Model) -> Option<()>;

/// One key of an annotation or of the model.
pub(super) struct Key {
    name: &'static str,
    other: Option<&'static str>,
    expected: &'static str,
    read: Read,
}

impl Key {
    pub(super) fn is(&self, name: &str) -> bool {
        self.names().any(|own| own == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        [Some(self.name), self.other].into_iter().flatten()
    }

    pub(super) fn read(
        &self,
        value: &str,
        annotations: &mut Annotations,
        model: &mut Model,
    ) -> Result<(), SettingError> {
        (self.read)(value.trim(), annotations, model).ok_or_else(|| SettingError::Value {
            key: self.name,
            value: value.to_owned(),
            expected: self.expected,
        })
    }
}

const fn key(name: &'static str, expected: &'static str, read: Read) -> Key {
    Key {
        name,
        other: None,
        expected,
        read,
    }
}

/// The keys that config-autoscaler does not have.
pub(super) const ALL: &[Key] = &[
    key("metric", "concurrency or rps", |text, annotations, _| {
        annotations.metric = Some(match text {
            "concurrency" => Metric::Concurrency,
            "rps" => Metric::Rps,
            _ => return None,
        });
        Some(())
    }),
    key(
        "metric-aggregation-algorithm",
        "linear or weighted-exponential",
        |text, annotations, _| {
            annotations.algorithm = Some(match text {
                "linear" => Algorithm::Linear,
                "weighted-exponential" | "weightedExponential" => Algorithm::WeightedExponential,
                _ => return None,
            });
            Some(())
        },
    ),
    key("target", "a number of at least 0.01", |text, annotations, _| {
        let target: f64 = text.parse().ok()?;
        annotations.target = Some(target).filter(|target| (0.01..=1e12).contains(target));
        annotations.target.map(drop)
    }),
    key(
        "target-utilization-percentage",
        "a number from 1 to 100",
        |text, annotations, _| {
            let percentage: f64 = text.parse().ok()?;
            annotations.target_utilization_percentage =
                Some(percentage).filter(|percentage| (1.0..=100.0).contains(percentage));
            annotations.target_utilization_percentage.map(drop)
        },
    ),
    key("window", "whole seconds from 6s to 1h", |text, annotations, _| {
        let window = duration(text)?;
        annotations.window =
            Some(window).filter(|time| (6..=3600).contains(&time.as_secs()) && *time <= HOUR && is_whole(*time));
        annotations.window.map(drop)
    }),
    key(
        "activation-scale",
        "a whole number of at least 2",
        |text, annotations, _| {
            annotations.activation_scale = text.parse().ok().filter(|scale| *scale >= 2);
            annotations.activation_scale.map(drop)
        },
    ),
    key(
        "progress-deadline",
        "whole seconds, e.g. 600s",
        |text, annotations, _| {
            annotations.progress_deadline = duration(text).filter(|time| is_whole(*time));
            annotations.progress_deadline.map(drop)
        },
    ),
    key("start-up", "a time up to 1h, e.g. 2s", |text, _, model| {
        model.start_up = duration(text).filter(|time| *time <= HOUR)?;
        Some(())
    }),
    Key {
        other: Some("container-concurrency"),
        ..key(
            "capacity",
            "requests a pod runs at once, 0 for any number",
            |text, _, model| {
                model.capacity = text.parse().ok().filter(|capacity| *capacity <= 1_000_000)?;
                Some(())
            },
        )
    },
    key("queue", "requests that may wait, up to 1000000", |text, _, model| {
        model.queue = text.parse().ok().filter(|queue| *queue <= 1_000_000)?;
        Some(())
    }),
    key("pods", "ready pods at the start, up to 10000", |text, _, model| {
        model.pods = text.parse().ok().filter(|pods| *pods <= MOST_PODS);
        model.pods.map(drop)
    }),
    key("events", "on or off", |text, _, model| {
        model.events = match text {
            "on" => true,
            "off" => false,
            _ => return None,
        };
        Some(())
    }),
    key("duration", "a time from 1ms to 1h, e.g. 200ms", |text, _, model| {
        model.duration = duration(text).filter(|time| (Duration::from_millis(1)..=HOUR).contains(time))?;
        Some(())
    }),
    key("tail", "a time up to 24h, e.g. 120s", |text, _, model| {
        model.tail = duration(text).filter(|time| *time <= 24 * HOUR)?;
        Some(())
    }),
    key("seed", "a whole number", |text, _, model| {
        model.seed = text.parse().ok()?;
        Some(())
    }),
];

/// `2s`, `1m30s`, `200ms`; a bare number is seconds.
fn duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let span = Span::parse(text).ok()?;
    (span >= Span::ZERO).then(|| span.to_duration())
}

fn is_whole(time: Duration) -> bool {
    time.subsec_nanos() == 0
}

/// A key of config-autoscaler that is set is meant to count: annotations that would hide it go.
pub(super) fn uncover(key: &str, annotations: &mut Annotations) {
    match key {
        "target-burst-capacity" => annotations.target_burst_capacity = None,
        "panic-window-percentage" => annotations.panic_window_percentage = None,
        "panic-threshold-percentage" => annotations.panic_threshold_percentage = None,
        "scale-down-delay" => annotations.scale_down_delay = None,
        "stable-window" => annotations.window = None,
        "container-concurrency-target-percentage" => annotations.target_utilization_percentage = None,
        "container-concurrency-target-default" | "requests-per-second-target-default" => annotations.target = None,
        _ => {}
    }
}

/// The settings in which profiles differ, as this one has them.
pub(super) fn profile(profile: Profile) -> Data {
    let others: Vec<_> = Profile::ALL.into_iter().map(|other| data(&other.config())).collect();
    let mut own = data(&profile.config());
    own.retain(|key, value| others.iter().any(|other| other.get(key) != Some(value)));
    own
}

/// config-autoscaler as its text says it.
pub(super) fn data(config: &Config) -> Data {
    let time = |time: Duration| format!("{}ns", time.as_nanos());
    let pairs = [
        (
            "container-concurrency-target-percentage",
            config.container_concurrency_target.to_string(),
        ),
        (
            "container-concurrency-target-default",
            config.container_concurrency_target_default.to_string(),
        ),
        (
            "requests-per-second-target-default",
            config.requests_per_second_target_default.to_string(),
        ),
        ("target-burst-capacity", config.target_burst_capacity.to_string()),
        ("stable-window", time(config.stable_window)),
        ("panic-window-percentage", config.panic_window_percentage.to_string()),
        (
            "panic-threshold-percentage",
            config.panic_threshold_percentage.to_string(),
        ),
        ("max-scale-up-rate", config.max_scale_up_rate.to_string()),
        ("max-scale-down-rate", config.max_scale_down_rate.to_string()),
        ("enable-scale-to-zero", config.enable_scale_to_zero.to_string()),
        ("scale-to-zero-grace-period", time(config.scale_to_zero_grace_period)),
        (
            "scale-to-zero-pod-retention-period",
            time(config.scale_to_zero_pod_retention_period),
        ),
        ("scale-down-delay", time(config.scale_down_delay)),
        ("activator-capacity", config.activator_capacity.to_string()),
        ("initial-scale", config.initial_scale.to_string()),
        ("allow-zero-initial-scale", config.allow_zero_initial_scale.to_string()),
        ("min-scale", config.min_scale.to_string()),
        ("max-scale", config.max_scale.to_string()),
    ];
    pairs.map(|(key, value)| (key.to_owned(), value)).into()
}

/// config-autoscaler of its text.
pub(super) fn config(data: &Data) -> Result<Config, SettingError> {
    let parsed = Autoscaler::parse(data).map_err(|problems| SettingError::Refused(problems.to_string()))?;
    if parsed.class != Autoscaler::default().class {
        return Err(SettingError::Value {
            key: "pod-autoscaler-class",
            value: parsed.class,
            expected: "kpa.autoscaling.knative.dev, which is what is simulated",
        });
    }
    let numbers = [
        ("container-concurrency-target-default", parsed.concurrency_target),
        ("container-concurrency-target-percentage", parsed.target_fraction),
        ("requests-per-second-target-default", parsed.rps_target),
        ("target-burst-capacity", parsed.target_burst_capacity),
        ("activator-capacity", parsed.activator_capacity),
        ("max-scale-up-rate", parsed.max_scale_up_rate),
        ("max-scale-down-rate", parsed.max_scale_down_rate),
        ("panic-window-percentage", parsed.panic_window_percentage),
        ("panic-threshold-percentage", parsed.panic_threshold_percentage),
    ];
    match numbers.into_iter().find(|(_, number)| !number.is_finite()) {
        Some((key, number)) => Err(SettingError::Value {
            key,
            value: number.to_string(),
            expected: "a finite number",
        }),
        None => Ok(Config::of(&parsed, &Deployment::default())),
    }
}
