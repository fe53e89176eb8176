// SPDX-License-Identifier: Apache-2.0
//! The closed loop: requests come, the limiter admits them, pods work, the autoscaler looks and scales.
//!
//! Problem: requests change the load, the load the pods, and the pods the waiting, in virtual time.
//! Mechanism: the next thing is the least of four times: a request ends (a heap), a pod is ready, the autoscaler looks again,
//! a second ends. A second becomes a sample by the real meter, every other one a tick; a load above what the pods
//! should carry is a burst event, at most one each tenth of a second.
//! Invariants: every request is answered, refused, running or waiting; time never goes back; the same trace and seed give
//! the same outcome.
//! Depends on: kpa (its meter), limiter, model, outcome, pods, scaler, settings, timeline, trace, waits.

use super::model::{MOST_PODS, MOST_PRESENT};
use super::outcome::Outcome;
use super::pods::Pods;
use super::scaler::Scaler;
use super::settings::Settings;
use super::timeline::{Point, Timeline};
use super::trace::requests::Arrival;
use super::waits::Waits;
use crate::kpa::autoscaler::Sample;
use crate::kpa::{Meter, Moment, Reading};
use crate::limiter::{self, Admission, Backends, Effect, Limiter, PodId, QueueBound, Ticket};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;
/// Bursts are looked at no more often than this, in nanoseconds.
const BURSTS: u64 = SECOND / 10;

/// More requests at a time than a simulation holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {MOST_PRESENT} requests at a time")]
pub struct Overload;

/// A request that runs or waits.
#[derive(Debug, Clone, Copy)]
struct Held {
    ticket: Ticket,
    arrived: u64,
    duration: u64,
}

/// Sums that run.
#[derive(Debug, Default)]
struct Sums {
    requests: u64,
    answered: u64,
    refused: u64,
    cold_starts: u64,
    cold_requests: u64,
    panic_seconds: u64,
    most_ready: u32,
    /// Pod-nanoseconds.
    pods: u128,
    /// Request-nanoseconds, running and waiting; wrapping, as the meter takes it.
    load: u64,
    /// Request-nanoseconds, waiting.
    waiting: u64,
    /// What some of them were when the second began.
    before: Before,
}

#[derive(Debug, Clone, Copy, Default)]
struct Before {
    requests: u64,
    cold_starts: u64,
    load: u64,
    waiting: u64,
}

/// One revision, played.
#[derive(Debug)]
pub struct Simulation {
    scaler: Scaler,
    limiter: Limiter,
    pods: Pods,
    start_up: u64,
    tail: u64,
    has_events: bool,
    /// What the limiter holds, by the ticket's index.
    held: Vec<Option<Held>>,
    /// When requests end, and their index.
    ends: BinaryHeap<Reverse<(u64, u32)>>,
    running: u64,
    waiting: u64,
    meter: Meter,
    begin: u64,
    now: u64,
    /// When the second ends.
    boundary: u64,
    /// The first thing that is no end of a request.
    horizon: u64,
    /// When the last request would end if none waited.
    last_end: u64,
    next_burst: u64,
    is_waking: bool,
    sums: Sums,
    waits: Waits,
    timeline: Timeline,
}

impl Simulation {
    /// A revision whose trace begins at `start`, in nanoseconds.
    pub fn new(settings: &Settings, start: u64) -> Self {
        let begin = start / SECOND * SECOND;
        let model = &settings.model;
        let pods = model.pods.unwrap_or_else(|| settings.initial_pods()).min(MOST_PODS);
        let bounds = limiter::Settings {
            queue: QueueBound::Waiting(model.queue),
            queue_bytes: u64::MAX,
            ..limiter::Settings::new(model.capacity)
        };
        let mut simulation = Self {
            scaler: Scaler::new(settings, begin, pods),
            limiter: Limiter::new(bounds, model.seed),
            pods: Pods::new(pods),
            start_up: nanoseconds(model.start_up),
            tail: nanoseconds(model.tail),
            has_events: model.events,
            held: Vec::new(),
            ends: BinaryHeap::new(),
            running: 0,
            waiting: 0,
            meter: Meter::new(),
            begin,
            now: begin,
            boundary: begin + SECOND,
            horizon: 0,
            last_end: begin,
            next_burst: 0,
            is_waking: false,
            sums: Sums::default(),
            waits: Waits::default(),
            timeline: Timeline::default(),
        };
        let _ = simulation.meter.read(simulation.reading());
        simulation.list_pods();
        simulation.look_ahead();
        simulation
    }

    /// A request comes; one that comes before the one before it comes with it.
    pub fn arrive(&mut self, arrival: Arrival) -> Result<(), Overload> {
        self.advance(arrival.start);
        if self.running + self.waiting >= MOST_PRESENT as u64 {
            return Err(Overload);
        }
        self.sums.requests += 1;
        self.last_end = self.last_end.max(self.now.saturating_add(arrival.duration));
        if self.pods.count_ready() == 0 {
            self.sums.cold_requests += 1;
            self.sums.cold_starts += u64::from(!std::mem::replace(&mut self.is_waking, true));
        }
        let held = |ticket| Held {
            ticket,
            arrived: self.now,
            duration: arrival.duration,
        };
        match self.limiter.arrive(0) {
            Admission::Start(ticket, _) => {
                let held = held(ticket);
                self.hold(held);
                self.run(held);
            }
            Admission::Wait(ticket) => {
                let held = held(ticket);
                self.hold(held);
                self.waiting += 1;
            }
            // No pod is another node's.
            Admission::Ask(ask) => {
                self.limiter.end(ask.ticket);
                self.sums.refused += 1;
            }
            Admission::Refused(_) => self.sums.refused += 1,
        }
        self.look_at_burst();
        Ok(())
    }

    /// The trace goes on at least until then, with requests or without.
    pub fn last_until(&mut self, end: u64) {
        self.last_end = self.last_end.max(end);
    }

    /// Plays to the end of the last request and the tail after it.
    pub fn finish(mut self) -> Outcome {
        let end = self.last_end.saturating_add(self.tail);
        self.advance(end.div_ceil(SECOND).saturating_mul(SECOND).max(self.boundary));
        let (points, width) = self.timeline.finish();
        Outcome {
            requests: self.sums.requests,
            answered: self.sums.answered,
            refused: self.sums.refused,
            running: self.running,
            waiting: self.waiting,
            waits: self.waits,
            cold_starts: self.sums.cold_starts,
            cold_requests: self.sums.cold_requests,
            pod_seconds: self.sums.pods as f64 / SECOND as f64,
            most_ready: self.sums.most_ready,
            panic_seconds: self.sums.panic_seconds,
            points,
            width,
            time: Duration::from_nanos(self.now - self.begin),
            is_capped: self.scaler.is_capped(),
        }
    }

    /// Does all that happens until then.
    fn advance(&mut self, until: u64) {
        loop {
            let end = self.ends.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
            if end.min(self.horizon) > until {
                break;
            }
            if end <= self.horizon {
                self.pass(end);
                self.end_one();
            } else {
                self.pass(self.horizon);
                self.happen();
            }
        }
        self.pass(until);
    }

    /// Time passes, and is counted.
    fn pass(&mut self, until: u64) {
        let time = until.saturating_sub(self.now);
        if time == 0 {
            return;
        }
        self.now = until;
        let sums = &mut self.sums;
        sums.pods += u128::from(time) * self.pods.count() as u128;
        sums.load = sums.load.wrapping_add(time.wrapping_mul(self.running + self.waiting));
        sums.waiting = sums.waiting.wrapping_add(time.wrapping_mul(self.waiting));
    }

    /// What the horizon stands for: pods become ready, the autoscaler looks again, a second ends.
    fn happen(&mut self) {
        let has_started = self.pods.next_ready().is_some_and(|at| at <= self.now) && self.pods.start(self.now);
        if has_started {
            self.is_waking = false;
            self.list_pods();
        }
        if has_started || self.scaler.look_at().is_some_and(|at| at <= self.now) {
            let wanted = self.scaler.reconcile(self.now, self.pods.count_ready());
            self.scale(wanted);
        }
        if self.boundary <= self.now {
            self.boundary += SECOND;
            self.end_second();
        }
        self.look_ahead();
    }

    fn end_second(&mut self) {
        let ready = self.pods.count_ready();
        let before = self.sums.before;
        let mean = |from: u64, to: u64| to.wrapping_sub(from) as f64 / SECOND as f64;
        let seconds = self.meter.read(self.reading());
        if let Some((_, sample)) = seconds.ok().and_then(|mut seconds| seconds.next()) {
            let wanted = self.scaler.second(self.now, ready, sample);
            self.scale(wanted);
        }
        let is_panicking = self.scaler.is_panicking();
        self.sums.panic_seconds += u64::from(is_panicking);
        self.timeline.push(Point {
            load: mean(before.load, self.sums.load),
            waiting: mean(before.waiting, self.sums.waiting),
            desired: f64::from(self.scaler.desired()),
            ready: f64::from(self.pods.count_ready()),
            starting: self.pods.count_starting() as f64,
            panic: is_panicking,
            cold_starts: u32::try_from(self.sums.cold_starts - before.cold_starts).unwrap_or(u32::MAX),
        });
        self.sums.before = Before {
            requests: self.sums.requests,
            cold_starts: self.sums.cold_starts,
            load: self.sums.load,
            waiting: self.sums.waiting,
        };
    }

    /// The counters, as the kernel would give them.
    fn reading(&self) -> Reading {
        Reading {
            at: Moment::from_unix(Duration::from_nanos(self.now)),
            integral: self.sums.load,
            started: self.sums.requests,
        }
    }

    /// A load above what the pods should carry does not wait for the tick.
    fn look_at_burst(&mut self) {
        if !self.has_events || self.now < self.next_burst {
            return;
        }
        let ready = self.pods.count_ready();
        let present = (self.running + self.waiting) as f64;
        let carried = self.scaler.spec().target_value * f64::from(self.scaler.desired().max(0));
        if present <= carried {
            return;
        }
        self.next_burst = self.now + BURSTS;
        let begun = self.sums.requests - self.sums.before.requests;
        let live = Sample {
            concurrency: present,
            rps: begun as f64,
        };
        let wanted = self.scaler.event(self.now, ready, live);
        self.scale(wanted);
        self.look_ahead();
    }

    fn scale(&mut self, wanted: u32) {
        if self.pods.scale(wanted, self.now.saturating_add(self.start_up)) {
            self.list_pods();
        }
    }

    /// Tells the limiter which pods take requests, and runs what waited for them.
    fn list_pods(&mut self) {
        self.sums.most_ready = self.sums.most_ready.max(self.pods.count_ready());
        self.limiter.set_backends(Backends::Pods(self.pods.ready()));
        self.forget_drained();
        self.run_waiting();
    }

    fn end_one(&mut self) {
        let Some(Reverse((_, index))) = self.ends.pop() else {
            return;
        };
        if let Some(held) = self.held.get_mut(index as usize).and_then(Option::take) {
            self.limiter.end(held.ticket);
            self.running -= 1;
            self.sums.answered += 1;
            self.run_waiting();
            if self.pods.are_draining() {
                self.forget_drained();
            }
        }
    }

    fn forget_drained(&mut self) {
        let limiter = &self.limiter;
        self.pods.retain_draining(|id: PodId| limiter.in_use(id) > 0);
    }

    fn run_waiting(&mut self) {
        while let Some(effect) = self.limiter.next_effect() {
            if let Effect::Start(ticket, _) = effect
                && let Some(held) = self.held.get(ticket.index()).copied().flatten()
            {
                self.waiting -= 1;
                self.run(held);
            }
        }
    }

    fn hold(&mut self, held: Held) {
        let index = held.ticket.index();
        if index >= self.held.len() {
            self.held.resize(index + 1, None);
        }
        if let Some(place) = self.held.get_mut(index) {
            *place = Some(held);
        }
    }

    fn run(&mut self, held: Held) {
        self.running += 1;
        self.waits.add(self.now - held.arrived);
        let end = self.now.saturating_add(held.duration);
        // The limiter holds fewer than 2^32.
        let index = u32::try_from(held.ticket.index()).unwrap_or(u32::MAX);
        self.ends.push(Reverse((end, index)));
    }

    fn look_ahead(&mut self) {
        let times = [self.pods.next_ready(), self.scaler.look_at(), Some(self.boundary)];
        self.horizon = times.into_iter().flatten().min().unwrap_or(self.boundary);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
