// SPDX-License-Identifier: Apache-2.0
//! Which part of a sample counts, and what new settings change.

use super::*;
use crate::kpa::spec::Algorithm;
use std::time::Duration;

fn at(second: u64) -> Moment {
    Moment::from_unix_seconds(1_700_000_000 + second)
}

fn kpa(spec: Spec) -> Kpa {
    let mut kpa = Kpa::new(spec, at(0), 0);
    for second in 0..6 {
        let sample = Sample {
            concurrency: 140.0,
            rps: 1400.0,
        };
        kpa.record(at(second), sample).unwrap();
    }
    kpa
}

fn rps() -> Spec {
    Spec {
        metric: Metric::Rps,
        target_value: 140.0,
        total_value: 200.0,
        ..Spec::default()
    }
}

#[test]
fn the_metric_that_is_scaled_by_counts() {
    assert_eq!(kpa(Spec::default()).tick(at(5), 2).unwrap().desired, 2);
    assert_eq!(kpa(rps()).tick(at(5), 2).unwrap().desired, 10);
}

#[test]
fn another_metric_begins_with_empty_windows() {
    let mut kpa = kpa(Spec::default());
    kpa.update(rps(), at(5));
    assert_eq!(kpa.tick(at(5), 2), None);
    let sample = Sample {
        concurrency: 140.0,
        rps: 280.0,
    };
    kpa.record(at(6), sample).unwrap();
    assert_eq!(kpa.tick(at(6), 2).unwrap().desired, 2);
}

#[test]
fn another_window_or_algorithm_keeps_what_was_recorded() {
    let mut kpa = kpa(Spec::default());
    kpa.update(
        Spec {
            stable_window: Duration::from_secs(120),
            algorithm: Algorithm::WeightedExponential,
            ..Spec::default()
        },
        at(5),
    );
    let averages = kpa.averages(at(5)).unwrap();
    assert!(averages.stable > 100.0 && averages.stable < 140.0, "{averages:?}");
}

#[test]
fn a_preview_is_what_a_tick_decides_once_the_second_is_over() {
    let live = Sample {
        concurrency: 2000.0,
        rps: 0.0,
    };
    let mut kpa = kpa(Spec::default());
    let preview = kpa.preview(at(5).plus(Duration::from_millis(3)), 2, live).unwrap();
    assert_eq!(preview.desired, 7);
    kpa.record(at(6), live).unwrap();
    assert_eq!(kpa.tick(at(6), 2), Some(preview));
}

#[test]
fn silence_is_a_load_of_zero_only_for_a_revision_always_behind_the_activator() {
    let always = Spec {
        target_burst_capacity: -1.0,
        ..Spec::default()
    };
    let desired = |spec| Kpa::new(spec, at(0), 1).tick(at(0), 1).map(|decision| decision.desired);
    assert_eq!(desired(always), Some(0));
    assert_eq!(desired(Spec::default()), None);
}
