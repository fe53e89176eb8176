// SPDX-License-Identifier: Apache-2.0
//! The seam: what is observed goes in, a number of pods comes out.
//!
//! Problem: another algorithm (a schedule, a forecast, a fixed utilisation) must be able to take the KPA's place without
//! anything around it changing.
//! Mechanism: four functions of data. `runner` calls them, publishes what they decide and wakes whoever applies it.
//! Invariants: `preview` changes nothing. An implementation is plain data: no clock, no I/O.
//! Depends on: decider, moment, spec, windows.

use crate::kpa::decider::Decision;
use crate::kpa::moment::Moment;
use crate::kpa::spec::Spec;
use crate::kpa::windows::SampleError;

/// What was measured of a revision over one second, or is true at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sample {
    /// Requests in flight in its pods and waiting for them (mean).
    pub concurrency: f64,
    /// Requests begun a second.
    pub rps: f64,
}

/// Decides how many pods one revision needs.
pub trait Autoscaler {
    /// Adds a sample to the second that `at` lies in; samples of several sources for one second add up.
    fn record(&mut self, at: Moment, sample: Sample) -> Result<(), SampleError>;

    /// Takes new settings, from the next tick on.
    fn update(&mut self, spec: Spec, now: Moment);

    /// One tick, every two seconds, with the number of ready pods; `None`: nothing to decide by. While the pods cannot be
    /// counted there is no tick.
    fn tick(&mut self, now: Moment, ready: u32) -> Option<Decision>;

    /// What a tick would decide if the load of this moment lasted to the end of its second.
    fn preview(&self, now: Moment, ready: u32, live: Sample) -> Option<Decision>;
}
