// SPDX-License-Identifier: Apache-2.0
//! The annotations of a PodAutoscaler, read: data-plane spec 1.9.
//!
//! Invariants: what is absent or cannot be read counts as absent; admission has refused it long before.
//! Depends on: api (names), logic (Go's numbers and durations, kpa).

use std::time::Duration;

use api::metadata;
use api::names::{autoscaling as key, first, serving};
use api::pod_autoscaler::PodAutoscaler;
use logic::go::number;
use logic::go::span::Span;
use logic::kpa::{Algorithm, Annotations, Metric, Reachability};

/// The annotations that decide something.
#[must_use]
pub fn read(scaling: &PodAutoscaler) -> Annotations {
    Annotations {
        metric: one(scaling, key::METRIC).map(|metric| match metric {
            key::RPS => Metric::Rps,
            _ => Metric::Concurrency,
        }),
        algorithm: text(scaling, &key::METRIC_AGGREGATION_ALGORITHM).map(|algorithm| match algorithm {
            "weighted-exponential" | "weightedExponential" => Algorithm::WeightedExponential,
            _ => Algorithm::Linear,
        }),
        target: float(scaling, &[key::TARGET]),
        target_utilization_percentage: float(scaling, &key::TARGET_UTILIZATION_PERCENTAGE),
        target_burst_capacity: float(scaling, &key::TARGET_BURST_CAPACITY),
        window: span(scaling, &[key::WINDOW]),
        panic_window_percentage: float(scaling, &key::PANIC_WINDOW_PERCENTAGE),
        panic_threshold_percentage: float(scaling, &key::PANIC_THRESHOLD_PERCENTAGE),
        scale_down_delay: span(scaling, &key::SCALE_DOWN_DELAY),
        scale_to_zero_pod_retention_period: span(scaling, &key::SCALE_TO_ZERO_POD_RETENTION_PERIOD),
        initial_scale: count(scaling, &key::INITIAL_SCALE),
        activation_scale: count(scaling, &[key::ACTIVATION_SCALE]),
        min_scale: count(scaling, &key::MIN_SCALE),
        max_scale: count(scaling, &key::MAX_SCALE),
        progress_deadline: span(scaling, &[serving::PROGRESS_DEADLINE]),
    }
}

/// Who scales it: the annotation's class, else the operator's.
#[must_use]
pub fn class<'a>(scaling: &'a PodAutoscaler, default: &'a str) -> &'a str {
    one(scaling, key::CLASS)
        .filter(|class| !class.is_empty())
        .unwrap_or(default)
}

/// What is measured where Kubernetes scales: the annotation, else CPU.
#[must_use]
pub fn metric_of_hpa(scaling: &PodAutoscaler) -> &str {
    one(scaling, key::METRIC).unwrap_or(key::CPU)
}

/// Whether a route can lead to it.
#[must_use]
pub fn reachability(scaling: &PodAutoscaler) -> Reachability {
    match scaling.spec.reachability.as_str() {
        "Reachable" => Reachability::Reachable,
        "Unreachable" => Reachability::Unreachable,
        _ => Reachability::Unknown,
    }
}

fn text<'a>(scaling: &'a PodAutoscaler, keys: &[&'static str]) -> Option<&'a str> {
    first(keys, metadata::annotations(&scaling.metadata)).map(|(_, text)| text)
}

fn one<'a>(scaling: &'a PodAutoscaler, key: &'static str) -> Option<&'a str> {
    text(scaling, &[key])
}

fn float(scaling: &PodAutoscaler, keys: &[&'static str]) -> Option<f64> {
    number::float(text(scaling, keys)?).ok()
}

fn count(scaling: &PodAutoscaler, keys: &[&'static str]) -> Option<i32> {
    number::int32(text(scaling, keys)?).ok()
}

fn span(scaling: &PodAutoscaler, keys: &[&'static str]) -> Option<Duration> {
    Span::parse(text(scaling, keys)?).ok().map(Span::to_duration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn scaling(annotations: &[(&str, &str)]) -> PodAutoscaler {
        let mut scaling = PodAutoscaler::default();
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        scaling.metadata.annotations = Some(annotations.iter().map(owned).collect::<BTreeMap<_, _>>());
        scaling
    }

    #[test]
    fn every_annotation_is_read_in_both_spellings() {
        let read = read(&scaling(&[
            ("autoscaling.knative.dev/metric", "rps"),
            (
                "autoscaling.knative.dev/metricAggregationAlgorithm",
                "weightedExponential",
            ),
            ("autoscaling.knative.dev/target", "0.5"),
            ("autoscaling.knative.dev/window", "1m30s"),
            ("autoscaling.knative.dev/minScale", "1"),
            ("autoscaling.knative.dev/min-scale", "2"),
            ("autoscaling.knative.dev/max-scale", "7"),
            ("autoscaling.knative.dev/target-burst-capacity", "-1"),
            ("serving.knative.dev/progress-deadline", "30s"),
        ]));
        let expected = Annotations {
            metric: Some(Metric::Rps),
            algorithm: Some(Algorithm::WeightedExponential),
            target: Some(0.5),
            window: Some(Duration::from_secs(90)),
            min_scale: Some(2),
            max_scale: Some(7),
            target_burst_capacity: Some(-1.0),
            progress_deadline: Some(Duration::from_secs(30)),
            ..Annotations::default()
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn what_cannot_be_read_counts_as_absent() {
        let wrong = scaling(&[
            ("autoscaling.knative.dev/target", "much"),
            ("autoscaling.knative.dev/window", "60"),
            ("autoscaling.knative.dev/min-scale", "1.5"),
        ]);
        assert_eq!(read(&wrong), Annotations::default());
    }

    #[test]
    fn the_operators_class_stands_where_none_is_named() {
        assert_eq!(class(&scaling(&[]), key::KPA), key::KPA);
        assert_eq!(class(&scaling(&[(key::CLASS, key::HPA)]), key::KPA), key::HPA);
    }
}
