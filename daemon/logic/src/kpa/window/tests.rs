// SPDX-License-Identifier: Apache-2.0
//! Windows against the vectors of the spec (V31, V32) and against a slow model.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn window(length: u64, algorithm: Algorithm, values: &[(i64, f64)]) -> Window {
    let mut window = Window::new(Duration::from_secs(length), algorithm);
    for (second, value) in values {
        window.record(*second, *value);
    }
    window
}

fn linear(length: u64, values: &[(i64, f64)]) -> Window {
    window(length, Algorithm::Linear, values)
}

fn weighted(length: u64, values: &[(i64, f64)]) -> Window {
    window(length, Algorithm::WeightedExponential, values)
}

#[test]
fn silence_is_not_counted_as_zeros() {
    let window = linear(6, &[(600, 3.0), (601, 6.0), (602, 9.0)]);
    assert_eq!(window.average(602), 6.0);
    assert_eq!(window.average(604), 6.0);
    assert_eq!(window.average(607), 9.0);
    assert_eq!(window.average(608), 0.0);
    assert!(!window.is_empty(608));
    assert!(window.is_empty(609));
}

#[test]
fn a_gap_between_two_writes_is_counted_as_zeros() {
    assert_eq!(linear(6, &[(600, 6.0), (602, 6.0)]).average(602), 4.0);
}

#[test]
fn samples_of_one_second_add_up() {
    assert_eq!(linear(6, &[(600, 2.0), (600, 3.0)]).average(600), 5.0);
}

#[test]
fn a_late_sample_counts_and_one_that_left_the_window_does_not() {
    let window = linear(6, &[(605, 6.0), (603, 3.0), (599, 100.0)]);
    assert_eq!(window.average(605), 3.0);
}

#[test]
fn an_average_is_rounded_to_six_digits() {
    assert_eq!(linear(6, &[(0, 1.0), (1, 0.0), (2, 0.0)]).average(2), 0.333_333);
}

#[test]
fn newer_seconds_weigh_more() {
    let mut window = weighted(4, &[(100, 10.0), (101, 10.0), (102, 5.0), (103, 5.0)]);
    let c = window.coefficient();
    let expected = c * (5.0 + 5.0 * (1.0 - c) + 10.0 * (1.0 - c).powi(2) + 10.0 * (1.0 - c).powi(3));
    assert!((window.average(103) - expected).abs() < 1e-12);
    window.record(104, 0.0);
    assert!(window.average(104) < expected);
}

#[test]
fn a_fresh_weighted_window_is_biased_towards_zero() {
    assert!((weighted(60, &[(100, 10.0)]).average(100) - 2.0).abs() < 1e-9);
    assert!((weighted(6, &[(100, 10.0)]).average(100) - 7.845_57).abs() < 1e-4);
}

#[test]
fn silence_takes_weight_from_a_weighted_window() {
    let window = weighted(60, &[(100, 10.0)]);
    assert!((window.average(102) - 2.0 * 0.64).abs() < 1e-9);
    assert_eq!(window.average(160), 0.0);
    assert_eq!(window.average(161), 0.0);
}

#[test]
fn a_longer_window_keeps_its_seconds_and_a_shorter_one_the_newest() {
    let mut window = linear(4, &[(100, 1.0), (101, 2.0), (102, 3.0), (103, 6.0)]);
    window.resize(Duration::from_secs(10), 103);
    assert_eq!(window.average(103), 3.0);
    window.record(104, 3.0);
    assert_eq!(window.average(104), 3.0);
    window.resize(Duration::from_secs(2), 104);
    assert_eq!(window.average(104), 4.5);
}

#[test]
fn an_empty_window_is_emptied_when_it_is_resized() {
    let mut window = linear(4, &[(100, 1.0)]);
    window.resize(Duration::from_secs(6), 105);
    assert!(window.is_empty(100));
}

#[test]
fn a_window_has_at_least_one_second() {
    let mut window = linear(0, &[(100, 7.0)]);
    assert_eq!(window.average(100), 7.0);
    window.record(101, 1.0);
    assert_eq!(window.average(101), 1.0);
}

fn writes() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let step = (-3i64..9, 0u32..100_000).prop_map(|(step, value)| (step, f64::from(value) / 64.0));
    prop::collection::vec(step, 1..80).prop_map(|steps| {
        let mut second = 1_700_000_000;
        let absolute = steps.into_iter().map(|(step, value)| {
            second += step;
            (second, value)
        });
        absolute.collect()
    })
}

/// The mean as it is defined, over everything ever written.
fn model(length: i64, writes: &[(i64, f64)], now: i64) -> f64 {
    let mut kept: BTreeMap<i64, f64> = BTreeMap::new();
    let mut span: Option<(i64, i64)> = None;
    for (second, value) in writes {
        let (first, last) = span.unwrap_or((*second, *second));
        if last - second >= length {
            continue;
        }
        if second - last >= length {
            kept.clear();
            span = Some((*second, *second));
        } else {
            span = Some((first.min(*second), last.max(*second)));
        }
        *kept.entry(*second).or_default() += value;
    }
    let Some((first, last)) = span else { return 0.0 };
    let now = now.max(last);
    if now - last >= length {
        return 0.0;
    }
    let sum: f64 = kept.range(now - length + 1..=last).map(|(_, value)| value).sum();
    sum / (last - first + 1).min(length - (now - last)) as f64
}

proptest! {
    #[test]
    fn the_running_total_is_the_sum(writes in writes(), length in 1i64..20, silence in 0i64..25) {
        let window = linear(length as u64, &writes);
        let now = window.written.unwrap().last + silence;
        prop_assert!((window.average(now) - model(length, &writes, now)).abs() < 1e-5);
    }

    #[test]
    fn an_average_lies_between_zero_and_the_most_of_a_second(writes in writes(), length in 1u64..20, silence in 0i64..25) {
        let mut seconds: BTreeMap<i64, f64> = BTreeMap::new();
        for (second, value) in &writes {
            *seconds.entry(*second).or_default() += value;
        }
        let most = seconds.values().copied().fold(0.0, f64::max);
        for algorithm in [Algorithm::Linear, Algorithm::WeightedExponential] {
            let window = window(length, algorithm, &writes);
            let average = window.average(window.written.unwrap().last + silence);
            prop_assert!((-1e-6..=most + 1e-6).contains(&average), "{average} of {most}");
        }
    }

    #[test]
    fn what_would_be_is_what_is_once_it_was_recorded(writes in writes(), length in 1u64..20, silence in 0i64..25, more in 0u32..10_000) {
        for algorithm in [Algorithm::Linear, Algorithm::WeightedExponential] {
            let mut window = window(length, algorithm, &writes);
            let now = window.written.unwrap().last + silence;
            let has = if silence == 0 { window.bucket(now) } else { 0.0 };
            let preview = window.average_with(now, has + f64::from(more));
            window.record(now, f64::from(more));
            prop_assert!((preview - window.average(now)).abs() < 2e-6);
        }
    }

    #[test]
    fn resizing_keeps_the_newest_seconds(writes in writes(), length in 1u64..20, resized in 1u64..20) {
        let before = linear(length, &writes);
        let mut after = before.clone();
        let last = before.written.unwrap().last;
        after.resize(Duration::from_secs(resized), last);
        for age in 0..length.min(resized) as i64 {
            prop_assert_eq!(before.bucket(last - age), after.bucket(last - age));
        }
        let sum: f64 = after.buckets.iter().sum();
        prop_assert!((after.total - sum).abs() < 1e-6);
    }

    #[test]
    fn no_second_makes_it_panic(first: i64, second: i64, now: i64) {
        let mut window = linear(5, &[(first, 1.0), (second, 2.0)]);
        let _ = (window.average(now), window.average_with(now, 3.0), window.is_empty(now));
        window.resize(Duration::from_secs(9), now);
    }
}
