// SPDX-License-Identifier: Apache-2.0
//! Domains in the states that they come through.

use super::*;
use crate::conditions::READY;
use crate::domain_mapping::status::{CERTIFICATE_PROVISIONED, DOMAIN_CLAIMED, REFERENCE_RESOLVED};
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

const ADDRESS: &str = "http://hello.default.svc.cluster.local";

fn now() -> Time {
    Time(Timestamp::UNIX_EPOCH)
}

fn mapping() -> DomainMapping {
    serde_json::from_value(json!({"metadata": {"name": "x.org", "namespace": "default", "uid": "u", "generation": 1}}))
        .unwrap()
}

fn claim(namespace: &str) -> ClusterDomainClaim {
    serde_json::from_value(json!({"metadata": {"name": "x.org"}, "spec": {"namespace": namespace}})).unwrap()
}

const NOTHING: Seen<'static> = Seen {
    claim: None,
    address: Ok(ADDRESS),
    certificate: None,
    ingress: None,
};

fn decide(mapping: &DomainMapping, seen: Seen<'_>, network: &Network) -> Decision {
    let settings = Settings {
        network,
        cluster_domain: "cluster.local",
    };
    reconcile(mapping, seen, settings, &now())
}

fn reason<'a>(decision: &'a Decision, kind: &str) -> (ConditionStatus, &'a str) {
    let condition = decision.status.condition(kind).unwrap();
    (condition.status, &condition.reason)
}

#[test]
fn a_domain_that_nobody_claims_is_refused_or_claimed() {
    let mut network = Network::default();
    let refused = decide(&mapping(), NOTHING, &network);
    assert!(refused.writes.is_empty());
    assert_eq!(
        reason(&refused, DOMAIN_CLAIMED),
        (ConditionStatus::False, "DomainAlreadyClaimed")
    );
    assert!(matches!(refused.error, Some(DomainMappingError::NoClaim(_))));
    network.autocreate_cluster_domain_claims = true;
    let claimed = decide(&mapping(), NOTHING, &network);
    assert!(matches!(
        claimed.writes.as_slice(),
        [Write::CreateClaim(_), Write::CreateIngress(_)]
    ));
    assert_eq!(reason(&claimed, DOMAIN_CLAIMED).0, ConditionStatus::True);
}

#[test]
fn a_domain_of_another_namespace_is_refused_whatever_the_operator_wants() {
    let network = Network {
        autocreate_cluster_domain_claims: true,
        ..Network::default()
    };
    let other = claim("other");
    let seen = Seen {
        claim: Some(&other),
        ..NOTHING
    };
    let decision = decide(&mapping(), seen, &network);
    assert!(decision.writes.is_empty());
    assert!(matches!(decision.error, Some(DomainMappingError::ClaimNotOwned { .. })));
    assert!(!releases_claim(&mapping(), &other, &network));
    assert!(releases_claim(&mapping(), &claim("default"), &network));
}

#[test]
fn a_target_that_is_not_there_is_told_with_its_reason() {
    let claim = claim("default");
    let seen = Seen {
        claim: Some(&claim),
        address: Err("services.serving.knative.dev \"hello\" not found"),
        ..NOTHING
    };
    let decision = decide(&mapping(), seen, &Network::default());
    assert_eq!(
        reason(&decision, REFERENCE_RESOLVED),
        (ConditionStatus::False, "ResolveFailed")
    );
    assert!(decision.writes.is_empty() && decision.error.is_some());
}

#[test]
fn it_is_ready_with_its_ingress_and_then_nothing_is_written() {
    let claim = claim("default");
    let seen = Seen {
        claim: Some(&claim),
        ..NOTHING
    };
    let first = decide(&mapping(), seen, &Network::default());
    let [Write::CreateIngress(made)] = first.writes.as_slice() else {
        panic!("{:?}", first.writes);
    };
    let mut ingress = Ingress::clone(made);
    ingress.metadata.generation = Some(1);
    ingress.status.observed.observed_generation = 1;
    ingress.status.mark_network_configured(&now());
    ingress.status.mark_load_balancer_ready(Vec::new(), Vec::new(), &now());
    let seen = Seen {
        ingress: Some(&ingress),
        ..seen
    };
    let second = decide(&mapping(), seen, &Network::default());
    assert!(second.writes.is_empty() && second.error.is_none());
    assert_eq!(reason(&second, READY).0, ConditionStatus::True);
    assert_eq!(second.status.url.as_deref(), Some("http://x.org"));
}

#[test]
fn a_certificate_is_asked_for_and_http_serves_until_it_is_there() {
    let network = Network {
        external_domain_tls: true,
        http_protocol: HttpProtocol::Enabled,
        ..Network::default()
    };
    let claim = claim("default");
    let seen = Seen {
        claim: Some(&claim),
        ..NOTHING
    };
    let first = decide(&mapping(), seen, &network);
    let [Write::CreateCertificate(made), Write::CreateIngress(_)] = first.writes.as_slice() else {
        panic!("{:?}", first.writes);
    };
    assert_eq!(
        reason(&first, CERTIFICATE_PROVISIONED),
        (ConditionStatus::True, "HTTPDowngrade")
    );
    assert_eq!(first.status.url.as_deref(), Some("http://x.org"));
    let mut certificate = Certificate::clone(made);
    certificate.status.marks(&now()).mark_true(READY);
    let seen = Seen {
        certificate: Some(&certificate),
        ..seen
    };
    let second = decide(&mapping(), seen, &network);
    let [Write::CreateIngress(ingress)] = second.writes.as_slice() else {
        panic!("{:?}", second.writes);
    };
    assert_eq!(
        ingress.spec.tls.first().map(|tls| tls.hosts.as_slice()),
        Some(&["x.org".to_owned()][..])
    );
    assert_eq!(second.status.url.as_deref(), Some("https://x.org"));
}
