// SPDX-License-Identifier: Apache-2.0
//! Depends on: data_path.

use super::*;
use proptest::prelude::*;

fn revision() -> RevisionFacts {
    RevisionFacts {
        excess_burst_capacity: Some(0),
        ready_pods: 1,
        ..RevisionFacts::default()
    }
}

fn share(revision: &str, percent: i64) -> Share {
    Share {
        revision: revision.into(),
        percent,
    }
}

fn route() -> RouteFacts {
    RouteFacts {
        shares: vec![share("a", 100)],
        ..RouteFacts::default()
    }
}

fn reason(route: &RouteFacts, revision: &RevisionFacts, cluster: &Cluster) -> &'static str {
    DataPath::of_route(route, Some(revision), cluster).reason()
}

#[test]
fn each_fact_has_its_reason() {
    let cluster = Cluster::default();
    assert!(DataPath::of_route(&route(), Some(&revision()), &cluster).is_direct());
    let of_route = |change: fn(&mut RouteFacts)| {
        let mut facts = route();
        change(&mut facts);
        reason(&facts, &revision(), &Cluster::default())
    };
    assert_eq!(of_route(|route| route.shares.clear()), "NoTraffic");
    assert_eq!(
        of_route(|route| route.shares = vec![share("a", 99), share("b", 1)]),
        "TrafficSplit"
    );
    assert_eq!(
        of_route(|route| route.shares = vec![share("a", 100), share("b", 0)]),
        "Direct"
    );
    assert_eq!(
        of_route(|route| route.shares = vec![share("a", 40), share("a", 60)]),
        "Direct"
    );
    assert_eq!(of_route(|route| route.header_rule = true), "HeaderRule");
    assert_eq!(of_route(|route| route.path_rule = true), "PathRule");
    assert_eq!(of_route(|route| route.tag_header = true), "TagHeader");
    assert_eq!(of_route(|route| route.https_only = true), "HttpsOnly");
    assert_eq!(of_route(|route| route.wish = Some(Wish::Disabled)), "Disabled");
    let of_revision = |change: fn(&mut RevisionFacts)| {
        let mut facts = revision();
        change(&mut facts);
        let both = reason(&route(), &facts, &Cluster::default());
        assert_eq!(both, DataPath::of_revision(&facts, &Cluster::default()).reason());
        both
    };
    assert_eq!(
        of_revision(|revision| revision.container_concurrency = 7),
        "ContainerConcurrency"
    );
    assert_eq!(of_revision(|revision| revision.protocol = Protocol::Http2), "Http2");
    assert_eq!(of_revision(|revision| revision.ready_pods = 0), "NoPods");
    assert_eq!(
        of_revision(|revision| revision.excess_burst_capacity = Some(-1)),
        "BurstCapacity"
    );
    assert_eq!(
        of_revision(|revision| revision.excess_burst_capacity = None),
        "NotScaled"
    );
    let of_cluster = |change: fn(&mut Cluster)| {
        let mut cluster = Cluster::default();
        change(&mut cluster);
        reason(&route(), &revision(), &cluster)
    };
    assert_eq!(of_cluster(|cluster| cluster.direct = false), "DisabledInCluster");
    assert_eq!(of_cluster(|cluster| cluster.request_log = true), "RequestLog");
    assert_eq!(of_cluster(|cluster| cluster.tracing = true), "Tracing");
    assert_eq!(DataPath::of_route(&route(), None, &cluster).reason(), "UnknownRevision");
}

#[test]
fn a_message_names_every_reason() {
    let facts = RevisionFacts {
        container_concurrency: 10,
        excess_burst_capacity: Some(-200),
        ..revision()
    };
    let path = DataPath::of_revision(&facts, &Cluster::default());
    assert_eq!(
        path.message(),
        "containerConcurrency is 10: a hard limit needs the gateway; the pods lack room for a burst: excess burst \
         capacity is -200"
    );
    assert_eq!(path.word(), "Buffered");
    assert_eq!(DataPath::Direct.with(Reason::Kernel).reason(), "Kernel");
}

#[test]
fn the_routes_annotation_stands_over_the_revisions() {
    let off = RevisionFacts {
        wish: Some(Wish::Disabled),
        ..revision()
    };
    let on = RouteFacts {
        wish: Wish::parse("Enabled"),
        ..route()
    };
    assert_eq!(reason(&on, &off, &Cluster::default()), "Direct");
    assert_eq!(reason(&route(), &off, &Cluster::default()), "Disabled");
    assert_eq!(Wish::parse("yes"), None);
}

fn wish() -> impl Strategy<Value = Option<Wish>> {
    prop_oneof![Just(None), Just(Some(Wish::Enabled)), Just(Some(Wish::Disabled))]
}

prop_compose! {
    fn any_revision()(
        container_concurrency in 0..3_u32, two: bool, wish in wish(),
        excess_burst_capacity in proptest::option::of(-2..2_i32), ready_pods in 0..3_u32,
    ) -> RevisionFacts {
        let protocol = if two { Protocol::Http2 } else { Protocol::Http1 };
        RevisionFacts { container_concurrency, protocol, wish, excess_burst_capacity, ready_pods }
    }
}

prop_compose! {
    fn any_route()(
        shares in proptest::collection::vec((0..3_u8, 0..2_i64), 0..4),
        rules in any::<[bool; 4]>(), wish in wish(),
    ) -> RouteFacts {
        let shares = shares.iter().map(|(name, percent)| share(&name.to_string(), *percent)).collect();
        let [header_rule, path_rule, tag_header, https_only] = rules;
        RouteFacts { shares, header_rule, path_rule, tag_header, https_only, wish }
    }
}

prop_compose! {
    fn any_cluster()(direct: bool, request_log: bool, tracing: bool, redirects: bool) -> Cluster {
        Cluster { direct, request_log, tracing, redirects }
    }
}

fn reasons(path: &DataPath) -> &[Reason] {
    match path {
        DataPath::Direct => &[],
        DataPath::Buffered(reasons) => reasons,
    }
}

proptest! {
    #[test]
    fn a_route_is_direct_only_where_nothing_is_lost(
        route in any_route(), revision in any_revision(), cluster in any_cluster(),
    ) {
        let path = DataPath::of_route(&route, Some(&revision), &cluster);
        if path.is_direct() {
            prop_assert!(route.only_revision().is_some());
            prop_assert!(!(route.header_rule || route.path_rule || route.tag_header || route.https_only));
            prop_assert!(!(cluster.request_log || cluster.tracing) && cluster.redirects);
            prop_assert_eq!(revision.container_concurrency, 0);
            prop_assert!(revision.excess_burst_capacity >= Some(0) && revision.ready_pods > 0);
        } else {
            let found = reasons(&path);
            prop_assert!(!found.is_empty() && found.is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn an_annotation_lifts_only_what_is_a_matter_of_taste(
        route in any_route(), revision in any_revision(), cluster in any_cluster(),
    ) {
        let of = |wish| {
            let route = RouteFacts { wish, ..route.clone() };
            DataPath::of_route(&route, Some(&RevisionFacts { wish: None, ..revision }), &cluster)
        };
        let (none, on, off) = (of(None), of(Some(Wish::Enabled)), of(Some(Wish::Disabled)));
        let lifted: Vec<_> = reasons(&none).iter().filter(|reason| !reasons(&on).contains(reason)).collect();
        prop_assert!(lifted.iter().all(|reason| matches!(reason, Reason::DisabledInCluster | Reason::Http2)));
        prop_assert!(reasons(&on).iter().all(|reason| reasons(&none).contains(reason)));
        prop_assert_eq!(off.reason(), "Disabled");
    }

    #[test]
    fn a_condition_has_a_word_and_a_sentence(
        route in any_route(), revision in any_revision(), cluster in any_cluster(),
    ) {
        let path = DataPath::of_route(&route, Some(&revision), &cluster);
        prop_assert!(path.reason().bytes().all(|byte| byte.is_ascii_alphanumeric()));
        prop_assert_eq!(path.message().is_empty(), path.is_direct());
    }
}
