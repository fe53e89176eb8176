// SPDX-License-Identifier: Apache-2.0
//! What the owner of a revision's autoscaling holds: the autoscaler and what it last decided (data-plane spec 1.8).
//!
//! Problem: the reconciler must hear of every decision that matters and of no other, and a burst must not wait for the tick.
//! Mechanism: `tick` and `poke` are Knative's. `event` is ours: it previews what the next tick would decide if the load of
//! this moment lasted, and holds the higher number until a tick has seen the second of the burst.
//! Invariants: an event never lowers the number of pods and never raises the excess burst capacity; it leaves the
//! autoscaler as it was, so every tick decides as if there had been none, and without events all is Knative's.
//! Depends on: autoscaler, decider, knative, moment, spec, windows.

use crate::kpa::autoscaler::{Autoscaler, Sample};
use crate::kpa::decider::{Decision, UNKNOWN};
use crate::kpa::knative::Kpa;
use crate::kpa::moment::Moment;
use crate::kpa::spec::Spec;
use crate::kpa::windows::SampleError;
use std::time::Duration;

/// Time between two ticks; the first comes that long after creation.
pub const TICK: Duration = Duration::from_secs(2);
/// How long an event's number is held: then a tick has seen the whole second of the burst.
const HELD: Duration = TICK;

/// Whether the reconciler of the PodAutoscaler has something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Wake {
    /// The number of pods or the sign of the excess burst capacity changed.
    Yes,
    /// Nothing that matters changed.
    No,
}

/// An autoscaler, and what it last decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Runner<A = Kpa> {
    autoscaler: A,
    status: Decision,
    raised: Option<Raised>,
}

/// What an event asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Raised {
    until: Moment,
    to: Decision,
}

impl Runner<Kpa> {
    /// A runner for a revision with `ready` pods.
    pub fn new(spec: Spec, now: Moment, ready: u32) -> Self {
        let excess_burst_capacity = initial_excess_burst_capacity(&spec);
        Self::with(Kpa::new(spec, now, ready), excess_burst_capacity)
    }
}

impl<A: Autoscaler> Runner<A> {
    /// A runner around any autoscaler, with the excess burst capacity to publish before it decided anything.
    pub fn with(autoscaler: A, excess_burst_capacity: i32) -> Self {
        Self {
            autoscaler,
            status: Decision {
                desired: UNKNOWN,
                excess_burst_capacity,
            },
            raised: None,
        }
    }

    /// The autoscaler.
    pub fn autoscaler(&self) -> &A {
        &self.autoscaler
    }

    /// What is decided; the number of pods is [`UNKNOWN`] before the first decision.
    pub fn status(&self) -> Decision {
        self.status
    }

    /// Adds a sample.
    pub fn record(&mut self, at: Moment, sample: Sample) -> Result<(), SampleError> {
        self.autoscaler.record(at, sample)
    }

    /// Takes new settings; what was decided stays until the next tick.
    pub fn update(&mut self, spec: Spec, now: Moment) {
        self.autoscaler.update(spec, now);
    }

    /// One tick.
    pub fn tick(&mut self, now: Moment, ready: u32) -> Wake {
        let Some(decision) = self.autoscaler.tick(now, ready) else {
            return Wake::No;
        };
        self.raised = self.raised.filter(|raised| now < raised.until);
        let raised = self.raised.map_or(decision, |raised| higher(decision, raised.to));
        self.publish(raised)
    }

    /// A report of load for a revision that was decided to have no pod: ticks at once. `concurrency` is the report's.
    pub fn poke(&mut self, now: Moment, ready: u32, concurrency: f64) -> Wake {
        match self.status.desired == 0 && concurrency != 0.0 {
            true => self.tick(now, ready),
            false => Wake::No,
        }
    }

    /// A burst between ticks: `live` is the load of this moment. A load that is not finite is no event.
    pub fn event(&mut self, now: Moment, ready: u32, live: Sample) -> Wake {
        let Some(preview) = self.autoscaler.preview(now, ready, live) else {
            return Wake::No;
        };
        let held = match self.status.desired {
            UNKNOWN => Decision {
                desired: i32::try_from(ready).unwrap_or(i32::MAX),
                ..self.status
            },
            _ => self.status,
        };
        let to = higher(held, preview);
        if to == self.status || to == held {
            return Wake::No;
        }
        self.raised = Some(Raised {
            until: now.plus(HELD),
            to,
        });
        self.publish(to)
    }

    fn publish(&mut self, decision: Decision) -> Wake {
        let before = std::mem::replace(&mut self.status, decision);
        let is_negative = |decision: Decision| decision.excess_burst_capacity < 0;
        match before.desired != decision.desired || is_negative(before) != is_negative(decision) {
            true => Wake::Yes,
            false => Wake::No,
        }
    }
}

/// More pods and less excess of the two.
fn higher(left: Decision, right: Decision) -> Decision {
    Decision {
        desired: left.desired.max(right.desired),
        excess_burst_capacity: left.excess_burst_capacity.min(right.excess_burst_capacity),
    }
}

/// The excess burst capacity of a revision that has its initial pods and no load.
fn initial_excess_burst_capacity(spec: &Spec) -> i32 {
    let burst = spec.target_burst_capacity;
    if burst == -1.0 || burst == 0.0 {
        return burst as i32;
    }
    (f64::from(spec.initial_scale) * spec.total_value - burst) as i32
}

#[cfg(test)]
mod tests;
