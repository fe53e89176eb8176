// SPDX-License-Identifier: Apache-2.0
//! How the Services of a Revision are; control-plane spec 4.12.
//!
//! Depends on: conditions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::ServerlessServiceStatus;
use crate::condition::Observed;
use crate::condition::{Condition, ConditionStatus, Severity};
use crate::conditions::{ConditionSet, Conditioned};
use k8s_openapi::jiff::SignedDuration;

/// Some pod of the Revision is ready.
pub const ENDPOINTS_POPULATED: &str = "EndpointsPopulated";
/// The activators stand behind the public Service; only told, nothing depends on it.
pub const ACTIVATOR_ENDPOINTS_POPULATED: &str = "ActivatorEndpointsPopulated";

impl Conditioned for ServerlessServiceStatus {
    const SET: ConditionSet = ConditionSet::living(&[ENDPOINTS_POPULATED]);

    fn observed(&self) -> &Observed {
        &self.observed
    }

    fn observed_mut(&mut self) -> &mut Observed {
        &mut self.observed
    }
}

impl ServerlessServiceStatus {
    /// Some pod is ready.
    pub fn mark_endpoints_ready(&mut self, now: &Time) {
        self.marks(now).mark_true(ENDPOINTS_POPULATED);
    }

    /// No pod is ready, or the Services are not there yet; `reason` says which.
    pub fn mark_endpoints_not_ready(&mut self, reason: &str, now: &Time) {
        self.marks(now)
            .mark_unknown(ENDPOINTS_POPULATED, reason, "K8s Service is not ready");
    }

    /// The object of the wanted name belongs to somebody else.
    pub fn mark_endpoints_not_owned(&mut self, kind: &str, name: &str, now: &Time) {
        let message = format!("Resource {name} of type {kind} is not owned by SKS");
        self.marks(now).mark_false(ENDPOINTS_POPULATED, "NotOwned", &message);
    }

    /// The activators stand behind the public Service.
    pub fn mark_activator_endpoints_populated(&mut self, now: &Time) {
        self.set_activator_endpoints(ConditionStatus::True, now);
    }

    /// The pods stand behind the public Service; reason and message stay those of the contrary, as in Knative.
    pub fn mark_activator_endpoints_removed(&mut self, now: &Time) {
        self.set_activator_endpoints(ConditionStatus::False, now);
    }

    /// How long the activators have stood behind the public Service; zero while they do not.
    #[must_use]
    pub fn proxy_for(&self, now: &Time) -> SignedDuration {
        self.condition(ACTIVATOR_ENDPOINTS_POPULATED)
            .filter(|condition| condition.status == ConditionStatus::True)
            .and_then(|condition| condition.last_transition_time.as_ref())
            .map_or(SignedDuration::ZERO, |since| now.0.duration_since(since.0))
    }

    fn set_activator_endpoints(&mut self, status: ConditionStatus, now: &Time) {
        self.marks(now).set(Condition {
            kind: ACTIVATOR_ENDPOINTS_POPULATED.to_owned(),
            status,
            severity: Severity::Info,
            last_transition_time: None,
            reason: ACTIVATOR_ENDPOINTS_POPULATED.to_owned(),
            message: "Revision is backed by Activator".to_owned(),
        });
    }
}
