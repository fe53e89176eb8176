// SPDX-License-Identifier: Apache-2.0
use super::*;
use crate::route::fixture::{World, latest, texts};

#[test]
fn inside_the_cluster_the_default_template_holds() {
    let mut world = World::with(vec![latest("", 100)]);
    world.network = Network::parse(&texts([("domain-template", "{{.Name}}-{{.Namespace}}.{{.Domain}}")])).unwrap();
    let naming = world.naming();
    let host = |visibility| naming.host(&world.route, "t", visibility).unwrap();
    assert_eq!(host(Visibility::ExternalIp), "t-hello-default.example.com");
    assert_eq!(host(Visibility::ClusterLocal), "t-hello.default.svc.cluster.local");
}

#[test]
fn what_is_no_host_is_refused_with_knatives_text() {
    let mut world = World::with(vec![latest("", 100)]);
    world.route.metadata.name = Some("a".repeat(64));
    let error = world
        .naming()
        .host(&world.route, "", Visibility::ExternalIp)
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("domain name error: invalid domain name \"aaa"),
        "{text}"
    );
    assert!(text.ends_with("must be no more than 63 characters"), "{text}");
}

#[test]
fn the_label_of_a_placeholder_hides_its_tag_only() {
    let mut world = World::with(vec![latest("", 100), latest("t", 0)]);
    let label = |value: &str| Service {
        metadata: ObjectMeta {
            labels: Some(texts([
                ("serving.knative.dev/route", "hello"),
                (networking::VISIBILITY, value),
            ])),
            ..ObjectMeta::default()
        },
        ..Service::default()
    };
    world.services.insert("t-hello".to_owned(), label("anything"));
    let visibilities = world.naming().visibilities(&world.route, &world.services).unwrap();
    assert_eq!(visibilities[""], Visibility::ExternalIp);
    assert_eq!(visibilities["t"], Visibility::ClusterLocal);
    world.services.insert("t-hello".to_owned(), label(""));
    let visibilities = world.naming().visibilities(&world.route, &world.services).unwrap();
    assert_eq!(visibilities["t"], Visibility::ExternalIp);
}
