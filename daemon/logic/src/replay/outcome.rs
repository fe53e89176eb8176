// SPDX-License-Identifier: Apache-2.0
//! What a simulation comes to.
//!
//! Depends on: timeline, waits.

use super::timeline::Point;
use super::waits::Waits;
use std::time::Duration;

/// The sums of one simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Requests that came.
    pub requests: u64,
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that found the queue full.
    pub refused: u64,
    /// Requests that ran at the end.
    pub running: u64,
    /// Requests that waited at the end.
    pub waiting: u64,
    /// Time that requests waited for a pod, of all that got one; 0 for those that got one at once.
    pub waits: Waits,
    /// Times that a request came when no pod was ready.
    pub cold_starts: u64,
    /// Requests that came when no pod was ready.
    pub cold_requests: u64,
    /// Pods, integrated over time, from their making until they are gone.
    pub pod_seconds: f64,
    /// The most pods that were ready.
    pub most_ready: u32,
    /// Seconds in panic.
    pub panic_seconds: u64,
    /// What happened when.
    pub points: Vec<Point>,
    /// How many seconds a point covers.
    pub width: u64,
    /// How long it played.
    pub time: Duration,
    /// Whether more pods were wanted than a simulation has.
    pub is_capped: bool,
}

impl Outcome {
    /// Pods, mean.
    pub fn mean_pods(&self) -> f64 {
        match self.time.as_secs_f64() {
            0.0 => 0.0,
            seconds => self.pod_seconds / seconds,
        }
    }
}
