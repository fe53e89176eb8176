// SPDX-License-Identifier: Apache-2.0
//! What an operator and a user set: config-autoscaler and the annotations of one PodAutoscaler (data-plane spec 1.9, 6).
//!
//! Problem: decisions must not know how settings are stored, spelt or defaulted.
//! Mechanism: two plain structs. [`Config`] is made of the parsed ConfigMaps; whoever reads a PodAutoscaler fills [`Annotations`], where an annotation that is absent or cannot be parsed is `None`.
//! Invariants: fractions are fractions here (70 % is 0.7), whatever the key says; percentages of annotations stay percentages.
//! Depends on: settings, spec.

use crate::kpa::spec::{Algorithm, Metric};
use crate::settings::{Autoscaler, Deployment};
use std::time::Duration;

/// config-autoscaler, as far as it decides something; a field is named as its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `container-concurrency-target-percentage`, as a fraction.
    pub container_concurrency_target: f64,
    /// `container-concurrency-target-default`.
    pub container_concurrency_target_default: f64,
    /// `requests-per-second-target-default`.
    pub requests_per_second_target_default: f64,
    /// `target-burst-capacity`.
    pub target_burst_capacity: f64,
    /// `stable-window`.
    pub stable_window: Duration,
    /// `panic-window-percentage`, 1 to 100.
    pub panic_window_percentage: f64,
    /// `panic-threshold-percentage`.
    pub panic_threshold_percentage: f64,
    /// `max-scale-up-rate`.
    pub max_scale_up_rate: f64,
    /// `max-scale-down-rate`.
    pub max_scale_down_rate: f64,
    /// `enable-scale-to-zero`.
    pub enable_scale_to_zero: bool,
    /// `scale-to-zero-grace-period`.
    pub scale_to_zero_grace_period: Duration,
    /// `scale-to-zero-pod-retention-period`.
    pub scale_to_zero_pod_retention_period: Duration,
    /// `scale-down-delay`.
    pub scale_down_delay: Duration,
    /// `activator-capacity`.
    pub activator_capacity: f64,
    /// `initial-scale`.
    pub initial_scale: i32,
    /// `allow-zero-initial-scale`.
    pub allow_zero_initial_scale: bool,
    /// `min-scale`.
    pub min_scale: i32,
    /// `max-scale`; 0: no limit.
    pub max_scale: i32,
    /// `progress-deadline` of config-deployment.
    pub progress_deadline: Duration,
}

impl Default for Config {
    /// Knative's defaults.
    fn default() -> Self {
        Self {
            container_concurrency_target: 0.7,
            container_concurrency_target_default: 100.0,
            requests_per_second_target_default: 200.0,
            target_burst_capacity: 211.0,
            stable_window: Duration::from_secs(60),
            panic_window_percentage: 10.0,
            panic_threshold_percentage: 200.0,
            max_scale_up_rate: 1000.0,
            max_scale_down_rate: 2.0,
            enable_scale_to_zero: true,
            scale_to_zero_grace_period: Duration::from_secs(30),
            scale_to_zero_pod_retention_period: Duration::ZERO,
            scale_down_delay: Duration::ZERO,
            activator_capacity: 100.0,
            initial_scale: 1,
            allow_zero_initial_scale: false,
            min_scale: 0,
            max_scale: 0,
            progress_deadline: Duration::from_secs(600),
        }
    }
}

impl Config {
    /// What config-autoscaler and config-deployment say.
    pub fn of(autoscaler: &Autoscaler, deployment: &Deployment) -> Self {
        Self {
            container_concurrency_target: autoscaler.target_fraction,
            container_concurrency_target_default: autoscaler.concurrency_target,
            requests_per_second_target_default: autoscaler.rps_target,
            target_burst_capacity: autoscaler.target_burst_capacity,
            stable_window: autoscaler.stable_window.to_duration(),
            panic_window_percentage: autoscaler.panic_window_percentage,
            panic_threshold_percentage: autoscaler.panic_threshold_percentage,
            max_scale_up_rate: autoscaler.max_scale_up_rate,
            max_scale_down_rate: autoscaler.max_scale_down_rate,
            enable_scale_to_zero: autoscaler.enable_scale_to_zero,
            scale_to_zero_grace_period: autoscaler.scale_to_zero_grace_period.to_duration(),
            scale_to_zero_pod_retention_period: autoscaler.scale_to_zero_pod_retention_period.to_duration(),
            scale_down_delay: autoscaler.scale_down_delay.to_duration(),
            activator_capacity: autoscaler.activator_capacity,
            initial_scale: autoscaler.initial_scale,
            allow_zero_initial_scale: autoscaler.allow_zero_initial_scale,
            min_scale: autoscaler.min_scale,
            max_scale: autoscaler.max_scale,
            progress_deadline: deployment.progress_deadline.to_duration(),
        }
    }
}

/// The annotations of one PodAutoscaler that decide something, parsed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Annotations {
    /// `metric`; for the KPA every other value is concurrency.
    pub metric: Option<Metric>,
    /// `metric-aggregation-algorithm`.
    pub algorithm: Option<Algorithm>,
    /// `target`.
    pub target: Option<f64>,
    /// `target-utilization-percentage`.
    pub target_utilization_percentage: Option<f64>,
    /// `target-burst-capacity`.
    pub target_burst_capacity: Option<f64>,
    /// `window`.
    pub window: Option<Duration>,
    /// `panic-window-percentage`.
    pub panic_window_percentage: Option<f64>,
    /// `panic-threshold-percentage`.
    pub panic_threshold_percentage: Option<f64>,
    /// `scale-down-delay`.
    pub scale_down_delay: Option<Duration>,
    /// `scale-to-zero-pod-retention-period`.
    pub scale_to_zero_pod_retention_period: Option<Duration>,
    /// `initial-scale`.
    pub initial_scale: Option<i32>,
    /// `activation-scale`.
    pub activation_scale: Option<i32>,
    /// `min-scale`.
    pub min_scale: Option<i32>,
    /// `max-scale`.
    pub max_scale: Option<i32>,
    /// `serving.knative.dev/progress-deadline`.
    pub progress_deadline: Option<Duration>,
}
