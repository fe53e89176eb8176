// SPDX-License-Identifier: Apache-2.0
//! What one pod should carry, and what it can (data-plane spec 1.6).
//!
//! Depends on: config, spec.

use crate::kpa::config::{Annotations, Config};
use crate::kpa::spec::Metric;

/// The least that a pod may be asked to carry.
const LEAST_TARGET: f64 = 0.01;
/// Utilisation of the rps metric; no key sets it.
const RPS_UTILISATION: f64 = 0.7;

/// What one pod should carry, and what it can.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// What it should carry: the part of `total` that is used.
    pub value: f64,
    /// What it can carry.
    pub total: f64,
}

impl Target {
    /// The target of a revision with that `containerConcurrency` (0: no limit).
    pub fn of(annotations: &Annotations, container_concurrency: i64, config: &Config) -> Self {
        let limit = (container_concurrency != 0).then_some(container_concurrency as f64);
        let (default_total, utilisation) = match annotations.metric.unwrap_or_default() {
            Metric::Concurrency => (
                limit.unwrap_or(config.container_concurrency_target_default),
                config.container_concurrency_target,
            ),
            Metric::Rps => (config.requests_per_second_target_default, RPS_UTILISATION),
        };
        let total = match (annotations.target, annotations.metric.unwrap_or_default(), limit) {
            (None, _, _) => default_total,
            (Some(target), Metric::Concurrency, Some(limit)) => target.min(limit),
            (Some(target), _, _) => target,
        };
        let utilisation = annotations
            .target_utilization_percentage
            .map_or(utilisation, |percentage| percentage / 100.0);
        Self {
            value: (total * utilisation).max(LEAST_TARGET),
            total,
        }
    }
}
