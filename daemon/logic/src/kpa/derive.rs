// SPDX-License-Identifier: Apache-2.0
//! From annotations and config-autoscaler to the settings of a decider (data-plane spec 1.5, 1.9).
//!
//! Invariants: an annotation wins over the ConfigMap; the rates and the activator's capacity are the operator's alone.
//! Depends on: config, reach, spec, target.

use crate::kpa::config::{Annotations, Config};
use crate::kpa::reach::Reachability;
use crate::kpa::spec::Spec;
use crate::kpa::target::Target;
use std::time::Duration;

impl Spec {
    /// The settings of a revision with that `containerConcurrency` (0: no limit).
    pub fn derive(
        annotations: &Annotations,
        container_concurrency: i64,
        reachability: Reachability,
        config: &Config,
    ) -> Self {
        let target = Target::of(annotations, container_concurrency, config);
        let threshold = annotations
            .panic_threshold_percentage
            .unwrap_or(config.panic_threshold_percentage);
        Self {
            max_scale_up_rate: config.max_scale_up_rate,
            max_scale_down_rate: config.max_scale_down_rate,
            metric: annotations.metric.unwrap_or_default(),
            target_value: target.value,
            total_value: target.total,
            target_burst_capacity: annotations
                .target_burst_capacity
                .unwrap_or(config.target_burst_capacity),
            activator_capacity: config.activator_capacity,
            panic_threshold: threshold / 100.0,
            stable_window: stable_window(annotations, config),
            panic_window: panic_window(annotations, config),
            scale_down_delay: annotations.scale_down_delay.unwrap_or(config.scale_down_delay),
            initial_scale: initial_scale(annotations, config),
            activation_scale: annotations.activation_scale.unwrap_or(0),
            reachable: reachability.is_reachable(),
            algorithm: annotations.algorithm.unwrap_or_default(),
        }
    }
}

/// How far the stable average looks back.
pub fn stable_window(annotations: &Annotations, config: &Config) -> Duration {
    annotations.window.unwrap_or(config.stable_window)
}

/// How far the panic average looks back: its part of the stable window, in whole seconds, at least one.
pub fn panic_window(annotations: &Annotations, config: &Config) -> Duration {
    let percentage = annotations
        .panic_window_percentage
        .unwrap_or(config.panic_window_percentage);
    let seconds = stable_window(annotations, config).as_secs_f64() * percentage / 100.0;
    // The conversion saturates, and makes zero of what is no number.
    Duration::from_secs((seconds.round() as u64).max(1))
}

/// Pods that a new revision begins with; zero only where the operator allows it.
pub fn initial_scale(annotations: &Annotations, config: &Config) -> i32 {
    match annotations.initial_scale {
        Some(0) if !config.allow_zero_initial_scale => config.initial_scale,
        Some(scale) => scale,
        None => config.initial_scale,
    }
}

#[cfg(test)]
mod tests;
