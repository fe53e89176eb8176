// SPDX-License-Identifier: Apache-2.0
//! How what is there becomes what is wanted: control-plane spec 4.4.
//!
//! Problem: others write to a Deployment and a PodAutoscaler too: the autoscaler its replicas, tools their labels.
//! Mechanism: a Deployment is compared by its hash label alone, and keeps what is not ours; a PodAutoscaler follows its
//! Revision's annotations at once, also where they are taken away.
//! Invariants: an update of an update changes nothing; a Deployment never gets replicas from here after its creation.
//! Depends on: names, pod_autoscaler.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::names::{autoscaling, group, kubernetes, serving};
use crate::pod_autoscaler::PodAutoscaler;

type Map = BTreeMap<String, String>;

/// The Deployment to be written over `existing`; none where it is as wanted.
#[must_use]
pub fn deployment(existing: &Deployment, wanted: &Deployment) -> Option<Deployment> {
    if hash(existing) == hash(wanted) {
        return None;
    }
    let mut updated = existing.clone();
    updated.spec.clone_from(&wanted.spec);
    let old = existing.spec.as_ref();
    if let (Some(old), Some(new)) = (old, updated.spec.as_mut()) {
        new.replicas = old.replicas;
        new.selector.clone_from(&old.selector);
        let template = new.template.metadata.get_or_insert_default();
        keep_what_is_not_ours(template, &old.template.metadata.clone().unwrap_or_default());
    }
    updated.metadata.labels.clone_from(&wanted.metadata.labels);
    updated.metadata.annotations.clone_from(&wanted.metadata.annotations);
    keep_what_is_not_ours(&mut updated.metadata, &existing.metadata);
    Some(updated)
}

/// The PodAutoscaler to be written over `existing`; none where it is as wanted.
#[must_use]
pub fn pod_autoscaler(existing: &PodAutoscaler, wanted: &PodAutoscaler) -> Option<PodAutoscaler> {
    let mut updated = existing.clone();
    updated.spec.clone_from(&wanted.spec);
    let none = Map::new();
    let given = wanted.metadata.annotations.as_ref().unwrap_or(&none);
    let annotations = updated.metadata.annotations.get_or_insert_default();
    annotations.retain(|key, _| given.contains_key(key) || !is_taken_away(key));
    annotations.extend(given.clone());
    let existing_annotations = existing.metadata.annotations.as_ref().unwrap_or(&none);
    let is_same = updated.spec == existing.spec && annotations == existing_annotations;
    (!is_same).then_some(updated)
}

/// Whether the annotation goes when the Revision has it no longer: class and metric are filled in by defaulting.
fn is_taken_away(key: &str) -> bool {
    key.starts_with(group::AUTOSCALING) && key != autoscaling::CLASS && key != autoscaling::METRIC
}

fn hash(deployment: &Deployment) -> Option<&str> {
    let labels = deployment.metadata.labels.as_ref()?;
    labels.get(serving::DEPLOYMENT_HASH).map(String::as_str)
}

/// Labels and annotations that others have set stay; ours are those of `new` alone.
fn keep_what_is_not_ours(new: &mut ObjectMeta, old: &ObjectMeta) {
    keep(&mut new.labels, old.labels.as_ref());
    keep(&mut new.annotations, old.annotations.as_ref());
}

fn keep(new: &mut Option<Map>, old: Option<&Map>) {
    let theirs = old.into_iter().flatten().filter(|(key, _)| !is_ours(key));
    for (key, value) in theirs {
        new.get_or_insert_default()
            .entry(key.clone())
            .or_insert_with(|| value.clone());
    }
}

fn is_ours(key: &str) -> bool {
    key.contains("knative.dev/") || key == kubernetes::APP
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::apps::v1::DeploymentSpec;

    fn map(pairs: &[(&str, &str)]) -> Option<Map> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Some(pairs.iter().map(owned).collect())
    }

    fn made(hash: &str, replicas: i32, labels: &[(&str, &str)]) -> Deployment {
        let mut deployment = Deployment {
            spec: Some(DeploymentSpec {
                replicas: Some(replicas),
                ..DeploymentSpec::default()
            }),
            ..Deployment::default()
        };
        deployment.metadata.labels = map(labels);
        deployment
            .metadata
            .labels
            .get_or_insert_default()
            .insert(serving::DEPLOYMENT_HASH.to_owned(), hash.to_owned());
        deployment
    }

    #[test]
    fn an_equal_hash_is_left_alone() {
        assert_eq!(deployment(&made("a", 3, &[]), &made("a", 1, &[("x", "y")])), None);
    }

    #[test]
    fn the_scale_and_what_others_wrote_stay() {
        let existing = made("a", 3, &[("tool", "x"), ("serving.knative.dev/old", "x"), ("app", "x")]);
        let updated = deployment(&existing, &made("b", 1, &[("app", "hello")])).unwrap();
        assert_eq!(updated.spec.as_ref().unwrap().replicas, Some(3));
        let labels = updated.metadata.labels.clone().unwrap();
        assert_eq!(labels.get("tool").map(String::as_str), Some("x"));
        assert_eq!(labels.get("app").map(String::as_str), Some("hello"));
        assert!(!labels.contains_key("serving.knative.dev/old"));
        assert_eq!(deployment(&updated, &made("b", 1, &[("app", "hello")])), None);
    }

    #[test]
    fn an_annotation_that_is_taken_away_stops_scaling_by_it() {
        let scaling = |annotations: &[(&str, &str)]| {
            let mut scaling = PodAutoscaler::default();
            scaling.metadata.annotations = map(annotations);
            scaling
        };
        let existing = scaling(&[
            (autoscaling::CLASS, "kpa"),
            (autoscaling::MAX_SCALE[0], "3"),
            ("tool", "x"),
        ]);
        let wanted = scaling(&[(autoscaling::MIN_SCALE[0], "1")]);
        let updated = pod_autoscaler(&existing, &wanted).unwrap();
        let expected = map(&[
            (autoscaling::CLASS, "kpa"),
            (autoscaling::MIN_SCALE[0], "1"),
            ("tool", "x"),
        ]);
        assert_eq!(updated.metadata.annotations, expected);
        assert_eq!(pod_autoscaler(&updated, &wanted), None);
    }
}
