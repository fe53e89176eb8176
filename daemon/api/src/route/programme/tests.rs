// SPDX-License-Identifier: Apache-2.0
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::ingress::{LoadBalancerIngress, probe};
use crate::route::TrafficTarget;
use crate::route::fixture::{World, latest, pinned, texts};

/// Shares that sum to 100, over Revisions and the latest, some with tags.
fn traffic() -> impl Strategy<Value = Vec<TrafficTarget>> {
    let cuts = proptest::collection::btree_set(1_i64..100, 0..5);
    (cuts, proptest::collection::vec((0..4_usize, any::<bool>()), 6)).prop_map(|(cuts, kinds)| {
        let ends: Vec<_> = cuts.into_iter().chain([100]).collect();
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let shares = starts.zip(&ends).map(|(start, end)| end - start);
        let target = |(index, (share, (kind, has_tag))): (usize, (i64, &(usize, bool)))| {
            let tag = if *has_tag { format!("t{index}") } else { String::new() };
            match kind {
                0 => latest(&tag, share),
                number => pinned(&format!("hello-{number}"), &tag, share),
            }
        };
        shares.zip(&kinds).enumerate().map(target).collect()
    })
}

fn paths(ingress: &Ingress) -> impl Iterator<Item = &HttpIngressPath> {
    let rules = ingress.spec.rules.iter();
    rules.filter_map(|rule| rule.http.as_ref()).flat_map(|http| &http.paths)
}

proptest! {
    #[test]
    fn every_path_shares_all_its_traffic_out(traffic in traffic(), by_header in any::<bool>()) {
        let mut world = World::with(traffic);
        world.features.tag_header_based_routing = match by_header {
            true => logic::settings::Flag::Enabled,
            false => logic::settings::Flag::Disabled,
        };
        world.reconcile();
        for path in paths(world.ingress()) {
            prop_assert_eq!(path.splits.iter().map(|split| split.percent).sum::<i64>(), 100);
        }
    }

    #[test]
    fn no_host_stands_in_two_rules(traffic in traffic()) {
        let mut world = World::with(traffic);
        world.reconcile();
        let hosts: Vec<_> = world.ingress().spec.rules.iter().flat_map(|rule| &rule.hosts).collect();
        prop_assert_eq!(hosts.iter().collect::<BTreeSet<_>>().len(), hosts.len());
    }

    #[test]
    fn the_same_route_gives_the_same_hash(traffic in traffic()) {
        let mut world = World::with(traffic.clone());
        world.reconcile();
        let mut again = World::with(traffic);
        again.reconcile();
        prop_assert_eq!(probe::hash(world.ingress()), probe::hash(again.ingress()));
        let decision = world.reconcile();
        prop_assert_eq!(decision.actions, vec![]);
    }
}

proptest! {
    #[test]
    fn while_it_rolls_every_path_shares_all_its_traffic_out(
        traffic in traffic(),
        steps in proptest::collection::vec((0_i64..60, 1..4_usize, any::<bool>()), 1..12),
    ) {
        let mut world = World::with(traffic);
        world.route.metadata.annotations = Some(texts([(serving::ROLLOUT_DURATION[0], "120s")]));
        world.reconcile();
        for (wait, revision, is_ready) in steps {
            world.seconds += wait;
            let configuration = world.configurations.get_mut("hello").unwrap();
            configuration.status.latest_ready_revision_name = format!("hello-{revision}");
            if is_ready {
                world.gateway_is_ready(LoadBalancerIngress::default());
            }
            world.reconcile();
            for path in paths(world.ingress()) {
                prop_assert_eq!(path.splits.iter().map(|split| split.percent).sum::<i64>(), 100);
            }
        }
    }
}

#[test]
fn a_challenge_is_answered_at_its_host_outside_before_all_else() {
    let world = World::with(vec![latest("", 100)]);
    let traffic = crate::route::targets::resolve(&world.route, world.targets())
        .traffic
        .unwrap();
    let challenge = Http01Challenge {
        url: Some("http://hello.default.example.com/.well-known/acme-challenge/x".to_owned()),
        ..Http01Challenge::default()
    };
    let programme = Programme {
        route: &world.route,
        naming: world.naming(),
        traffic: &traffic,
        visibilities: &BTreeMap::new(),
        rollout: &Rollout::default(),
        tls: &[],
        challenges: &[challenge],
        class: "class",
        http_option: "Enabled",
        routes_by_header: false,
        is_system_internal_tls: false,
    };
    let rules = programme.ingress().unwrap().spec.rules;
    let of_rule = |rule: &IngressRule| -> Vec<String> {
        let http = rule.http.as_ref().unwrap();
        http.paths.iter().map(|path| path.path.clone()).collect()
    };
    let all: Vec<_> = rules.iter().map(of_rule).collect();
    assert_eq!(all, [vec![""], vec!["/.well-known/acme-challenge/x", ""]]);
}
