// SPDX-License-Identifier: Apache-2.0
//! Readings become samples, and nothing of the integral is lost.

use super::*;
use proptest::prelude::*;
use std::time::Duration;

fn at(milliseconds: u64) -> Moment {
    Moment::from_unix_seconds(1_700_000_000).plus(Duration::from_millis(milliseconds))
}

fn reading(milliseconds: u64, integral: u64, started: u64) -> Reading {
    Reading {
        at: at(milliseconds),
        integral,
        started,
    }
}

fn samples(meter: &mut Meter, reading: Reading) -> Vec<(Moment, Sample)> {
    meter.read(reading).unwrap().collect()
}

#[test]
fn a_reading_each_second_is_knatives_sample() {
    let mut meter = Meter::new();
    assert_eq!(samples(&mut meter, reading(0, 7, 3)), []);
    let sample = Sample {
        concurrency: 2.5,
        rps: 10.0,
    };
    assert_eq!(
        samples(&mut meter, reading(1000, 7 + 2_500_000_000, 13)),
        [(at(1000), sample)]
    );
}

#[test]
fn a_long_silence_of_the_reader_is_spread_over_its_seconds() {
    let mut meter = Meter::new();
    samples(&mut meter, reading(0, 0, 0));
    let found = samples(&mut meter, reading(3000, 6_000_000_000, 30));
    let values: Vec<_> = found
        .iter()
        .map(|(_, sample)| (sample.concurrency, sample.rps))
        .collect();
    assert_eq!(values, [(2.0, 10.0); 3]);
    assert_eq!(found.last().unwrap().0, at(3000));
}

#[test]
fn a_second_is_given_out_when_it_is_complete() {
    let mut meter = Meter::new();
    samples(&mut meter, reading(500, 0, 0));
    assert_eq!(samples(&mut meter, reading(750, 250_000_000, 1)), []);
    let found = samples(&mut meter, reading(1500, 250_000_000, 1));
    assert_eq!(found.len(), 1);
    assert!((found[0].1.concurrency - 0.25).abs() < 1e-9);
}

#[test]
fn counters_that_went_back_are_a_new_source() {
    let mut meter = Meter::new();
    samples(&mut meter, reading(0, 0, 100));
    assert_eq!(meter.read(reading(1000, 5, 3)), Err(ReadingError::WentBack));
    assert_eq!(meter.read(reading(1000, 5, 3)), Err(ReadingError::NotLater));
    assert_eq!(samples(&mut meter, reading(2000, 5 + 1_000_000_000, 3)).len(), 1);
}

#[test]
fn only_the_newest_seconds_are_given_out_when_so_asked() {
    let mut meter = Meter::new();
    samples(&mut meter, reading(0, 0, 0));
    let seconds = meter.read(reading(86_400_000, 86_400_000_000_000, 0)).unwrap();
    let found: Vec<_> = seconds.newest(60).collect();
    assert_eq!(found.len(), 60);
    assert_eq!(found.last().unwrap().0, at(86_400_000));
}

#[test]
fn a_wrapping_integral_is_no_step_back() {
    let mut meter = Meter::new();
    samples(&mut meter, reading(0, u64::MAX - 999_999_999, 0));
    assert_eq!(samples(&mut meter, reading(1000, 0, 0))[0].1.concurrency, 1.0);
}

proptest! {
    #[test]
    fn the_samples_and_what_is_carried_add_up_to_the_integral(steps in prop::collection::vec((1u64..5000, 0u64..50), 1..40), offset in 0u64..1000) {
        let mut meter = Meter::new();
        let (mut time, mut integral, mut sum, mut seconds) = (offset, 0u64, 0.0, Vec::new());
        samples(&mut meter, reading(time, integral, 0));
        for (milliseconds, in_flight) in steps {
            time += milliseconds;
            integral += milliseconds * 1_000_000 * in_flight;
            for (second, sample) in samples(&mut meter, reading(time, integral, 0)) {
                seconds.push(second);
                sum += sample.concurrency;
            }
        }
        let total = integral as f64 / SECOND;
        prop_assert!((sum + meter.carried.concurrency - total).abs() < 1e-6 * (1.0 + total));
        prop_assert!(seconds.windows(2).all(|pair| pair[1].since(pair[0]) == Duration::from_secs(1)));
    }
}
