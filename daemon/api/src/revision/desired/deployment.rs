// SPDX-License-Identifier: Apache-2.0
//! The Deployment of a Revision: control-plane spec 4.4.
//!
//! Invariants: the hash label is that of everything else of the Deployment, so that two are compared by it; it depends on
//! nothing but the input.
//! Depends on: logic's settings, names, its siblings.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use logic::go::number;
use logic::settings::{self, Span};

use super::operator::Operator;
use super::pod::pod;
use super::{annotations_of_children, deployment_name, labels, metadata, serving_container, some_unless_empty};
use crate::names::{autoscaling, first, kubernetes, serving};
use crate::revision::Revision;

/// The Deployment.
#[must_use]
pub fn deployment(revision: &Revision, operator: &Operator<'_>) -> Deployment {
    let labels = labels(revision);
    let annotations = annotations_of_children(revision);
    let mut deployment = Deployment {
        metadata: metadata(revision, deployment_name(revision), annotations.clone()),
        spec: Some(DeploymentSpec {
            replicas: Some(initial_scale(revision, operator.autoscaler)),
            progress_deadline_seconds: Some(progress_deadline(revision, operator.deployment)),
            revision_history_limit: Some(0),
            selector: LabelSelector {
                match_labels: Some(selector(revision)),
                match_expressions: None,
            },
            strategy: Some(without_losing_a_pod()),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    annotations: some_unless_empty(annotations_of_pods(revision, annotations)),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(revision, operator)),
            },
            ..DeploymentSpec::default()
        }),
        status: None,
    };
    let hash = hash(&deployment);
    deployment
        .metadata
        .labels
        .get_or_insert_default()
        .insert(serving::DEPLOYMENT_HASH.to_owned(), hash);
    deployment
}

/// The labels by which the pods are found.
#[must_use]
pub fn selector(revision: &Revision) -> BTreeMap<String, String> {
    let uid = revision.metadata.uid.clone().unwrap_or_default();
    BTreeMap::from([(serving::REVISION_UID.to_owned(), uid)])
}

fn annotations_of_pods(revision: &Revision, mut annotations: BTreeMap<String, String>) -> BTreeMap<String, String> {
    if let Some(container) = serving_container(revision) {
        annotations.insert(kubernetes::DEFAULT_CONTAINER.to_owned(), container.name.clone());
    }
    annotations
}

/// The annotation's, 0 where it is no number and the bound where it is too large, else the operator's.
fn initial_scale(revision: &Revision, operator: &settings::Autoscaler) -> i32 {
    match annotation(revision, &autoscaling::INITIAL_SCALE) {
        Some(text) => number::int32(text).unwrap_or_else(|error| error.nearest_int32()),
        None => operator.initial_scale,
    }
}

/// In seconds: the annotation's, 0 where it is no duration, else the operator's.
fn progress_deadline(revision: &Revision, operator: &settings::Deployment) -> i32 {
    let deadline = match annotation(revision, &[serving::PROGRESS_DEADLINE]) {
        Some(text) => Span::parse(text).unwrap_or(Span::ZERO),
        None => operator.progress_deadline,
    };
    i32::try_from(deadline.as_nanos() / 1_000_000_000).unwrap_or(i32::MAX)
}

fn annotation<'a>(revision: &'a Revision, keys: &[&'static str]) -> Option<&'a str> {
    first(keys, revision.metadata.annotations.as_ref()?).map(|(_, value)| value)
}

fn without_losing_a_pod() -> DeploymentStrategy {
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_unavailable: Some(IntOrString::Int(0)),
            max_surge: None,
        }),
    }
}

/// FNV-1a of 32 bits over the JSON of the whole, in base 36: any hash that stays the same would do.
fn hash(deployment: &Deployment) -> String {
    let text = serde_json::to_string(deployment).unwrap_or_default();
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    in_base_36(hash)
}

fn in_base_36(mut number: u32) -> String {
    let mut digits = Vec::new();
    loop {
        digits.extend(char::from_digit(number % 36, 36));
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}
