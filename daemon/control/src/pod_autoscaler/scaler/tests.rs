// SPDX-License-Identifier: Apache-2.0
//! Against a data plane that says what it is told to.

use super::*;
use crate::live::{Bursts, LivePod};
use life::metrics::Registry;
use std::time::Duration;
use tokio::sync::watch;

/// The load of every revision.
#[derive(Default)]
struct Told(Mutex<Option<Load>>);

impl Live for Told {
    fn load(&self, _: &Key) -> Option<Load> {
        *self.0.lock().unwrap()
    }

    fn pods(&self, _: &Key) -> Vec<LivePod> {
        Vec::new()
    }

    fn is_held(&self, _: &Key) -> bool {
        true
    }

    fn programmed(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }

    fn bursts(&self) -> Bursts {
        Bursts::new()
    }
}

struct Rig {
    live: Arc<Told>,
    scaler: Arc<Scaler>,
    now: Moment,
    integral: u64,
    in_flight: u64,
}

const SECOND: u64 = 1_000_000_000;

impl Rig {
    fn new(followed: Followed) -> Self {
        let live = Arc::new(Told::default());
        let scaler = Arc::new(Scaler::new(live.clone()));
        let mut rig = Self {
            live,
            scaler,
            now: Moment::from_unix_seconds(1_000_000),
            integral: 0,
            in_flight: 0,
        };
        rig.tell();
        rig.scaler.follow(&key(), followed, rig.now);
        rig
    }

    fn tell(&mut self) {
        let reading = Reading {
            at: self.now,
            integral: self.integral,
            started: 0,
        };
        *self.live.0.lock().unwrap() = Some(Load {
            reading,
            in_flight: self.in_flight,
            held: 0,
        });
    }

    /// A second with so many requests in flight; whether the revision woke somebody.
    fn second(&mut self, in_flight: u64) -> bool {
        self.in_flight = in_flight;
        self.now = self.now.plus(Duration::from_secs(1));
        self.integral = self.integral.wrapping_add(in_flight * SECOND);
        self.tell();
        !self.scaler.pass(self.now).is_empty()
    }

    fn desired(&self) -> i32 {
        self.scaler.decision(&key()).unwrap().desired
    }
}

fn key() -> Key {
    Key::new("default", "hello-00001")
}

fn followed() -> Followed {
    Followed {
        spec: Spec {
            target_value: 10.0,
            total_value: 10.0,
            target_burst_capacity: 0.0,
            ..Spec::default()
        },
        pods: PodCounts {
            ready: 1,
            ..PodCounts::default()
        },
        service: "hello".into(),
        configuration: "hello".into(),
    }
}

#[test]
fn a_burst_is_decided_at_once_and_the_tick_agrees() {
    let mut rig = Rig::new(followed());
    for _ in 0..4 {
        rig.second(1);
    }
    assert_eq!(rig.desired(), 1);
    rig.in_flight = 500;
    rig.tell();
    assert!(rig.scaler.burst(&key(), rig.now), "it changed something");
    let at_once = rig.desired();
    assert!(at_once > 1, "{at_once}");
    assert!(!rig.scaler.burst(&key(), rig.now), "the same again changes nothing");
    for _ in 0..4 {
        rig.second(500);
    }
    assert!(rig.desired() >= at_once);
}

#[test]
fn load_for_a_revision_without_pods_does_not_wait_for_the_tick() {
    let mut rig = Rig::new(followed());
    rig.scaler.follow(
        &key(),
        Followed {
            pods: PodCounts::default(),
            ..followed()
        },
        rig.now,
    );
    while rig.desired() != 0 {
        rig.second(0);
    }
    // The tick has just been: the next second is not its turn.
    assert!(rig.second(3), "it pokes");
    assert_eq!(rig.desired(), 1);
}

#[test]
fn nobody_is_woken_while_nothing_changes() {
    let mut rig = Rig::new(followed());
    for _ in 0..4 {
        rig.second(5);
    }
    assert!((0..10).all(|_| !rig.second(5)));
}

#[test]
fn what_nobody_counts_is_not_decided_about() {
    let rig = Rig::new(followed());
    *rig.live.0.lock().unwrap() = None;
    let mut now = rig.now;
    for _ in 0..10 {
        now = now.plus(Duration::from_secs(1));
        assert!(rig.scaler.pass(now).is_empty());
    }
    assert_eq!(rig.desired(), -1);
    assert!(!rig.scaler.is_measured(&key()));
}

#[test]
fn the_page_has_knatives_figures_of_every_revision() {
    let mut rig = Rig::new(followed());
    for _ in 0..4 {
        rig.second(25);
    }
    rig.scaler.requested(&key(), 3);
    let registry = Registry::new();
    registry.add(&rig.scaler);
    let page = registry.page();
    let labels = "{k8s_namespace_name=\"default\",kn_service_name=\"hello\",kn_configuration_name=\"hello\",\
                  kn_revision_name=\"hello-00001\"}";
    for line in [
        "kn_revision_pods_desired{} 3",
        "kn_revision_pods_requested{} 3",
        "kn_revision_pods_count{} 1",
        "kn_revision_concurrency_stable{} 25",
        "kn_revision_concurrency_panic{} 25",
        "kn_revision_concurrency_target{} 10",
        "kn_revision_panic_mode{} 1",
    ] {
        let line = line.replace("{}", labels);
        assert!(page.contains(&line), "{line} is not in\n{page}");
    }
}
