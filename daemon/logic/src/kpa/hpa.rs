// SPDX-License-Identifier: Apache-2.0
//! The HPA class: Kubernetes scales, we only say by what (data-plane spec 1.15, control-plane spec 4.11).
//!
//! Mechanism: the HorizontalPodAutoscaler (autoscaling/v2) of a PodAutoscaler as data; `api` makes the object. Its name,
//! labels and annotations are the PodAutoscaler's, its target is `spec.scaleTargetRef`.
//! Invariants: no target, no metrics; conversions saturate.
//! Depends on: bounds, config, derive, reach.

use crate::kpa::bounds::Bounds;
use crate::kpa::config::{Annotations, Config};
use crate::kpa::derive;
use crate::kpa::reach::Reachability;

/// The message of the condition while the ServerlessService is not ready.
pub const SERVICES_NOT_READY: &str = "SKS Services are not ready yet";

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Resource `cpu`: average utilisation in percent.
    Cpu(i32),
    /// Resource `memory`: average value in bytes.
    Memory(i64),
    /// Pods metric of that name: average value.
    Pods(String, i64),
}

/// The parts of a HorizontalPodAutoscaler that are decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hpa {
    /// `spec.minReplicas`.
    pub min_replicas: Option<i32>,
    /// `spec.maxReplicas`.
    pub max_replicas: i32,
    /// The one entry of `spec.metrics`, if any.
    pub metric: Option<Source>,
    /// `stabilizationWindowSeconds` of both directions of `spec.behavior`.
    pub stabilization_seconds: Option<i32>,
}

impl Hpa {
    /// The HorizontalPodAutoscaler of a revision; `metric` is its annotation `metric` (defaulted to `cpu`).
    pub fn of(annotations: &Annotations, metric: &str, reachability: Reachability, config: &Config) -> Self {
        let bounds = Bounds::of(annotations, reachability, config);
        Self {
            min_replicas: (bounds.min > 0).then_some(bounds.min),
            max_replicas: if bounds.max == 0 { i32::MAX } else { bounds.max },
            metric: annotations.target.map(|target| Source::of(metric, target)),
            stabilization_seconds: annotations
                .window
                .map(|window| i32::try_from(window.as_secs()).unwrap_or(i32::MAX)),
        }
    }
}

impl Source {
    fn of(metric: &str, target: f64) -> Self {
        const MEBIBYTE: i64 = 1024 * 1024;
        // Conversions from floating point saturate.
        match metric {
            "cpu" => Self::Cpu(target.ceil() as i32),
            "memory" => Self::Memory((target as i64).saturating_mul(MEBIBYTE)),
            other => Self::Pods(other.to_owned(), target as i64),
        }
    }
}

/// Whether ScaleTargetInitialized becomes True: the services are ready, and so many replicas run as it began with.
pub fn is_initialised(
    is_service_ready: bool,
    current_replicas: i32,
    annotations: &Annotations,
    reachability: Reachability,
    config: &Config,
) -> bool {
    let least = Bounds::of(annotations, reachability, config)
        .min
        .max(derive::initial_scale(annotations, config));
    is_service_ready && current_replicas >= least
}

#[cfg(test)]
mod tests;
