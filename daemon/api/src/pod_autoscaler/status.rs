// SPDX-License-Identifier: Apache-2.0
//! How the scaling of a Revision is, and since when; control-plane spec 4.10.
//!
//! Invariants: `ScaleTargetInitialized` is never taken back.
//! Depends on: conditions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::PodAutoscalerStatus;
use crate::condition::ConditionStatus;
use crate::condition::Observed;
use crate::conditions::{ConditionSet, Conditioned, is};
use crate::names::autoscaling;
use k8s_openapi::jiff::SignedDuration;

/// Requests reach ready pods.
pub const ACTIVE: &str = "Active";
/// The initial scale was reached once.
pub const SCALE_TARGET_INITIALIZED: &str = "ScaleTargetInitialized";
/// The ServerlessService is ready.
pub const SKS_READY: &str = "SKSReady";

/// Reason: nothing here acts on HorizontalPodAutoscalers.
pub const NO_HORIZONTAL_AUTOSCALING: &str = "NoHorizontalPodAutoscaling";

impl Conditioned for PodAutoscalerStatus {
    const SET: ConditionSet = ConditionSet::living(&[ACTIVE, SCALE_TARGET_INITIALIZED, SKS_READY]);

    fn observed(&self) -> &Observed {
        &self.observed
    }

    fn observed_mut(&mut self) -> &mut Observed {
        &mut self.observed
    }
}

impl PodAutoscalerStatus {
    /// Requests reach ready pods.
    pub fn mark_active(&mut self, now: &Time) {
        self.marks(now).mark_true(ACTIVE);
    }

    /// Pods are on their way.
    pub fn mark_activating(&mut self, reason: &str, message: &str, now: &Time) {
        self.marks(now).mark_unknown(ACTIVE, reason, message);
    }

    /// No pod is wanted, or none will come.
    pub fn mark_inactive(&mut self, reason: &str, message: &str, now: &Time) {
        self.marks(now).mark_false(ACTIVE, reason, message);
    }

    /// It is left to a HorizontalPodAutoscaler, and nothing here acts on those.
    pub fn mark_without_horizontal_autoscaling(&mut self, now: &Time) {
        let message = format!(
            "Nothing here acts on HorizontalPodAutoscalers, which the class {:?} needs: remove the annotation {:?}, or set it to {:?}",
            autoscaling::HPA,
            autoscaling::CLASS,
            autoscaling::KPA
        );
        self.mark_inactive(NO_HORIZONTAL_AUTOSCALING, &message, now);
    }

    /// The object of the wanted name belongs to somebody else.
    pub fn mark_resource_not_owned(&mut self, kind: &str, name: &str, now: &Time) {
        let message = format!("There is an existing {kind} \"{name}\" that we do not own.");
        self.mark_inactive("NotOwned", &message, now);
    }

    /// An object could not be created.
    pub fn mark_resource_failed_creation(&mut self, kind: &str, name: &str, now: &Time) {
        let message = format!("Failed to create {kind} \"{name}\".");
        self.mark_inactive("FailedCreate", &message, now);
    }

    /// The ServerlessService is ready.
    pub fn mark_sks_ready(&mut self, now: &Time) {
        self.marks(now).mark_true(SKS_READY);
    }

    /// The ServerlessService is not ready; `message` says why.
    pub fn mark_sks_not_ready(&mut self, message: &str, now: &Time) {
        self.marks(now).mark_unknown(SKS_READY, "NotReady", message);
    }

    /// The initial scale was reached.
    pub fn mark_scale_target_initialized(&mut self, now: &Time) {
        self.marks(now).mark_true(SCALE_TARGET_INITIALIZED);
    }

    /// Whether the initial scale was reached once.
    #[must_use]
    pub fn is_scale_target_initialized(&self) -> bool {
        is(self.condition(SCALE_TARGET_INITIALIZED), ConditionStatus::True)
    }

    /// Whether requests reach ready pods.
    #[must_use]
    pub fn is_active(&self) -> bool {
        is(self.condition(ACTIVE), ConditionStatus::True)
    }

    /// Whether pods are on their way, or nothing is known.
    #[must_use]
    pub fn is_activating(&self) -> bool {
        is(self.condition(ACTIVE), ConditionStatus::Unknown)
    }

    /// Whether no pod is wanted, or none will come.
    #[must_use]
    pub fn is_inactive(&self) -> bool {
        is(self.condition(ACTIVE), ConditionStatus::False)
    }

    /// How long `Active` has had this status; none while it has another one.
    #[must_use]
    pub fn time_in(&self, status: ConditionStatus, now: &Time) -> Option<SignedDuration> {
        let active = self.condition(ACTIVE).filter(|active| active.status == status)?;
        Some(now.0.duration_since(active.last_transition_time.as_ref()?.0))
    }
}
