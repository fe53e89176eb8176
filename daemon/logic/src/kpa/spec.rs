// SPDX-License-Identifier: Apache-2.0
//! What one revision is scaled by: the numbers a decider works with (data-plane spec 1.9).
//!
//! Invariants: plain values; `derive` makes them from annotations and config-autoscaler.
//! Depends on: nothing.

use std::time::Duration;

/// What is measured and held at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Metric {
    /// Requests in flight.
    #[default]
    Concurrency,
    /// Requests begun a second.
    Rps,
}

/// How a window becomes one number (data-plane spec 1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Algorithm {
    /// The mean of the seconds.
    #[default]
    Linear,
    /// Newer seconds weigh more.
    WeightedExponential,
}

/// The settings of one decider.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// A tick asks for at most this many times the ready pods.
    pub max_scale_up_rate: f64,
    /// A tick asks for at least the ready pods divided by this.
    pub max_scale_down_rate: f64,
    /// What `target_value` and `total_value` are in.
    pub metric: Metric,
    /// What one pod should carry; at least 0.01.
    pub target_value: f64,
    /// What one pod can carry.
    pub total_value: f64,
    /// Spare capacity below which requests go through the activator; 0: never, −1: always.
    pub target_burst_capacity: f64,
    /// Requests in flight that one activator can hold.
    pub activator_capacity: f64,
    /// Panic begins when the panic window asks for this many times the ready pods.
    pub panic_threshold: f64,
    /// Whole seconds that the stable average looks back, and that panic lasts.
    pub stable_window: Duration,
    /// Whole seconds that the panic average looks back.
    pub panic_window: Duration,
    /// How long a smaller number must stand before it counts; zero: at once.
    pub scale_down_delay: Duration,
    /// Pods a new revision begins with.
    pub initial_scale: i32,
    /// The fewest pods while there is load; 0 and 1: no such floor.
    pub activation_scale: i32,
    /// Whether a route can lead to it; an unreachable revision shrinks at once.
    pub reachable: bool,
    /// How windows are averaged.
    pub algorithm: Algorithm,
}

impl Default for Spec {
    /// Knative's defaults for a revision without annotations (data-plane spec 6, config-autoscaler).
    fn default() -> Self {
        Self {
            max_scale_up_rate: 1000.0,
            max_scale_down_rate: 2.0,
            metric: Metric::Concurrency,
            target_value: 70.0,
            total_value: 100.0,
            target_burst_capacity: 211.0,
            activator_capacity: 100.0,
            panic_threshold: 2.0,
            stable_window: Duration::from_secs(60),
            panic_window: Duration::from_secs(6),
            scale_down_delay: Duration::ZERO,
            initial_scale: 1,
            activation_scale: 0,
            reachable: true,
            algorithm: Algorithm::Linear,
        }
    }
}
