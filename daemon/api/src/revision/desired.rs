// SPDX-License-Identifier: Apache-2.0
//! What a Revision makes: a Deployment, a PodAutoscaler and an Image for each container; control-plane spec 4.4.
//!
//! Problem: Knative's objects, but pods without a queue-proxy: docs/compatibility.md has the differences.
//! Mechanism: pure functions of the Revision and the operator's settings; `deployment`, `pod` and `probes` make the pods.
//! Invariants: equal input, equal objects; nothing that changes while a Revision lives (its routes, its scaling) reaches
//! the pods, so that they are not replaced.
//! Depends on: child_name, image, names, object, pod_autoscaler.

pub mod deployment;
pub mod operator;
pub mod pod;
pub mod probes;
pub mod update;

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::Revision;
use super::status::{CONTAINER_HEALTHY, RESOURCES_AVAILABLE};
use crate::child_name::child_name;
use crate::condition::ConditionStatus;
use crate::conditions::{Conditioned, is};
use crate::image::{Image, ImageSpec, ImageStatus};
use crate::names::{kubernetes, port, protocol, serving};
use crate::pod_autoscaler::{PodAutoscaler, PodAutoscalerSpec, PodAutoscalerStatus};

/// Annotations of a Revision that are nobody else's business: they change while it lives.
const OWN_ANNOTATIONS: [&str; 4] = [
    serving::LAST_PINNED,
    serving::NO_GC,
    serving::ROUTING_STATE_MODIFIED,
    serving::ROUTES,
];

/// Labels of a Revision that change while it lives.
const OWN_LABELS: [&str; 2] = [serving::ROUTE, serving::ROUTING_STATE];

/// The name of the Deployment.
#[must_use]
pub fn deployment_name(revision: &Revision) -> String {
    child_name(revision.name(), "-deployment")
}

/// The PodAutoscaler, named as the Revision; `deployment`: the one that is there.
#[must_use]
pub fn pod_autoscaler(revision: &Revision, deployment: Option<&Deployment>) -> PodAutoscaler {
    PodAutoscaler {
        metadata: metadata(revision, revision.name().to_owned(), annotations(revision)),
        spec: PodAutoscalerSpec {
            container_concurrency: revision.spec.container_concurrency.unwrap_or_default(),
            scale_target_ref: ObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: Some("Deployment".to_owned()),
                name: Some(deployment_name(revision)),
                ..ObjectReference::default()
            },
            reachability: reachability(revision, deployment).to_owned(),
            protocol_type: protocol_of(revision).to_owned(),
        },
        status: PodAutoscalerStatus::default(),
    }
}

/// An Image for each container whose digest was looked up, init containers last.
#[must_use]
pub fn image_caches(revision: &Revision) -> Vec<Image> {
    let parent = child_name(revision.name(), "-cache");
    let pod = &revision.spec.pod;
    revision
        .status
        .container_statuses
        .iter()
        .chain(&revision.status.init_container_statuses)
        .map(|container| Image {
            metadata: metadata(
                revision,
                child_name(&parent, &format!("-{}", container.name)),
                annotations_of_children(revision),
            ),
            spec: ImageSpec {
                image: container.image_digest.clone(),
                service_account_name: pod.service_account_name.clone().unwrap_or_default(),
                image_pull_secrets: pod.image_pull_secrets.clone().unwrap_or_default(),
            },
            status: ImageStatus::default(),
        })
        .collect()
}

/// The container that serves requests: the only one, or the first that has a port.
#[must_use]
pub fn serving_container(revision: &Revision) -> Option<&Container> {
    match revision.spec.pod.containers.as_slice() {
        [only] => Some(only),
        several => several.iter().find(|container| has_ports(container)),
    }
}

/// `h2c` if the serving container's port is named so, else `http1`.
#[must_use]
pub fn protocol_of(revision: &Revision) -> &'static str {
    let port = serving_container(revision).and_then(|container| container.ports.as_ref()?.first()?.name.as_deref());
    match port {
        Some(protocol::H2C) => protocol::H2C,
        _ => protocol::HTTP1,
    }
}

/// The port by the name that every pod of a Revision has it under.
#[must_use]
pub fn user_port(containers: &[Container]) -> Option<i32> {
    let ports = containers.iter().filter_map(|container| container.ports.as_ref());
    let mut named = ports
        .flatten()
        .filter(|one| one.name.as_deref() == Some(port::USER_NAME));
    named.next().map(|one| one.container_port)
}

fn has_ports(container: &Container) -> bool {
    container.ports.as_ref().is_some_and(|ports| !ports.is_empty())
}

fn metadata(revision: &Revision, name: String, annotations: BTreeMap<String, String>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: revision.metadata.namespace.clone(),
        labels: Some(labels(revision)),
        annotations: some_unless_empty(annotations),
        owner_references: Some(vec![revision.controller_reference()]),
        ..ObjectMeta::default()
    }
}

/// The labels of everything that a Revision makes.
fn labels(revision: &Revision) -> BTreeMap<String, String> {
    let mut labels = revision.metadata.labels.clone().unwrap_or_default();
    labels.retain(|key, _| !OWN_LABELS.contains(&key.as_str()));
    let uid = revision.metadata.uid.clone().unwrap_or_default();
    labels.insert(serving::REVISION.to_owned(), revision.name().to_owned());
    labels.insert(serving::REVISION_UID.to_owned(), uid);
    labels
        .entry(kubernetes::APP.to_owned())
        .or_insert_with(|| revision.name().to_owned());
    labels
}

/// The annotations that scaling sees.
fn annotations(revision: &Revision) -> BTreeMap<String, String> {
    let mut annotations = revision.metadata.annotations.clone().unwrap_or_default();
    annotations.retain(|key, _| !OWN_ANNOTATIONS.contains(&key.as_str()));
    annotations
}

/// The annotations that pods and images see: scaling is not theirs, and may change while they live.
fn annotations_of_children(revision: &Revision) -> BTreeMap<String, String> {
    let mut annotations = annotations(revision);
    annotations.retain(|key, _| !key.starts_with(crate::names::group::AUTOSCALING));
    annotations
}

fn some_unless_empty(map: BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    Some(map).filter(|map| !map.is_empty())
}

/// Whether requests can come: not while no pod of a broken Revision is ready.
fn reachability(revision: &Revision, deployment: Option<&Deployment>) -> &'static str {
    let has_failed = [RESOURCES_AVAILABLE, CONTAINER_HEALTHY]
        .iter()
        .any(|kind| is(revision.status.condition(kind), ConditionStatus::False));
    if has_failed && deployment.is_some_and(has_only_broken_pods) {
        return "Unreachable";
    }
    match revision.label(serving::ROUTING_STATE) {
        Some(serving::routing_state::ACTIVE) => "Reachable",
        Some(serving::routing_state::RESERVE) => "Unreachable",
        _ => "",
    }
}

fn has_only_broken_pods(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas);
    wanted.is_some_and(|wanted| wanted > 0) && ready.unwrap_or_default() == 0
}

#[cfg(test)]
mod tests;
