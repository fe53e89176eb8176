// SPDX-License-Identifier: Apache-2.0
//! One figure: what is required of it, and how it is measured once.
//!
//! Depends on: report, sample.

use crate::report::Target;
use crate::sample::Estimate;

/// A figure that must stay below a bound.
pub(crate) struct Figure {
    /// What it is called in the table.
    pub(crate) name: &'static str,
    /// What the bounds and the measurement are in.
    pub(crate) unit: &'static str,
    /// It must be below.
    pub(crate) required: f64,
    /// It should be below.
    pub(crate) aim: f64,
    once: Box<dyn FnMut() -> f64>,
    samples: Vec<f64>,
}

impl Figure {
    /// A figure measured by calling `once`.
    pub(crate) fn new(
        name: &'static str,
        unit: &'static str,
        (required, aim): (f64, f64),
        once: impl FnMut() -> f64 + 'static,
    ) -> Self {
        Self {
            name,
            unit,
            required,
            aim,
            once: Box::new(once),
            samples: Vec::new(),
        }
    }

    /// Measures once.
    pub(crate) fn measure(&mut self) {
        let sample = (self.once)();
        self.samples.push(sample);
    }

    /// The row of the table.
    pub(crate) fn target(self) -> Target {
        let estimate = Estimate::of(&self.samples);
        Target {
            name: self.name,
            required: format!("< {} {}", self.required, self.unit),
            aim: format!("< {} {}", self.aim, self.unit),
            measured: format!("{estimate:.1} {}", self.unit),
            is_met: estimate.median < self.required,
            is_aim_met: estimate.median < self.aim,
        }
    }
}
