// SPDX-License-Identifier: Apache-2.0
//! How many activators a revision asks for, and whether requests go through them (data-plane spec 1.12, 1.13).
//!
//! Depends on: decider, spec.

use crate::kpa::decider::Decision;
use crate::kpa::spec::Spec;

/// The fewest that a revision asks for.
pub const FEWEST: i32 = 2;

/// Where the public endpoints of a revision lead: `spec.mode` of its ServerlessService.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// To its pods.
    Serve,
    /// To activators.
    Proxy,
}

impl Mode {
    /// The mode that follows from the pods wanted and from what was decided.
    pub fn of(want: i32, decision: Decision) -> Self {
        match want > 0 && decision.excess_burst_capacity >= 0 {
            true => Self::Serve,
            false => Self::Proxy,
        }
    }
}

/// How many activators a revision with that many ready pods asks for.
pub fn count(ready: u32, spec: &Spec) -> i32 {
    if spec.target_burst_capacity == 0.0 {
        return FEWEST;
    }
    let cover = f64::from(ready) * spec.total_value + spec.target_burst_capacity.max(0.0);
    // The conversion saturates.
    ((cover / spec.activator_capacity).ceil() as i32).max(FEWEST)
}
