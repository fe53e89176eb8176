// SPDX-License-Identifier: Apache-2.0
//! From averages to a number of pods: Knative's algorithm (data-plane spec 1.7).
//!
//! Problem: follow the load, at once upwards in a burst, slowly downwards, and never down within a burst.
//! Mechanism: `judge` computes what follows from the averages and the state, and changes nothing; `evaluate` makes it the
//! state.
//! Invariants: in panic the number never falls; without averages nothing changes; conversions saturate.
//! Depends on: delay, moment, spec, windows.

use crate::kpa::delay::DelayWindow;
use crate::kpa::moment::Moment;
use crate::kpa::spec::Spec;
use crate::kpa::windows::Averages;

/// The number of pods when nobody knows what is wanted.
pub const UNKNOWN: i32 = -1;

/// What a tick asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Pods, before the bounds of the revision (1.10).
    pub desired: i32,
    /// Capacity beyond the burst to be absorbed; negative: requests go through the activator.
    pub excess_burst_capacity: i32,
}

/// A burst that is being lived through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Panic {
    /// When the load was last over the threshold.
    since: Moment,
    /// The most pods asked for in it.
    pods: i32,
}

/// The autoscaler's memory of one revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Decider {
    spec: Spec,
    panic: Option<Panic>,
    /// The pods that the first panic begins with: those there were at the beginning.
    first: i32,
    delay: Option<Box<DelayWindow>>,
}

/// What an evaluation would make of the state.
#[derive(Debug, Clone, Copy)]
struct Judgement {
    panic: Option<Panic>,
    desired: i32,
    excess_burst_capacity: i32,
}

impl Decider {
    /// A decider for a revision that has `ready` pods. With more than one it begins in panic: a restart of the autoscaler,
    /// which knows no load yet, must not shrink it.
    pub fn new(spec: Spec, now: Moment, ready: u32) -> Self {
        let first = i32::try_from(ready).unwrap_or(i32::MAX);
        let panic = (ready > 1).then_some(Panic {
            since: now,
            pods: first,
        });
        let delay = DelayWindow::new(spec.scale_down_delay).map(Box::new);
        Self {
            spec,
            panic,
            first,
            delay,
        }
    }

    /// What it scales by.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Replaces the settings; panic goes on, and what the delay window holds stays. Another delay counts from now on (Knative
    /// keeps the one of the decider's making: decision 0009).
    pub fn update(&mut self, spec: Spec) {
        if spec.scale_down_delay != self.spec.scale_down_delay {
            let resized = match self.delay.take() {
                Some(delay) => delay.resized(spec.scale_down_delay),
                None => DelayWindow::new(spec.scale_down_delay),
            };
            self.delay = resized.map(Box::new);
        }
        self.spec = spec;
    }

    /// Whether it lives through a burst.
    pub fn is_panicking(&self) -> bool {
        self.panic.is_some()
    }

    /// One tick. `averages` is what the windows say, `None` when they have no data: then there is no decision and nothing
    /// changes.
    pub fn evaluate(&mut self, now: Moment, ready: u32, averages: Option<Averages>) -> Option<Decision> {
        let judgement = self.judge(now, ready, averages?);
        if self.panic.is_some() {
            self.first = 0;
        }
        self.panic = judgement.panic;
        let delay = self.delay.as_mut().filter(|_| self.spec.reachable);
        let desired = delay.map_or(judgement.desired, |delay| delay.record(now, judgement.desired));
        Some(Decision {
            desired,
            excess_burst_capacity: judgement.excess_burst_capacity,
        })
    }

    /// What a tick would decide, the scale-down delay left out; changes nothing.
    pub fn preview(&self, now: Moment, ready: u32, averages: Averages) -> Decision {
        let judgement = self.judge(now, ready, averages);
        Decision {
            desired: judgement.desired,
            excess_burst_capacity: judgement.excess_burst_capacity,
        }
    }

    fn judge(&self, now: Moment, ready: u32, averages: Averages) -> Judgement {
        let spec = &self.spec;
        let pods = f64::from(ready.max(1));
        let wanted_stable = (averages.stable / spec.target_value).ceil();
        let wanted_panic = (averages.panic / spec.target_value).ceil();
        let is_over = wanted_panic / pods >= spec.panic_threshold;
        let stable = self.limited(wanted_stable, pods);

        let (panic, desired) = match self.panic_now(now, is_over) {
            None => (None, stable),
            Some(panic) => {
                let desired = stable.max(self.limited(wanted_panic, pods)).max(panic.pods);
                (Some(Panic { pods: desired, ..panic }), desired)
            }
        };
        Judgement {
            panic,
            desired,
            excess_burst_capacity: self.excess_burst_capacity(ready, averages.panic),
        }
    }

    /// Panic as it is now: begun, prolonged, going on, or over.
    fn panic_now(&self, now: Moment, is_over: bool) -> Option<Panic> {
        let held = self.panic.map_or(self.first, |panic| panic.pods);
        if is_over {
            return Some(Panic { since: now, pods: held });
        }
        self.panic
            .filter(|panic| panic.since.plus(self.spec.stable_window) >= now)
    }

    /// Within the rates of change from `pods`, then at least the activation scale.
    fn limited(&self, wanted: f64, pods: f64) -> i32 {
        let most = (self.spec.max_scale_up_rate * pods).ceil();
        let least = match self.spec.reachable {
            true => (pods / self.spec.max_scale_down_rate).floor(),
            false => 0.0,
        };
        // The upper bound wins when they contradict each other. The conversion saturates.
        let limited = wanted.max(least).min(most) as i32;
        match self.spec.activation_scale {
            scale if scale > 1 && wanted > 0.0 => limited.max(scale),
            _ => limited,
        }
    }

    fn excess_burst_capacity(&self, ready: u32, load: f64) -> i32 {
        let burst = self.spec.target_burst_capacity;
        if burst == 0.0 {
            0
        } else if burst > 0.0 {
            (f64::from(ready) * self.spec.total_value - burst - load).floor() as i32
        } else {
            -1
        }
    }
}

#[cfg(test)]
mod tests;
