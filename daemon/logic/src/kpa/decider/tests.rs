// SPDX-License-Identifier: Apache-2.0
//! The decider against the vectors of the spec (V1 to V18) and its invariants.

use super::*;
use crate::kpa::moment::Moment;
use proptest::prelude::*;
use std::time::Duration;

const NOW: Moment = Moment::from_unix_seconds(1_700_000_000);

fn spec(target: f64, total: f64, burst: f64) -> Spec {
    Spec {
        target_value: target,
        total_value: total,
        target_burst_capacity: burst,
        ..Spec::default()
    }
}

/// Desired and excess burst capacity of one evaluation of a calm decider.
fn once(spec: Spec, ready: u32, stable: f64, panic: f64) -> (i32, i32) {
    evaluate(&mut Decider::new(spec, NOW, 0), ready, stable, panic)
}

fn evaluate(decider: &mut Decider, ready: u32, stable: f64, panic: f64) -> (i32, i32) {
    let decision = decider.evaluate(NOW, ready, Some(Averages { stable, panic })).unwrap();
    (decision.desired, decision.excess_burst_capacity)
}

#[test]
fn a_calm_decider_follows_the_load() {
    let usual = || spec(70.0, 100.0, 211.0);
    assert_eq!(once(usual(), 0, 1.0, 1.0), (1, -212));
    assert_eq!(once(usual(), 1, 50.0, 50.0), (1, -161));
    assert_eq!(once(spec(0.7, 1.0, 211.0), 3, 3.0, 3.0), (5, -211));
    assert_eq!(once(usual(), 10, 0.0, 0.0), (5, 789));
    assert_eq!(once(usual(), 1, 0.0, 0.0), (0, -111));
    assert_eq!(once(usual(), 3, 100.0, 89.2), (2, -1));
    assert_eq!(once(usual(), 4, 150.0, 100.5), (3, 88));
    assert_eq!(once(spec(10.0, 10.0, 0.0), 7, 10.0, 10.0), (3, 0));
}

#[test]
fn a_burst_is_followed_at_once() {
    assert_eq!(once(spec(70.0, 100.0, 211.0), 1, 140.0001, 150.0), (3, -261));
    assert_eq!(once(spec(70.0, 100.0, 100.0), 4, 280.0, 560.0), (8, -260));
    assert_eq!(once(spec(1.0, 1.0, 0.0), 2, 5000.0, 5000.0), (2000, 0));
}

#[test]
fn the_first_panic_keeps_the_pod_that_was_there() {
    // Nothing bounds the threshold of config-autoscaler below.
    let always = || Spec {
        panic_threshold: 0.0,
        ..spec(1.0, 1.0, 0.0)
    };
    let mut decider = Decider::new(always(), NOW, 1);
    assert_eq!(evaluate(&mut decider, 1, 0.0, 0.0), (1, 0));
    assert!(decider.is_panicking());
    assert_eq!(once(always(), 1, 0.0, 0.0), (0, 0));
}

#[test]
fn a_small_rate_still_allows_one_pod_more() {
    let spec = Spec {
        max_scale_up_rate: 1.1,
        ..spec(1.0, 1.0, 0.0)
    };
    assert_eq!(once(spec, 2, 3.0, 3.0), (3, 0));
}

#[test]
fn an_unreachable_revision_shrinks_at_once() {
    let spec = Spec {
        reachable: false,
        ..spec(70.0, 100.0, 211.0)
    };
    assert_eq!(once(spec, 10, 0.0, 0.0), (0, 789));
}

#[test]
fn any_load_asks_for_the_activation_scale() {
    let spec = Spec {
        activation_scale: 3,
        ..spec(70.0, 100.0, -1.0)
    };
    assert_eq!(once(spec.clone(), 1, 0.5, 0.0), (3, -1));
    assert_eq!(once(spec, 1, 0.0, 0.0), (0, -1));
}

#[test]
fn panic_mode_never_falls_below_what_it_asked_for() {
    let mut nine = Decider::new(spec(7.0, 10.0, 20.0), NOW, 9);
    assert_eq!(evaluate(&mut nine, 5, 20.0, 30.0), (9, 0));
    let mut five = Decider::new(spec(1.0, 1.0, 100.0), NOW, 5);
    assert_eq!(evaluate(&mut five, 5, 50.0, 30.0), (50, -125));
}

#[test]
fn panic_ends_after_more_than_a_stable_window() {
    let mut decider = Decider::new(Spec::default(), NOW, 4);
    let mut at = |milliseconds| {
        let now = NOW.plus(Duration::from_millis(milliseconds));
        decider.evaluate(now, 4, Some(Averages::default()));
        decider.is_panicking()
    };
    assert!(at(60_000));
    assert!(!at(60_001));
}

#[test]
fn a_restart_does_not_shrink_a_running_revision() {
    let mut decider = Decider::new(Spec::default(), NOW, 20);
    assert_eq!(evaluate(&mut decider, 20, 1.0, 1.0).0, 20);
    assert!(!Decider::new(Spec::default(), NOW, 1).is_panicking());
}

#[test]
fn without_data_nothing_changes() {
    let mut decider = Decider::new(Spec::default(), NOW, 20);
    let before = decider.clone();
    assert_eq!(decider.evaluate(NOW.plus(Duration::from_secs(100)), 3, None), None);
    assert_eq!(decider, before);
}

#[test]
fn another_delay_counts_from_the_next_tick_on() {
    let mut decider = Decider::new(Spec::default(), NOW, 0);
    decider.update(Spec {
        scale_down_delay: Duration::from_secs(30),
        ..Spec::default()
    });
    assert_eq!(evaluate(&mut decider, 2, 140.0, 140.0).0, 2);
    assert_eq!(evaluate(&mut decider, 2, 0.0, 0.0).0, 2);
    decider.update(Spec::default());
    assert_eq!(evaluate(&mut decider, 2, 0.0, 0.0).0, 1);
}

fn any_spec() -> impl Strategy<Value = Spec> {
    let rates = (1.01..1000.0, 1.01..20.0);
    let values = (0.01..200.0, 0.01..200.0, prop_oneof![Just(-1.0), Just(0.0), 0.0..500.0]);
    (rates, values, 1.1..10.0, 6u64..200, 0u64..60, 0i32..9, any::<bool>()).prop_map(
        |((up, down), (target, total, burst), panic_threshold, window, delay, activation_scale, reachable)| Spec {
            max_scale_up_rate: up,
            max_scale_down_rate: down,
            target_value: target,
            total_value: total,
            target_burst_capacity: burst,
            panic_threshold,
            stable_window: Duration::from_secs(window),
            scale_down_delay: Duration::from_secs(delay),
            activation_scale,
            reachable,
            ..Spec::default()
        },
    )
}

proptest! {
    #[test]
    fn panic_mode_never_scales_down(spec in any_spec(), ticks in prop::collection::vec((0u32..50, 0.0..5000.0, 0.0..5000.0), 1..60)) {
        // A delay holds numbers from before the panic, and lets them go within it.
        let spec = Spec { scale_down_delay: Duration::ZERO, ..spec };
        let mut decider = Decider::new(spec, NOW, 0);
        let mut before: Option<i32> = None;
        for (index, (ready, stable, panic)) in ticks.into_iter().enumerate() {
            let now = NOW.plus(Duration::from_secs(2 * index as u64));
            let decision = decider.evaluate(now, ready, Some(Averages { stable, panic })).unwrap();
            if let (true, Some(before)) = (decider.is_panicking(), before) {
                prop_assert!(decision.desired >= before);
            }
            before = decider.is_panicking().then_some(decision.desired);
        }
    }

    #[test]
    fn a_calm_decision_keeps_to_the_rates(spec in any_spec(), ready in 0u32..1000, load in 0.0..100_000.0) {
        let spec = Spec { activation_scale: 0, panic_threshold: f64::MAX, scale_down_delay: Duration::ZERO, ..spec };
        let pods = f64::from(ready.max(1));
        let most = (spec.max_scale_up_rate * pods).ceil() as i32;
        let least = if spec.reachable { (pods / spec.max_scale_down_rate).floor() as i32 } else { 0 };
        let (desired, _) = once(spec, ready, load, load);
        prop_assert!((least..=most).contains(&desired), "{least} <= {desired} <= {most}");
    }

    #[test]
    fn a_preview_is_the_decision_without_a_delay_and_changes_nothing(spec in any_spec(), begins in 0u32..9, ready in 0u32..50, stable in 0.0..5000.0, panic in 0.0..5000.0) {
        let spec = Spec { scale_down_delay: Duration::ZERO, ..spec };
        let mut decider = Decider::new(spec, NOW, begins);
        let before = decider.clone();
        let averages = Averages { stable, panic };
        let preview = decider.preview(NOW, ready, averages);
        prop_assert_eq!(&decider, &before);
        prop_assert_eq!(decider.evaluate(NOW, ready, Some(averages)), Some(preview));
    }

    #[test]
    fn no_number_makes_it_panic(target: f64, total: f64, burst: f64, up: f64, down: f64, threshold: f64, stable: f64, panic: f64, ready: u32) {
        let spec = Spec { max_scale_up_rate: up, max_scale_down_rate: down, panic_threshold: threshold, ..spec(target, total, burst) };
        let mut decider = Decider::new(spec, NOW, ready);
        let _ = decider.evaluate(NOW, ready, Some(Averages { stable, panic }));
    }
}

#[test]
fn conversions_saturate() {
    let spec = Spec {
        max_scale_up_rate: 1e300,
        ..spec(0.01, 1e300, 1.0)
    };
    assert_eq!(once(spec, 1, 1e300, 1e300), (i32::MAX, 0));
}
