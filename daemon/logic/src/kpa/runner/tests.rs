// SPDX-License-Identifier: Apache-2.0
//! What is published, who is woken, and what an event may do.

use super::*;
use proptest::prelude::*;

fn at(milliseconds: u64) -> Moment {
    Moment::from_unix_seconds(1_700_000_000).plus(Duration::from_millis(milliseconds))
}

fn load(concurrency: f64) -> Sample {
    Sample { concurrency, rps: 0.0 }
}

fn runner(spec: Spec, ready: u32) -> Runner {
    Runner::new(spec, at(0), ready)
}

fn burst(target_burst_capacity: f64, initial_scale: i32) -> i32 {
    let spec = Spec {
        target_burst_capacity,
        initial_scale,
        ..Spec::default()
    };
    runner(spec, 0).status().excess_burst_capacity
}

#[test]
fn before_the_first_decision_the_initial_pods_count() {
    assert_eq!(runner(Spec::default(), 0).status().desired, UNKNOWN);
    assert_eq!(burst(211.0, 1), -111);
    assert_eq!(burst(211.0, 3), 89);
    assert_eq!(burst(-1.0, 3), -1);
    assert_eq!(burst(0.0, 3), 0);
}

#[test]
fn only_a_new_number_or_a_new_sign_wakes() {
    let mut runner = runner(Spec::default(), 0);
    assert_eq!(runner.tick(at(0), 0), Wake::No, "no data");
    runner.record(at(1000), load(10.0)).unwrap();
    assert_eq!(runner.tick(at(1000), 1), Wake::Yes);
    assert_eq!(
        runner.status(),
        Decision {
            desired: 1,
            excess_burst_capacity: -121
        }
    );
    runner.record(at(2000), load(30.0)).unwrap();
    assert_eq!(runner.tick(at(2000), 1), Wake::No);
    assert_eq!(runner.status().excess_burst_capacity, -131);
    assert_eq!(runner.tick(at(3000), 4), Wake::Yes, "the sign changed");
    assert!(runner.status().excess_burst_capacity >= 0);
}

#[test]
fn a_poke_counts_only_at_zero_pods() {
    let mut runner = runner(Spec::default(), 0);
    runner.record(at(1000), load(0.0)).unwrap();
    assert_eq!(runner.poke(at(1000), 0, 1.0), Wake::No, "nothing decided yet");
    let _ = runner.tick(at(2000), 0);
    assert_eq!(runner.status().desired, 0);
    runner.record(at(2500), load(1.0)).unwrap();
    assert_eq!(runner.poke(at(2500), 0, 0.0), Wake::No);
    assert_eq!(runner.poke(at(2500), 0, 1.0), Wake::Yes);
    assert_eq!(runner.status().desired, 1);
}

#[test]
fn an_event_asks_for_pods_at_once_and_holds_them_until_a_tick_saw_the_burst() {
    let mut runner = runner(Spec::default(), 0);
    runner.record(at(1000), load(0.0)).unwrap();
    let _ = runner.tick(at(2000), 0);
    assert_eq!(runner.event(at(2100), 0, load(500.0)), Wake::Yes);
    let asked = runner.status().desired;
    assert!(asked > 1, "{asked}");
    let _ = runner.tick(at(3000), 0);
    assert_eq!(runner.status().desired, asked, "held");
    let _ = runner.tick(at(4100), 0);
    assert_eq!(runner.status().desired, 0, "no sample confirmed it");
}

#[test]
fn an_event_on_a_revision_that_nobody_decided_yet_never_shrinks_it() {
    let mut runner = runner(Spec::default(), 12);
    let _ = runner.event(at(100), 12, load(100.0));
    assert!(runner.status().desired == UNKNOWN || runner.status().desired >= 12);
}

#[test]
fn a_load_that_is_no_number_is_no_event() {
    let mut runner = runner(Spec::default(), 0);
    assert_eq!(runner.event(at(0), 0, load(f64::NAN)), Wake::No);
}

#[derive(Debug, Clone)]
enum Happening {
    Sample(f64),
    Event(f64),
    Tick(u32),
}

fn happenings() -> impl Strategy<Value = Vec<(u64, Happening)>> {
    let what = prop_oneof![
        (0.0..3000.0).prop_map(Happening::Sample),
        (0.0..3000.0).prop_map(Happening::Event),
        (0u32..60).prop_map(Happening::Tick),
    ];
    prop::collection::vec((0u64..1500, what), 1..120)
}

proptest! {
    #[test]
    fn every_tick_decides_as_if_there_had_been_no_event(happenings in happenings(), delay in 0u64..30, ready in 0u32..9) {
        let spec = Spec { scale_down_delay: Duration::from_secs(delay), ..Spec::default() };
        let (mut with, mut without) = (runner(spec.clone(), ready), runner(spec, ready));
        let (mut time, mut last_event) = (0, None);
        for (step, happening) in happenings {
            time += step;
            match happening {
                Happening::Sample(value) => {
                    with.record(at(time), load(value)).unwrap();
                    without.record(at(time), load(value)).unwrap();
                }
                Happening::Event(value) => {
                    let before = with.status();
                    let _ = with.event(at(time), 3, load(value));
                    prop_assert!(with.status().desired >= before.desired);
                    prop_assert!(with.status().excess_burst_capacity <= before.excess_burst_capacity);
                    last_event = Some(time);
                }
                Happening::Tick(ready) => {
                    let _ = (with.tick(at(time), ready), without.tick(at(time), ready));
                    prop_assert_eq!(with.autoscaler(), without.autoscaler());
                    prop_assert!(without.status().desired == UNKNOWN || with.status().desired >= without.status().desired);
                    let is_held = last_event.is_some_and(|event| time < event + 2000);
                    if !is_held && without.status().desired != UNKNOWN {
                        prop_assert_eq!(with.status(), without.status());
                    }
                }
            }
        }
    }
}

/// Another autoscaler: half a pod for every request in flight, whatever was before.
struct FixedUtilisation {
    load: f64,
}

impl Autoscaler for FixedUtilisation {
    fn record(&mut self, _: Moment, sample: Sample) -> Result<(), SampleError> {
        self.load = sample.concurrency;
        Ok(())
    }

    fn update(&mut self, _: Spec, _: Moment) {}

    fn tick(&mut self, now: Moment, ready: u32) -> Option<Decision> {
        self.preview(now, ready, load(self.load))
    }

    fn preview(&self, _: Moment, _: u32, live: Sample) -> Option<Decision> {
        Some(Decision {
            desired: (live.concurrency / 2.0).ceil() as i32,
            excess_burst_capacity: 0,
        })
    }
}

#[test]
fn another_autoscaler_takes_the_same_place() {
    let mut runner = Runner::with(FixedUtilisation { load: 0.0 }, 0);
    runner.record(at(1000), load(7.0)).unwrap();
    assert_eq!(runner.tick(at(2000), 1), Wake::Yes);
    assert_eq!(runner.status().desired, 4);
    assert_eq!(runner.event(at(2100), 4, load(20.0)), Wake::Yes);
    assert_eq!(runner.status().desired, 10);
}
