// SPDX-License-Identifier: Apache-2.0
//! The stable and the panic window of one revision (data-plane spec 1.4, 1.5).
//!
//! Mechanism: every sample is added to both; samples of several sources for one second add up.
//! Invariants: a value that is no number or absurd is refused at the door, so no total is ever poisoned.
//! Depends on: moment, spec, window.

use crate::kpa::moment::Moment;
use crate::kpa::spec::{Algorithm, Spec};
use crate::kpa::window::Window;
use std::time::Duration;

/// The largest sample; larger ones would leave their rounding errors in a running total.
const LARGEST: f64 = 1e12;

/// A sample that no revision can have.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum SampleError {
    /// It is infinite or no number.
    #[error("a sample must be a finite number, not {0}")]
    NotFinite(f64),
    /// It is beyond 10¹².
    #[error("a sample must lie between -1e12 and 1e12, not at {0:e}")]
    TooLarge(f64),
}

/// Averages over the two windows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Averages {
    /// Over the stable window.
    pub stable: f64,
    /// Over the panic window.
    pub panic: f64,
}

/// What was measured of one revision, lately.
#[derive(Debug, Clone, PartialEq)]
pub struct Windows {
    stable: Window,
    panic: Window,
}

impl Windows {
    /// Empty windows.
    pub fn new(stable: Duration, panic: Duration, algorithm: Algorithm) -> Self {
        Self {
            stable: Window::new(stable, algorithm),
            panic: Window::new(panic, algorithm),
        }
    }

    /// Empty windows of these settings.
    pub fn of(spec: &Spec) -> Self {
        Self::new(spec.stable_window, spec.panic_window, spec.algorithm)
    }

    /// Adds a value to the second that `at` lies in.
    pub fn record(&mut self, at: Moment, value: f64) -> Result<(), SampleError> {
        admissible(value)?;
        self.stable.record(at.second(), value);
        self.panic.record(at.second(), value);
        Ok(())
    }

    /// The averages at `now`; `None` when nothing was recorded for longer than the stable window.
    pub fn averages(&self, now: Moment) -> Option<Averages> {
        let now = now.second();
        (!self.stable.is_empty(now)).then(|| Averages {
            stable: self.stable.average(now),
            panic: self.panic.average(now),
        })
    }

    /// The averages if the second of `now` had at least `value` in it; `None` if the value is refused.
    pub fn averages_with(&self, now: Moment, value: f64) -> Option<Averages> {
        let now = now.second();
        admissible(value).is_ok().then(|| Averages {
            stable: self.stable.average_with(now, value),
            panic: self.panic.average_with(now, value),
        })
    }

    /// Takes lengths and algorithm of these settings; what was recorded stays as far as it fits.
    pub fn update(&mut self, spec: &Spec, now: Moment) {
        for (window, length) in [
            (&mut self.stable, spec.stable_window),
            (&mut self.panic, spec.panic_window),
        ] {
            window.resize(length, now.second());
            window.average_by(spec.algorithm);
        }
    }
}

fn admissible(value: f64) -> Result<(), SampleError> {
    if !value.is_finite() {
        Err(SampleError::NotFinite(value))
    } else if value.abs() > LARGEST {
        Err(SampleError::TooLarge(value))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
