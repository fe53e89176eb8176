// SPDX-License-Identifier: Apache-2.0
//! How few and how many pods a revision may have (data-plane spec 1.10).
//!
//! Invariants: the minimum is tested first, so it wins where the two contradict each other.
//! Depends on: config, reach.

use crate::kpa::config::{Annotations, Config};
use crate::kpa::reach::Reachability;

/// How few and how many pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// At least so many.
    pub min: i32,
    /// At most so many; 0: no limit.
    pub max: i32,
}

impl Bounds {
    /// The bounds of a revision; an unreachable one has no minimum.
    pub fn of(annotations: &Annotations, reachability: Reachability, config: &Config) -> Self {
        let min = match reachability.is_reachable() {
            true => annotations.min_scale.unwrap_or(config.min_scale),
            false => 0,
        };
        Self {
            min,
            max: annotations.max_scale.unwrap_or(config.max_scale),
        }
    }

    /// With a minimum of at least `scale`.
    pub fn at_least(self, scale: i32) -> Self {
        Self {
            min: self.min.max(scale),
            ..self
        }
    }

    /// The nearest number of pods that is allowed.
    pub fn clamp(self, pods: i32) -> i32 {
        if pods < self.min {
            self.min
        } else if self.max != 0 && pods > self.max {
            self.max
        } else {
            pods
        }
    }
}
