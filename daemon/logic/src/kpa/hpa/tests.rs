// SPDX-License-Identifier: Apache-2.0
//! The HorizontalPodAutoscaler that follows from annotations.

use super::*;
use std::time::Duration;

fn hpa(annotations: &Annotations, metric: &str) -> Hpa {
    Hpa::of(annotations, metric, Reachability::Reachable, &Config::default())
}

fn target(target: f64) -> Annotations {
    Annotations {
        target: Some(target),
        ..Annotations::default()
    }
}

#[test]
fn without_annotations_it_has_neither_bounds_nor_metrics() {
    let expected = Hpa {
        min_replicas: None,
        max_replicas: i32::MAX,
        metric: None,
        stabilization_seconds: None,
    };
    assert_eq!(hpa(&Annotations::default(), "cpu"), expected);
}

#[test]
fn a_target_becomes_the_metric_it_is_meant_for() {
    assert_eq!(hpa(&target(74.2), "cpu").metric, Some(Source::Cpu(75)));
    assert_eq!(
        hpa(&target(200.9), "memory").metric,
        Some(Source::Memory(200 * 1024 * 1024))
    );
    let queue = Some(Source::Pods("queue_length".to_owned(), 5));
    assert_eq!(hpa(&target(5.9), "queue_length").metric, queue);
}

#[test]
fn bounds_and_window_are_passed_on() {
    let annotations = Annotations {
        min_scale: Some(2),
        max_scale: Some(9),
        window: Some(Duration::from_secs(90)),
        ..Annotations::default()
    };
    let found = hpa(&annotations, "cpu");
    assert_eq!(
        (found.min_replicas, found.max_replicas, found.stabilization_seconds),
        (Some(2), 9, Some(90))
    );
    let unreachable = Hpa::of(&annotations, "cpu", Reachability::Unreachable, &Config::default());
    assert_eq!(unreachable.min_replicas, None);
}

#[test]
fn it_is_initialised_with_its_initial_replicas() {
    let annotations = Annotations {
        initial_scale: Some(3),
        ..Annotations::default()
    };
    let with = |ready, replicas| {
        is_initialised(
            ready,
            replicas,
            &annotations,
            Reachability::Reachable,
            &Config::default(),
        )
    };
    assert!(with(true, 3));
    assert!(!with(true, 2));
    assert!(!with(false, 3));
}

#[test]
fn no_target_makes_it_panic() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
        for metric in ["cpu", "memory", "other"] {
            assert!(hpa(&target(value), metric).metric.is_some());
        }
    }
}
