// SPDX-License-Identifier: Apache-2.0
//! The autoscalers of all revisions of the KPA class that this process owns.
//!
//! Problem: every revision wants a decision every two seconds, and one at once when its load jumps, at whatever number of
//! revisions.
//! Mechanism: one table of runners (`logic::kpa`). [`Scaler::pass`], once a second, reads what the data plane counted and
//! ticks whose turn it is; [`Scaler::burst`] previews the next tick. Both name the revisions about which something has
//! to be done; whoever does it asks [`Scaler::decision`].
//! Invariants: `now` is an argument; nothing waits within; a revision that is not followed is not decided about.
//! Depends on: key, live, logic::kpa, life::metrics.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use life::metrics::{Family, Page, Source, names};
use logic::kpa::autoscaler::Sample;
use logic::kpa::runner::TICK;
use logic::kpa::{Decision, Meter, Metric, Moment, PodCounts, Reading, Runner, Spec, Wake};

use crate::key::Key;
use crate::live::{Live, Load};

/// How often what was counted is read.
pub const PASS: std::time::Duration = std::time::Duration::from_secs(1);

/// What is followed of a revision.
#[derive(Clone, Debug, PartialEq)]
pub struct Followed {
    /// By what it is scaled.
    pub spec: Spec,
    /// Its pods.
    pub pods: PodCounts,
    /// The Service it belongs to, or empty.
    pub service: Box<str>,
    /// The Configuration it belongs to.
    pub configuration: Box<str>,
}

/// So many in flight that a panic would begin if they stayed: worth a look before the next tick.
fn burst(followed: &Followed) -> u64 {
    let spec = &followed.spec;
    let carried = match spec.metric {
        Metric::Concurrency => spec.target_value * f64::from(followed.pods.ready),
        // A rate does not show in one moment, but without a pod every request matters.
        Metric::Rps => return u64::from(followed.pods.ready == 0),
    };
    // Saturates, as a cast does.
    ((carried * spec.panic_threshold).ceil() as u64).max(1)
}

/// The autoscalers of all revisions.
pub struct Scaler {
    live: Arc<dyn Live>,
    revisions: Mutex<BTreeMap<Key, Scaled>>,
}

struct Scaled {
    followed: Followed,
    runner: Runner,
    meter: Meter,
    /// The reading that the meter had last.
    last: Option<Reading>,
    /// Requests that were held then.
    held: u64,
    /// Requests that were held once and never came to a pod.
    given_up: u64,
    due: Moment,
    /// Pods that were asked for last; none before that.
    requested: Option<i32>,
}

impl Scaler {
    /// One that follows nothing yet.
    #[must_use]
    pub fn new(live: Arc<dyn Live>) -> Self {
        Self {
            live,
            revisions: Mutex::default(),
        }
    }

    /// Follows a revision from now on, or goes on with these settings and pods; what is decided at present.
    pub fn follow(&self, revision: &Key, followed: Followed, now: Moment) -> Decision {
        self.live.expect(revision, burst(&followed));
        let mut revisions = self.revisions();
        if let Some(scaled) = revisions.get_mut(revision) {
            if scaled.followed.spec != followed.spec {
                scaled.runner.update(followed.spec.clone(), now);
            }
            scaled.followed = followed;
            return scaled.runner.status();
        }
        let runner = Runner::new(followed.spec.clone(), now, followed.pods.ready);
        let decision = runner.status();
        let mut scaled = Scaled {
            followed,
            runner,
            meter: Meter::new(),
            last: None,
            held: 0,
            given_up: 0,
            due: now.plus(TICK),
            requested: None,
        };
        // The first reading only says from where to count.
        if let Some(load) = self.live.load(revision) {
            scaled.read(load);
        }
        revisions.insert(revision.clone(), scaled);
        decision
    }

    /// Forgets a revision.
    pub fn forget(&self, revision: &Key) {
        self.revisions().remove(revision);
    }

    /// What is decided about a revision; none while it is not followed.
    #[must_use]
    pub fn decision(&self, revision: &Key) -> Option<Decision> {
        Some(self.revisions().get(revision)?.runner.status())
    }

    /// Whether the data plane counts the requests of a revision.
    #[must_use]
    pub fn is_measured(&self, revision: &Key) -> bool {
        self.live.load(revision).is_some()
    }

    /// Notes how many pods were asked for.
    pub fn requested(&self, revision: &Key, pods: i32) {
        if let Some(scaled) = self.revisions().get_mut(revision) {
            scaled.requested = Some(pods);
        }
    }

    /// Reads all counters and ticks whose turn it is; about whom something changed.
    pub fn pass(&self, now: Moment) -> Vec<Key> {
        let mut woken = Vec::new();
        for (revision, scaled) in self.revisions().iter_mut() {
            let load = self.live.load(revision);
            if scaled.pass(load, now) == Wake::Yes {
                woken.push(revision.clone());
            }
        }
        woken
    }

    /// The load of a revision jumped; whether something changed by that.
    pub fn burst(&self, revision: &Key, now: Moment) -> bool {
        let Some(load) = self.live.load(revision) else {
            return false;
        };
        let mut revisions = self.revisions();
        let Some(scaled) = revisions.get_mut(revision) else {
            return false;
        };
        scaled.burst(load, now) == Wake::Yes
    }

    fn revisions(&self) -> MutexGuard<'_, BTreeMap<Key, Scaled>> {
        self.revisions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scaled {
    fn pass(&mut self, load: Option<Load>, now: Moment) -> Wake {
        let seen = load.map_or(0.0, |load| self.read(load));
        let ready = self.followed.pods.ready;
        if now < self.due {
            return self.runner.poke(now, ready, seen);
        }
        while self.due <= now {
            self.due = self.due.plus(TICK);
        }
        self.runner.tick(now, ready)
    }

    /// Records the seconds that a reading completes; the concurrency of the last of them.
    fn read(&mut self, load: Load) -> f64 {
        let reading = self.arrived(load);
        let longest = self.followed.spec.stable_window.as_secs();
        let window = u32::try_from(longest).unwrap_or(u32::MAX);
        self.last = Some(reading);
        // A reading that gives nothing is where counting goes on from.
        let Ok(seconds) = self.meter.read(reading) else {
            return 0.0;
        };
        let mut last = 0.0;
        for (at, sample) in seconds.newest(window) {
            last = sample.concurrency;
            // Counters of 64 bits over a second make no sample that would be refused.
            let _ = self.runner.record(at, sample);
        }
        last
    }

    /// A request has begun when it arrives: one that is held for want of a pod must show in the rate that asks for pods.
    fn arrived(&mut self, load: Load) -> Reading {
        let mut started = self.started(load);
        let fallen = self.last.map_or(0, |last| last.started.saturating_sub(started));
        // More than were held: the source has begun anew, which is the meter's business.
        if fallen <= self.held {
            self.given_up += fallen;
            started += fallen;
        }
        self.held = load.held;
        Reading {
            started,
            ..load.reading
        }
    }

    fn started(&self, load: Load) -> u64 {
        let begun = load.reading.started.saturating_add(load.held);
        begun.saturating_add(self.given_up)
    }

    fn burst(&mut self, load: Load, now: Moment) -> Wake {
        let started = self.started(load);
        let begun = self.last.map_or(0, |last| started.saturating_sub(last.started));
        let live = Sample {
            concurrency: load.in_flight as f64,
            // Since the last pass, which is less than a second ago.
            rps: begun as f64,
        };
        self.runner.event(now, self.followed.pods.ready, live)
    }
}

impl Source for Scaler {
    fn write(&self, page: &mut Page) {
        for (revision, scaled) in self.revisions().iter() {
            write(page, revision, scaled);
        }
    }
}

fn write(page: &mut Page, revision: &Key, scaled: &Scaled) {
    let followed = &scaled.followed;
    let labels = [
        revision.namespace.as_str(),
        &followed.service,
        &followed.configuration,
        &revision.name,
    ];
    let mut gauge = |family: &Family, value: f64| page.sample(family, &labels, value);
    let decision = scaled.runner.status();
    let kpa = scaled.runner.autoscaler();
    gauge(&names::PODS_DESIRED, decision.desired.into());
    gauge(&names::EXCESS_CAPACITY, decision.excess_burst_capacity.into());
    gauge(&names::PANIC_MODE, f64::from(u8::from(kpa.is_panicking())));
    if let Some(requested) = scaled.requested {
        gauge(&names::PODS_REQUESTED, requested.into());
    }
    gauge(&names::PODS_READY, followed.pods.ready.into());
    gauge(&names::PODS_NOT_READY, followed.pods.not_ready.into());
    gauge(&names::PODS_PENDING, followed.pods.pending.into());
    gauge(&names::PODS_TERMINATING, followed.pods.terminating.into());
    let [stable, panic, target] = match followed.spec.metric {
        Metric::Concurrency => [
            &names::CONCURRENCY_STABLE,
            &names::CONCURRENCY_PANIC,
            &names::CONCURRENCY_TARGET,
        ],
        Metric::Rps => [&names::RPS_STABLE, &names::RPS_PANIC, &names::RPS_TARGET],
    };
    gauge(target, followed.spec.target_value);
    // The second that runs is not complete: the averages are those of the last pass.
    let averages = scaled.last.and_then(|reading| kpa.averages(reading.at));
    if let Some(averages) = averages {
        gauge(stable, averages.stable);
        gauge(panic, averages.panic);
    }
}
