// SPDX-License-Identifier: Apache-2.0
use proptest::prelude::*;

use super::*;
use crate::condition::ConditionStatus;
use crate::conditions::{Conditioned, READY};
use crate::ingress::LoadBalancerIngress;
use crate::names::{networking, serving};
use crate::route::TrafficTarget;
use crate::route::fixture::{OWN_CLASS, World, latest, pinned, texts};

fn reason(decision: &Decision, kind: &str) -> String {
    decision.status.condition(kind).unwrap().reason.clone()
}

fn mesh() -> LoadBalancerIngress {
    LoadBalancerIngress {
        mesh_only: true,
        ..LoadBalancerIngress::default()
    }
}

fn settled(mut world: World) -> World {
    world.reconcile();
    world.gateway_is_ready(mesh());
    world.reconcile();
    world
}

#[test]
fn a_settled_route_is_ready_and_left_alone() {
    let mut world = settled(World::with(vec![latest("", 90), pinned("hello-1", "old", 10)]));
    let before = world.route.status.clone();
    let decision = world.reconcile();
    assert!(world.route.is_ready());
    assert_eq!((decision.actions, decision.status), (Vec::new(), before));
}

#[test]
fn a_missing_target_leaves_all_else_as_it_is() {
    let mut world = settled(World::with(vec![latest("", 100)]));
    let before = world.route.status.clone();
    world.revisions.clear();
    let decision = world.reconcile();
    assert_eq!((decision.actions.len(), &decision.error), (0, &None));
    assert_eq!(reason(&decision, READY), "RevisionMissing");
    assert_eq!(decision.status.traffic, before.traffic);
    assert!(decision.references.iter().any(|reference| reference.name == "hello-2"));
}

#[test]
fn a_service_of_somebody_else_is_not_touched() {
    let mut world = World::with(vec![latest("", 100)]);
    world.services.insert("hello".to_owned(), Service::default());
    let decision = world.reconcile();
    assert_eq!(decision.actions, Vec::new());
    assert_eq!(reason(&decision, READY), "NotOwned");
    let error = decision.error.unwrap().to_string();
    assert_eq!(error, "route: \"hello\" does not own Service: \"hello\"");
}

#[test]
fn services_of_tags_that_are_gone_are_deleted() {
    let mut world = settled(World::with(vec![latest("", 100), latest("t", 0)]));
    assert!(world.services.contains_key("t-hello"));
    world.route.spec.traffic.pop();
    world.reconcile();
    assert_eq!(world.services.keys().collect::<Vec<_>>(), ["hello"]);
}

#[test]
fn behind_our_own_gateway_every_tag_has_an_address_from_the_start() {
    let mut world = World::with(vec![latest("", 100), latest("t", 0)]);
    world.network.ingress_class = OWN_CLASS.to_owned();
    world.reconcile();
    let kinds: Vec<_> = world
        .services
        .values()
        .map(|service| service.spec.as_ref().unwrap().type_.clone().unwrap())
        .collect();
    assert_eq!(kinds, ["ClusterIP", "ClusterIP"]);
    world.gateway_is_ready(mesh());
    assert_eq!(world.reconcile().actions, Vec::new());
}

#[test]
fn a_new_revision_takes_over_step_by_step_and_the_route_says_so() {
    let mut world = World::with(vec![latest("", 100)]);
    world.route.metadata.annotations = Some(texts([(serving::ROLLOUT_DURATION[0], "100s")]));
    let mut world = settled(world);
    let configuration = world.configurations.get_mut("hello").unwrap();
    configuration.status.latest_ready_revision_name = "hello-3".to_owned();
    let decision = world.reconcile();
    assert_eq!(reason(&decision, READY), "RolloutInProgress");
    let shares: Vec<_> = decision.status.traffic.iter().map(|target| target.percent).collect();
    assert_eq!(shares, [Some(99), Some(1)]);
    world.gateway_is_ready(mesh());
    let decision = world.reconcile();
    assert!(decision.requeue_after.is_some());
}

#[test]
fn an_unreadable_rollout_is_forgotten() {
    let mut world = World::with(vec![latest("", 100)]);
    world.route.metadata.annotations = Some(texts([(serving::ROLLOUT_DURATION[0], "100s")]));
    let mut world = settled(world);
    let ingress = world.ingress.as_mut().unwrap();
    let annotations = ingress.metadata.annotations.as_mut().unwrap();
    annotations.insert(networking::ROLLOUT.to_owned(), "{".to_owned());
    let configuration = world.configurations.get_mut("hello").unwrap();
    configuration.status.latest_ready_revision_name = "hello-3".to_owned();
    let decision = world.reconcile();
    let names: Vec<_> = decision
        .status
        .traffic
        .iter()
        .map(|target| target.revision_name.as_str())
        .collect();
    assert_eq!(names, ["hello-3"]);
}

#[test]
fn a_host_that_loses_its_tag_loses_its_certificate() {
    let mut world = World::with(vec![latest("", 100), latest("t", 0)]);
    world.network.external_domain_tls = true;
    world.reconcile();
    assert_eq!(world.certificates.len(), 2);
    world.route.spec.traffic.pop();
    let decision = world.reconcile();
    assert_eq!(world.certificates.len(), 1);
    let events: Vec<_> = decision
        .actions
        .iter()
        .filter_map(|action| action.event.as_ref())
        .collect();
    assert!(events.iter().any(|event| event.reason == "Deleted"), "{events:?}");
}

#[test]
fn a_certificate_of_somebody_else_is_not_touched() {
    let mut world = World::with(vec![latest("", 100)]);
    world.network.external_domain_tls = true;
    world.reconcile();
    for certificate in world.certificates.values_mut() {
        certificate.metadata.owner_references = None;
    }
    let name = world.certificates.keys().next().cloned().unwrap_or_default();
    let decision = world.reconcile();
    assert_eq!(reason(&decision, "CertificateProvisioned"), "CertificateNotOwned");
    assert_eq!(
        decision.error.unwrap().to_string(),
        format!("notowned: owner: hello with Type *v1.Route does not own Certificate: \"{name}\"")
    );
}

#[test]
fn without_plain_http_a_route_waits_for_its_certificate() {
    let mut world = World::with(vec![latest("", 100)]);
    world.network.external_domain_tls = true;
    world.network.http_protocol = logic::settings::network::HttpProtocol::Redirected;
    let decision = world.reconcile();
    assert_eq!(reason(&decision, "CertificateProvisioned"), "CertificateNotReady");
    assert_eq!(
        decision.status.url.as_deref(),
        Some("https://hello.default.example.com")
    );
}

#[test]
fn a_tag_without_a_host_leaves_no_traffic_in_the_status() {
    let mut world = settled(World::with(vec![latest("", 100)]));
    assert_eq!(world.route.status.traffic.len(), 1);
    world.route.spec.traffic.push(latest(&"t".repeat(63), 0));
    let decision = world.reconcile();
    assert_eq!(reason(&decision, READY), "ErrorConfig");
    assert_eq!(decision.status.traffic, Vec::new());
    assert!(decision.actions.is_empty() && decision.error.is_some());
}

#[test]
fn an_error_leaves_a_new_generation_unready() {
    let mut world = settled(World::with(vec![latest("", 100)]));
    world.route.metadata.generation = Some(2);
    world.route.metadata.annotations = Some(texts([(networking::HTTP_PROTOCOL[1], "disabled")]));
    let decision = world.reconcile();
    assert_eq!(
        decision.error.unwrap().to_string(),
        "incorrect http-protocol annotation: disabled"
    );
    let ready = decision.status.condition(READY).unwrap().status;
    assert_eq!(
        (ready, decision.status.observed.observed_generation),
        (ConditionStatus::Unknown, 2)
    );
}

proptest! {
    #[test]
    fn no_route_makes_it_panic(
        names in proptest::collection::vec((".*", ".*", any::<Option<i64>>(), any::<Option<bool>>()), 0..4),
        annotations in proptest::collection::btree_map(".*", ".*", 0..3),
        duration in ".*",
        rollout in ".*",
        name in ".*",
    ) {
        let mut world = World::with(Vec::new());
        world.network.external_domain_tls = true;
        world.route.metadata.name = Some(name);
        world.route.metadata.annotations = Some(annotations);
        let targets = names.into_iter().map(|(tag, name, percent, latest_revision)| TrafficTarget {
            tag,
            revision_name: if name.len() % 2 == 0 { "hello-1".to_owned() } else { name },
            latest_revision,
            percent,
            ..TrafficTarget::default()
        });
        world.route.spec.traffic = targets.collect();
        world.reconcile();
        let annotations = world.route.metadata.annotations.get_or_insert_default();
        annotations.insert(serving::ROLLOUT_DURATION[0].to_owned(), duration);
        if let Some(ingress) = &mut world.ingress {
            ingress.metadata.annotations = Some(texts([(networking::ROLLOUT, rollout.as_str())]));
        }
        world.reconcile();
    }
}
