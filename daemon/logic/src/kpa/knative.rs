// SPDX-License-Identifier: Apache-2.0
//! Knative's autoscaler behind the seam: its windows and its decider.
//!
//! Mechanism: of a sample, the metric that is scaled by goes into the windows.
//! Invariants: a change of the metric empties the windows, since values of two kinds cannot be averaged.
//! Depends on: autoscaler, decider, moment, spec, windows.

use crate::kpa::autoscaler::{Autoscaler, Sample};
use crate::kpa::decider::{Decider, Decision};
use crate::kpa::moment::Moment;
use crate::kpa::spec::{Metric, Spec};
use crate::kpa::windows::{Averages, SampleError, Windows};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Knative's autoscaler of one revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Kpa {
    windows: Windows,
    decider: Decider,
}

impl Kpa {
    /// One that has seen nothing yet of a revision with `ready` pods.
    pub fn new(spec: Spec, now: Moment, ready: u32) -> Self {
        Self {
            windows: Windows::of(&spec),
            decider: Decider::new(spec, now, ready),
        }
    }

    /// What it scales by.
    pub fn spec(&self) -> &Spec {
        self.decider.spec()
    }

    /// Whether it lives through a burst.
    pub fn is_panicking(&self) -> bool {
        self.decider.is_panicking()
    }

    /// What the windows say; `None` without data. A revision that always has the activator in its path (target burst
    /// capacity −1) is not scraped in Knative: there silence is a load of zero (data-plane spec 1.5).
    pub fn averages(&self, now: Moment) -> Option<Averages> {
        let averages = self.windows.averages(now);
        match self.spec().target_burst_capacity == -1.0 {
            true => Some(averages.unwrap_or_default()),
            false => averages,
        }
    }

    fn value(&self, sample: Sample) -> f64 {
        match self.spec().metric {
            Metric::Concurrency => sample.concurrency,
            Metric::Rps => sample.rps,
        }
    }
}

impl Autoscaler for Kpa {
    fn record(&mut self, at: Moment, sample: Sample) -> Result<(), SampleError> {
        self.windows.record(at, self.value(sample))
    }

    /// What was recorded stays, panic and the scale-down delay go on. Every setting counts from the next tick on (in Knative
    /// some wait for a restart: decision 0009).
    fn update(&mut self, spec: Spec, now: Moment) {
        if spec.metric == self.spec().metric {
            self.windows.update(&spec, now);
        } else {
            self.windows = Windows::of(&spec);
        }
        self.decider.update(spec);
    }

    fn tick(&mut self, now: Moment, ready: u32) -> Option<Decision> {
        let averages = self.averages(now);
        self.decider.evaluate(now, ready, averages)
    }

    fn preview(&self, now: Moment, ready: u32, live: Sample) -> Option<Decision> {
        // The second that runs is recorded at its end.
        let averages = self.windows.averages_with(now.plus(SECOND), self.value(live))?;
        Some(self.decider.preview(now, ready, averages))
    }
}

#[cfg(test)]
mod tests;
