// SPDX-License-Identifier: Apache-2.0
//! What the simulator assumes about pods and requests.
//!
//! Depends on: limiter (its bounds).

use crate::limiter::Settings;
use std::time::Duration;

/// The most pods a simulated revision has; a wrong target must not take all memory.
pub const MOST_PODS: u32 = 10_000;
/// The most requests, running and waiting, at a time.
pub const MOST_PRESENT: usize = 1 << 20;

/// Pods, queue and requests of a simulated revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// `start-up`: from the decision to a pod that takes requests.
    pub start_up: Duration,
    /// `capacity`: requests a pod runs at once (`containerConcurrency`); 0: any number.
    pub capacity: u32,
    /// `queue`: requests that may wait; one more is refused.
    pub queue: u32,
    /// `pods`: ready pods at the start; absent: the initial scale.
    pub pods: Option<u32>,
    /// `events`: whether a burst is looked at between ticks; without, all is as in Knative.
    pub events: bool,
    /// `duration`: how long a request lasts where the trace does not say.
    pub duration: Duration,
    /// `tail`: how long to go on after the last request.
    pub tail: Duration,
    /// `seed`: of the choice between pods of any concurrency.
    pub seed: u64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            start_up: Duration::from_secs(2),
            capacity: 0,
            queue: Settings::DEPTH,
            pods: None,
            events: true,
            duration: Duration::from_secs(1),
            tail: Duration::from_secs(120),
            seed: 0,
        }
    }
}
