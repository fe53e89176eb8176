// SPDX-License-Identifier: Apache-2.0
//! How a Revision is, judged by its Deployment and one of its pods: control-plane spec 4.4.
//!
//! Problem: a Deployment does not say why its pods do not come up; a pod does.
//! Mechanism: while pods are wanted and none is available, one pod is looked at: whether it was placed, how a container of it
//! ended, what it waits for.
//! Invariants: a ready pod makes the containers healthy, whatever was seen before.
//! Depends on: its parent.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{PROGRESS_DEADLINE_EXCEEDED, container_exiting_message, exit_code_reason};
use crate::revision::RevisionStatus;

/// The container that other installations of Knative add to a pod.
const QUEUE_PROXY: &str = "queue-proxy";

/// Takes over what the Deployment and one pod of it say; `waits_for_nodes`: a pod that cannot be placed is waited for
/// (`pod-is-always-schedulable`).
pub fn observe(
    status: &mut RevisionStatus,
    deployment: &Deployment,
    pod: Option<&Pod>,
    waits_for_nodes: bool,
    now: &Time,
) {
    let found = deployment.status.clone().unwrap_or_default();
    status.propagate_deployment_status(&found, now);
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or_default();
    let is_none_available = wanted > 0 && found.available_replicas.unwrap_or_default() == 0;
    if let Some(pod) = pod.filter(|_| is_none_available) {
        if !waits_for_nodes {
            observe_placing(status, pod, now);
        }
        observe_containers(status, pod, has_timed_out(deployment), now);
    }
    if found.ready_replicas.unwrap_or_default() > 0 {
        status.mark_container_healthy_true(now);
    }
}

/// Whether no node can take the pod.
fn observe_placing(status: &mut RevisionStatus, pod: &Pod, now: &Time) {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let refused = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    if let Some(refused) = refused {
        let reason = refused.reason.as_deref().unwrap_or_default();
        let message = refused.message.as_deref().unwrap_or_default();
        status.mark_resources_available_false(reason, message, now);
    }
}

/// How the first container ended that did, or what one waits for after the deadline.
fn observe_containers(status: &mut RevisionStatus, pod: &Pod, has_timed_out: bool, now: &Time) {
    let containers = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref());
    for container in containers
        .into_iter()
        .flatten()
        .filter(|container| container.name != QUEUE_PROXY)
    {
        if let Some((code, message)) = ending(container) {
            let message = container_exiting_message(message);
            status.mark_container_healthy_false(&exit_code_reason(code), &message, now);
            return;
        }
        let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
        if let Some(waiting) = waiting.filter(|_| has_timed_out) {
            let reason = waiting.reason.as_deref().unwrap_or_default();
            let message = waiting.message.as_deref().unwrap_or_default();
            status.mark_resources_available_false(reason, message, now);
            return;
        }
    }
}

/// Exit code and last words of the container's run before.
fn ending(container: &ContainerStatus) -> Option<(i32, &str)> {
    let ended = container.last_state.as_ref()?.terminated.as_ref()?;
    let message = match (ended.message.as_deref().unwrap_or_default(), ended.exit_code) {
        ("", 0) => "container exited with no error",
        (message, _) => message,
    };
    Some((ended.exit_code, message))
}

fn has_timed_out(deployment: &Deployment) -> bool {
    let conditions = deployment.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| {
        condition.type_ == "Progressing"
            && condition.status == "False"
            && condition.reason.as_deref() == Some(PROGRESS_DEADLINE_EXCEEDED)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::ConditionStatus;
    use crate::conditions::{Conditioned, READY, is};
    use crate::revision::status::{CONTAINER_HEALTHY, RESOURCES_AVAILABLE};
    use k8s_openapi::jiff::Timestamp;
    use serde_json::{Value, json};

    fn after(deployment: Value, pod: Value, waits_for_nodes: bool) -> RevisionStatus {
        let mut status = RevisionStatus::default();
        let now = Time(Timestamp::UNIX_EPOCH);
        status.marks(&now).initialize();
        let deployment = serde_json::from_value(json!({"spec": {"replicas": 1, "selector": {}, "template": {}},
            "status": deployment}))
        .unwrap();
        let pod = serde_json::from_value(json!({"status": pod})).unwrap();
        observe(&mut status, &deployment, Some(&pod), waits_for_nodes, &now);
        status
    }

    fn reason(status: &RevisionStatus) -> (&str, &str) {
        let ready = status.condition(READY).unwrap();
        (ready.reason.as_str(), ready.message.as_str())
    }

    #[test]
    fn a_pod_that_no_node_takes_is_told() {
        let pod = json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "m"}]});
        assert_eq!(reason(&after(json!({}), pod.clone(), false)), ("Unschedulable", "m"));
        assert_eq!(reason(&after(json!({}), pod, true)).0, "Deploying");
    }

    #[test]
    fn the_last_words_of_a_container_are_told() {
        let ended = |code: i32, message: &str| {
            json!({"containerStatuses": [
                {"name": "queue-proxy", "image": "", "imageID": "", "ready": false, "restartCount": 1,
                 "lastState": {"terminated": {"exitCode": 7}}},
                {"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 1,
                 "lastState": {"terminated": {"exitCode": code, "message": message}}}]})
        };
        let crashed = after(json!({}), ended(3, "boom"), false);
        assert_eq!(reason(&crashed), ("ExitCode3", "Container failed with: boom"));
        let done = after(json!({}), ended(0, ""), false);
        assert_eq!(reason(&done).1, "Container failed with: container exited with no error");
    }

    #[test]
    fn what_a_container_waits_for_is_told_only_after_the_deadline() {
        let pod = json!({"containerStatuses": [{"name": "app", "image": "", "imageID": "", "ready": false,
            "restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff", "message": "m"}}}]});
        let late = json!({"conditions": [{"type": "Progressing", "status": "False",
            "reason": "ProgressDeadlineExceeded", "message": "late"}]});
        assert_eq!(reason(&after(json!({}), pod.clone(), false)).0, "Deploying");
        assert_eq!(reason(&after(late, pod, false)), ("ImagePullBackOff", "m"));
    }

    #[test]
    fn a_ready_pod_makes_the_containers_healthy() {
        let status = after(json!({"readyReplicas": 1, "availableReplicas": 1}), json!({}), false);
        assert!(is(status.condition(CONTAINER_HEALTHY), ConditionStatus::True));
        assert!(is(status.condition(RESOURCES_AVAILABLE), ConditionStatus::Unknown));
    }
}
