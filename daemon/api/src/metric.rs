// SPDX-License-Identifier: Apache-2.0
//! Metric: what is measured for a PodAutoscaler; control-plane spec 1.5.
//!
//! Depends on: nothing but serde.

pub mod status;
mod validation;

use serde::{Deserialize, Serialize};

use crate::condition::Observed;
use crate::json::or_default;
use crate::kind::Kind;
use crate::object::{Object, Spec};

/// What is measured for a PodAutoscaler.
pub type Metric = Object<MetricSpec, MetricStatus>;

/// Over which windows, and of whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricSpec {
    /// In nanoseconds.
    #[serde(default, deserialize_with = "or_default")]
    pub stable_window: i64,
    /// In nanoseconds.
    #[serde(default, deserialize_with = "or_default")]
    pub panic_window: i64,
    /// The Service whose pods are measured.
    #[serde(default, deserialize_with = "or_default")]
    pub scrape_target: String,
}

impl Spec for MetricSpec {
    const KIND: Kind = Kind::Metric;
}

/// Whether it is measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricStatus {
    /// Generation and conditions.
    #[serde(flatten)]
    pub observed: Observed,
}
