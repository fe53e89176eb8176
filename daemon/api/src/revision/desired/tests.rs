// SPDX-License-Identifier: Apache-2.0
//! What a Revision makes; the golden cases are in tests/golden.

use super::deployment::{deployment, selector};
use super::operator::Operator;
use super::*;
use crate::condition::Condition;
use k8s_openapi::api::apps::v1::{DeploymentSpec, DeploymentStatus};
use k8s_openapi::api::core::v1::ContainerPort;
use logic::settings::{Autoscaler, Defaults, Features, Observability};
use proptest::prelude::*;

/// The settings as they are when the operator says nothing.
struct Silent {
    autoscaler: Autoscaler,
    defaults: Defaults,
    deployment: logic::settings::Deployment,
    features: Features,
    observability: Observability,
}

impl Silent {
    fn new() -> Self {
        Self {
            autoscaler: Autoscaler::default(),
            defaults: Defaults::default(),
            deployment: logic::settings::Deployment::default(),
            features: Features::default(),
            observability: Observability::default(),
        }
    }

    fn operator(&self) -> Operator<'_> {
        Operator {
            autoscaler: &self.autoscaler,
            defaults: &self.defaults,
            deployment: &self.deployment,
            features: &self.features,
            observability: &self.observability,
        }
    }
}

fn revision(name: &str) -> Revision {
    let mut revision = Revision::default();
    revision.metadata.name = Some(name.to_owned());
    revision.metadata.uid = Some("uid".to_owned());
    revision.spec.pod.containers = vec![container("web", Some("h2c")), container("side", None)];
    revision
}

fn container(name: &str, port: Option<&str>) -> Container {
    Container {
        name: name.to_owned(),
        ports: port.map(|name| {
            vec![ContainerPort {
                name: Some(name.to_owned()),
                container_port: 3000,
                ..ContainerPort::default()
            }]
        }),
        ..Container::default()
    }
}

fn annotated(name: &str, annotations: &[(&str, &str)]) -> Revision {
    let mut revision = revision(name);
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    revision.metadata.annotations = Some(annotations.iter().map(owned).collect());
    revision
}

fn pods(revision: &Revision) -> k8s_openapi::api::core::v1::PodSpec {
    let silent = Silent::new();
    deployment(revision, &silent.operator())
        .spec
        .unwrap()
        .template
        .spec
        .unwrap()
}

#[test]
fn the_container_with_a_port_serves() {
    let revision = revision("hello");
    assert_eq!(serving_container(&revision).unwrap().name, "web");
    assert_eq!(protocol_of(&revision), "h2c");
    let pods = pods(&revision);
    let [web, side] = pods.containers.as_slice() else {
        panic!("two containers stay two")
    };
    assert_eq!(web.ports.as_ref().unwrap()[0].name.as_deref(), Some("user-port"));
    assert_eq!((&side.ports, &side.readiness_probe), (&None, &None));
}

#[test]
fn every_container_waits_for_its_requests_before_it_is_stopped() {
    for container in pods(&revision("hello")).containers {
        let stop = container.lifecycle.unwrap().pre_stop.unwrap().http_get.unwrap();
        assert_eq!(stop.path.as_deref(), Some("/wait-for-drain"), "{}", container.name);
    }
}

#[test]
fn scaling_may_change_without_new_pods() {
    let silent = Silent::new();
    let plain = deployment(&revision("hello"), &silent.operator());
    let scaled = annotated("hello", &[("autoscaling.knative.dev/max-scale", "3")]);
    assert_eq!(deployment(&scaled, &silent.operator()), plain);
    let routed = annotated(
        "hello",
        &[(serving::ROUTES, "r"), (serving::ROUTING_STATE_MODIFIED, "t")],
    );
    assert_eq!(deployment(&routed, &silent.operator()), plain);
    let scaling = pod_autoscaler(&scaled, None).metadata.annotations.unwrap();
    assert_eq!(scaling.len(), 1);
}

#[test]
fn the_hash_tells_two_deployments_apart() {
    let silent = Silent::new();
    let hash = |revision: &Revision| {
        let made = deployment(revision, &silent.operator());
        made.metadata.labels.unwrap()[serving::DEPLOYMENT_HASH].clone()
    };
    let other = annotated("hello", &[("team", "blue")]);
    assert_ne!(hash(&revision("hello")), hash(&other));
    assert_eq!(hash(&other), hash(&other.clone()));
}

#[test]
fn annotations_that_are_no_numbers_count_as_zero() {
    let silent = Silent::new();
    let odd = annotated(
        "hello",
        &[
            (crate::names::autoscaling::INITIAL_SCALE[0], "many"),
            (serving::PROGRESS_DEADLINE, "soon"),
        ],
    );
    let spec = deployment(&odd, &silent.operator()).spec.unwrap();
    assert_eq!((spec.replicas, spec.progress_deadline_seconds), (Some(0), Some(0)));
}

#[test]
fn an_initial_scale_out_of_range_is_the_bound() {
    let silent = Silent::new();
    let replicas = |text| {
        let odd = annotated("hello", &[(crate::names::autoscaling::INITIAL_SCALE[0], text)]);
        deployment(&odd, &silent.operator()).spec.unwrap().replicas
    };
    assert_eq!(replicas("3000000000"), Some(i32::MAX));
    assert_eq!(replicas("-3000000000"), Some(i32::MIN));
    assert_eq!(replicas("30000000000000000000000"), Some(i32::MAX));
}

#[test]
fn a_broken_revision_without_a_ready_pod_is_unreachable() {
    let mut broken = revision("hello");
    broken.metadata.labels = Some(BTreeMap::from([(
        serving::ROUTING_STATE.to_owned(),
        "active".to_owned(),
    )]));
    let with_ready = |ready| Deployment {
        spec: Some(DeploymentSpec {
            replicas: Some(2),
            ..DeploymentSpec::default()
        }),
        status: Some(DeploymentStatus {
            ready_replicas: Some(ready),
            ..DeploymentStatus::default()
        }),
        ..Deployment::default()
    };
    let reach = |revision: &Revision, ready| pod_autoscaler(revision, Some(&with_ready(ready))).spec.reachability;
    assert_eq!(reach(&broken, 0), "Reachable");
    broken.status.observed.conditions = vec![Condition {
        kind: CONTAINER_HEALTHY.to_owned(),
        status: ConditionStatus::False,
        ..Condition::default()
    }];
    assert_eq!(reach(&broken, 0), "Unreachable");
    assert_eq!(reach(&broken, 1), "Reachable");
}

#[test]
fn images_are_pinned_where_their_digest_is_known() {
    let mut pinned = revision("hello");
    let status = |name: &str, digest: &str| crate::revision::ContainerStatus {
        name: name.to_owned(),
        image_digest: digest.to_owned(),
    };
    pinned.status.container_statuses = vec![status("web", "app@sha256:1"), status("side", "")];
    let images: Vec<_> = pods(&pinned)
        .containers
        .into_iter()
        .map(|container| container.image)
        .collect();
    assert_eq!(images, [Some("app@sha256:1".to_owned()), None]);
    assert_eq!(image_caches(&pinned)[0].spec.image, "app@sha256:1");
}

proptest! {
    #[test]
    fn every_name_fits(name in "[a-z]{1,63}", container in "[a-z]{1,63}") {
        let mut revision = revision(&name);
        revision.status.container_statuses = vec![crate::revision::ContainerStatus {
            name: container,
            image_digest: String::new(),
        }];
        prop_assert!(deployment_name(&revision).len() <= 63);
        prop_assert!(image_caches(&revision).iter().all(|image| image.name().len() <= 63));
    }

    #[test]
    fn the_same_revision_makes_the_same_objects(name in "[a-z]{1,63}", port in 0i32..70_000) {
        let silent = Silent::new();
        let mut revision = revision(&name);
        revision.spec.pod.containers[0].ports.as_mut().unwrap()[0].container_port = port;
        let made = deployment(&revision, &silent.operator());
        prop_assert_eq!(&made, &deployment(&revision.clone(), &silent.operator()));
        prop_assert_eq!(made.spec.unwrap().selector.match_labels, Some(selector(&revision)));
    }
}
