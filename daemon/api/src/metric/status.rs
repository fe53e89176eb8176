// SPDX-License-Identifier: Apache-2.0
//! How the measuring for a PodAutoscaler is; control-plane spec 4.11.
//!
//! Depends on: conditions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::MetricStatus;
use crate::condition::Observed;
use crate::conditions::{ConditionSet, Conditioned, READY};

impl Conditioned for MetricStatus {
    const SET: ConditionSet = ConditionSet::living(&[]);

    fn observed(&self) -> &Observed {
        &self.observed
    }

    fn observed_mut(&mut self) -> &mut Observed {
        &mut self.observed
    }
}

impl MetricStatus {
    /// Samples come.
    pub fn mark_metric_ready(&mut self, now: &Time) {
        self.marks(now).mark_true(READY);
    }

    /// No sample can be had yet.
    pub fn mark_metric_not_ready(&mut self, reason: &str, message: &str, now: &Time) {
        self.marks(now).mark_unknown(READY, reason, message);
    }

    /// Samples should come and do not.
    pub fn mark_metric_failed(&mut self, reason: &str, message: &str, now: &Time) {
        self.marks(now).mark_false(READY, reason, message);
    }
}
