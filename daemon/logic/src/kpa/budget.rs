// SPDX-License-Identifier: Apache-2.0
//! What a revision costs: bytes, and time a tick (design 6, T12).
//!
//! Depends on: autoscaler, moment, runner, spec.

use crate::kpa::autoscaler::Sample;
use crate::kpa::moment::Moment;
use crate::kpa::runner::{Runner, Wake};
use crate::kpa::spec::Spec;
use std::time::{Duration, Instant};

const REVISIONS: usize = 100_000;

#[test]
fn a_revision_takes_less_than_a_kibibyte_beyond_its_windows() {
    assert!(size_of::<Runner>() <= 320, "{}", size_of::<Runner>());
    let delay = (3600 / 2) * size_of::<(i64, i32)>();
    assert!(delay < 32 * 1024, "an hour of scale-down delay: {delay}");
}

/// Every revision, with a minute of load behind it.
fn revisions() -> Vec<Runner> {
    let start = Moment::from_unix_seconds(1_700_000_000);
    let mut runners: Vec<_> = (0..REVISIONS).map(|_| Runner::new(Spec::default(), start, 1)).collect();
    for second in 0..60 {
        let now = start.plus(Duration::from_secs(second));
        for (index, runner) in runners.iter_mut().enumerate() {
            let concurrency = (index % 97) as f64;
            runner.record(now, Sample { concurrency, rps: 0.0 }).unwrap();
        }
    }
    runners
}

#[test]
#[ignore = "measures: cargo test --release -p logic -- --ignored --nocapture a_tick_over"]
fn a_tick_over_100_000_revisions_is_within_t12() {
    let mut runners = revisions();
    let (mut samples, mut ticks) = (Vec::new(), Vec::new());
    for tick in 0..15 {
        let now = Moment::from_unix_seconds(1_700_000_060 + 2 * tick);
        let sample = Sample {
            concurrency: (tick * 31 % 400) as f64,
            rps: 0.0,
        };
        let begin = Instant::now();
        for runner in &mut runners {
            for second in 0..2 {
                runner.record(now.plus(Duration::from_secs(second)), sample).unwrap();
            }
        }
        samples.push(begin.elapsed());
        let begin = Instant::now();
        let woken = runners
            .iter_mut()
            .filter_map(|runner| (runner.tick(now.plus(Duration::from_secs(1)), 3) == Wake::Yes).then_some(()))
            .count();
        ticks.push(begin.elapsed());
        assert!(woken <= REVISIONS);
    }
    samples.sort();
    ticks.sort();
    let (samples, tick) = (samples[7], ticks[7]);
    println!("T12: one tick {tick:?}, the two samples a revision before it {samples:?} (median of 15)");
    assert!(tick < Duration::from_millis(150), "{tick:?}");
}
