// SPDX-License-Identifier: Apache-2.0
//! How a Revision is: its Deployment, its containers, its scaling; control-plane spec 4.4.
//!
//! `Active` is only told: a Revision at zero is ready.
//! Depends on: conditions, pod_autoscaler.

pub mod pods;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::RevisionStatus;
use crate::condition::ConditionStatus;
use crate::condition::Observed;
use crate::conditions::{ConditionSet, Conditioned, READY, is};
use crate::pod_autoscaler::PodAutoscalerStatus;
use crate::pod_autoscaler::status::NO_HORIZONTAL_AUTOSCALING;
use k8s_openapi::api::apps::v1::{DeploymentCondition, DeploymentStatus};

/// The Deployment makes progress or has arrived.
pub const RESOURCES_AVAILABLE: &str = "ResourcesAvailable";
/// The containers start and stay.
pub const CONTAINER_HEALTHY: &str = "ContainerHealthy";
/// Requests reach ready pods; nothing depends on it.
pub const ACTIVE: &str = "Active";
/// Reason: pods are on their way.
pub const DEPLOYING: &str = "Deploying";
/// Reason: an image is not there.
pub const CONTAINER_MISSING: &str = "ContainerMissing";
/// Reason: the digests of the images are being looked up.
pub const RESOLVING_DIGESTS: &str = "ResolvingDigests";
/// Reason: the object of the wanted name belongs to somebody else.
pub const NOT_OWNED: &str = "NotOwned";
/// Reason: it took too long.
pub const PROGRESS_DEADLINE_EXCEEDED: &str = "ProgressDeadlineExceeded";

impl Conditioned for RevisionStatus {
    const SET: ConditionSet = ConditionSet::living(&[RESOURCES_AVAILABLE, CONTAINER_HEALTHY]);

    fn observed(&self) -> &Observed {
        &self.observed
    }

    fn observed_mut(&mut self) -> &mut Observed {
        &mut self.observed
    }
}

impl RevisionStatus {
    /// Requests reach ready pods.
    pub fn mark_active_true(&mut self, now: &Time) {
        self.marks(now).mark_true(ACTIVE);
    }

    /// No pod is wanted, or none will come.
    pub fn mark_active_false(&mut self, reason: &str, message: &str, now: &Time) {
        self.marks(now).mark_false(ACTIVE, reason, message);
    }

    /// Pods are on their way.
    pub fn mark_active_unknown(&mut self, reason: &str, message: &str, now: &Time) {
        self.marks(now).mark_unknown(ACTIVE, reason, message);
    }

    /// The containers run.
    pub fn mark_container_healthy_true(&mut self, now: &Time) {
        self.marks(now).mark_true(CONTAINER_HEALTHY);
    }

    /// A container does not start or stay.
    pub fn mark_container_healthy_false(&mut self, reason: &str, message: &str, now: &Time) {
        self.marks(now).mark_false(CONTAINER_HEALTHY, reason, message);
    }

    /// Nothing is known of the containers.
    pub fn mark_container_healthy_unknown(&mut self, reason: &str, message: &str, now: &Time) {
        self.marks(now).mark_unknown(CONTAINER_HEALTHY, reason, message);
    }

    /// The Deployment is fine.
    pub fn mark_resources_available_true(&mut self, now: &Time) {
        self.marks(now).mark_true(RESOURCES_AVAILABLE);
    }

    /// The Deployment failed.
    pub fn mark_resources_available_false(&mut self, reason: &str, message: &str, now: &Time) {
        self.marks(now).mark_false(RESOURCES_AVAILABLE, reason, message);
    }

    /// The Deployment is under way.
    pub fn mark_resources_available_unknown(&mut self, reason: &str, message: &str, now: &Time) {
        self.marks(now).mark_unknown(RESOURCES_AVAILABLE, reason, message);
    }

    /// Takes over what the Deployment says of itself.
    pub fn propagate_deployment_status(&mut self, deployment: &DeploymentStatus, now: &Time) {
        let mut seen = Progress::default();
        let mut marks = seen.marks(now);
        marks.initialize();
        marks.mark_true(REPLICA_SET_READY);
        marks.mark_unknown(PROGRESSING, DEPLOYING, "");
        for condition in deployment.conditions.iter().flatten() {
            let reason = condition.reason.as_deref().unwrap_or_default();
            let message = condition.message.as_deref().unwrap_or_default();
            match (condition.type_.as_str(), status_of(condition)) {
                ("Progressing", ConditionStatus::True) => marks.mark_true(PROGRESSING),
                ("Progressing", ConditionStatus::False) => marks.mark_false(PROGRESSING, reason, message),
                ("Progressing", ConditionStatus::Unknown) => marks.mark_unknown(PROGRESSING, reason, message),
                ("ReplicaFailure", ConditionStatus::True) => marks.mark_false(REPLICA_SET_READY, reason, message),
                ("ReplicaFailure", ConditionStatus::False) => marks.mark_true(REPLICA_SET_READY),
                ("ReplicaFailure", ConditionStatus::Unknown) => {
                    marks.mark_unknown(REPLICA_SET_READY, reason, message);
                }
                _ => {}
            }
        }
        if let Some(ready) = seen.condition(READY) {
            self.marks(now).mirror(RESOURCES_AVAILABLE, ready);
        }
    }

    /// Takes over what the PodAutoscaler says of itself.
    pub fn propagate_autoscaler_status(&mut self, scaling: &PodAutoscalerStatus, now: &Time) {
        let has_failed = [RESOURCES_AVAILABLE, CONTAINER_HEALTHY]
            .iter()
            .any(|kind| is(self.condition(kind), ConditionStatus::False));
        self.actual_replicas = scaling.actual_scale.filter(|scale| *scale >= 0);
        self.desired_replicas = scaling.desired_scale.filter(|scale| *scale >= 0);

        let Some(ready) = scaling.condition(READY) else {
            self.mark_active_unknown(DEPLOYING, "", now);
            if !has_failed {
                self.mark_resources_available_unknown(DEPLOYING, "", now);
            }
            return;
        };
        let is_initialized = scaling.is_scale_target_initialized();
        let has_service = !scaling.service_name.is_empty();
        if is_initialized && !has_failed {
            self.mark_resources_available_true(now);
            self.mark_container_healthy_true(now);
        }
        let is_available = is(self.condition(RESOURCES_AVAILABLE), ConditionStatus::True);
        if is_available && !(has_service && is_initialized) {
            self.mark_resources_available_unknown(DEPLOYING, "", now);
        }
        if ready.status == ConditionStatus::False && !is_initialized && !has_failed && has_service {
            let (reason, message) = match ready.reason.as_str() {
                // It never will be, and the user can do something about it.
                NO_HORIZONTAL_AUTOSCALING => (NO_HORIZONTAL_AUTOSCALING, ready.message.as_str()),
                _ => (PROGRESS_DEADLINE_EXCEEDED, "Initial scale was never achieved"),
            };
            self.mark_resources_available_false(reason, message, now);
        }
        self.marks(now).mirror(ACTIVE, ready);
    }
}

/// What is said of an object whose name belongs to somebody else.
#[must_use]
pub fn not_owned_message(kind: &str, name: &str) -> String {
    format!("There is an existing {kind} \"{name}\" that we do not own.")
}

/// The reason of a container that ended.
#[must_use]
pub fn exit_code_reason(code: i32) -> String {
    format!("ExitCode{code}")
}

/// What is said of a container that ended, by its own last words.
#[must_use]
pub fn container_exiting_message(message: &str) -> String {
    format!("Container failed with: {message}")
}

/// What is said of an image that is not there.
#[must_use]
pub fn container_missing_message(image: &str, message: &str) -> String {
    format!("Unable to fetch image \"{image}\": {message}")
}

const PROGRESSING: &str = "Progressing";
const REPLICA_SET_READY: &str = "ReplicaSetReady";

/// A Deployment's conditions as ours: both true or it is not ready.
#[derive(Default)]
struct Progress(Observed);

impl Conditioned for Progress {
    const SET: ConditionSet = ConditionSet::living(&[PROGRESSING, REPLICA_SET_READY]);

    fn observed(&self) -> &Observed {
        &self.0
    }

    fn observed_mut(&mut self) -> &mut Observed {
        &mut self.0
    }
}

fn status_of(condition: &DeploymentCondition) -> ConditionStatus {
    ConditionStatus::from(condition.status.clone())
}
