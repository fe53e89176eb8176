// SPDX-License-Identifier: Apache-2.0
use super::*;
use crate::route::fixture::{World, latest, texts};

fn route() -> Route {
    World::with(vec![latest("", 100)]).route
}

fn balancer(ip: &str, internal: &str, domain: &str, mesh_only: bool) -> LoadBalancerIngress {
    LoadBalancerIngress {
        ip: ip.to_owned(),
        domain: domain.to_owned(),
        domain_internal: internal.to_owned(),
        mesh_only,
    }
}

fn status(private: Vec<LoadBalancerIngress>, public: Vec<LoadBalancerIngress>) -> IngressStatus {
    use crate::ingress::LoadBalancerStatus;
    IngressStatus {
        public_load_balancer: Some(LoadBalancerStatus { ingress: public }),
        private_load_balancer: Some(LoadBalancerStatus { ingress: private }),
        ..IngressStatus::default()
    }
}

fn led(private: Vec<LoadBalancerIngress>, public: Vec<LoadBalancerIngress>, is_private: bool) -> Option<ServiceSpec> {
    let placeholder = leading_to_gateway(&route(), "hello", &status(private, public), is_private)?;
    placeholder.service.spec
}

fn with_address(address: &str) -> Service {
    let mut service = with_own_address(&route(), "hello").service;
    service.spec.as_mut().unwrap().cluster_ip = Some(address.to_owned());
    service
}

#[test]
fn an_address_goes_before_a_name_and_a_name_inside_before_one_outside() {
    let spec = led(vec![balancer("1.2.3.4", "in", "out", true)], Vec::new(), false).unwrap();
    assert_eq!(spec.cluster_ip.as_deref(), Some("None"));
    let spec = led(vec![balancer("", "in", "out", true)], Vec::new(), false).unwrap();
    assert_eq!(spec.external_name.as_deref(), Some("in"));
    let spec = led(vec![balancer("", "", "out", true)], Vec::new(), false).unwrap();
    assert_eq!(spec.external_name.as_deref(), Some("out"));
    let spec = led(vec![balancer("", "", "", true)], Vec::new(), false).unwrap();
    assert_eq!((spec.type_.as_deref(), spec.cluster_ip), (Some("ClusterIP"), None));
    assert_eq!(led(vec![balancer("", "", "", false)], Vec::new(), false), None);
}

#[test]
fn the_public_gateway_serves_only_where_a_private_one_is_neither_there_nor_needed() {
    let (inside, outside) = (balancer("", "in", "", false), balancer("", "", "out", false));
    let name = |spec: Option<ServiceSpec>| spec.and_then(|spec| spec.external_name);
    assert_eq!(
        name(led(vec![inside.clone()], vec![outside.clone()], false)).as_deref(),
        Some("in")
    );
    assert_eq!(
        name(led(Vec::new(), vec![outside.clone()], false)).as_deref(),
        Some("out")
    );
    assert_eq!(name(led(Vec::new(), vec![outside.clone()], true)), None);
    assert_eq!(name(led(vec![inside.clone(), inside], vec![outside], false)), None);
}

#[test]
fn an_address_that_was_given_is_kept() {
    let existing = with_address("10.0.0.7");
    let wanted = with_own_address(&route(), "hello").service;
    assert_eq!(transition(&existing, wanted), Transition::Keep);
}

#[test]
fn what_the_api_server_adds_makes_no_difference() {
    let mut existing = with_address("10.0.0.7");
    let spec = existing.spec.as_mut().unwrap();
    spec.session_affinity = Some("None".to_owned());
    spec.internal_traffic_policy = Some("Cluster".to_owned());
    spec.cluster_ips = Some(vec!["10.0.0.7".to_owned()]);
    for port in spec.ports.iter_mut().flatten() {
        port.protocol = Some("TCP".to_owned());
        port.target_port = Some(IntOrString::Int(80));
    }
    let wanted = with_own_address(&route(), "hello").service;
    assert_eq!(transition(&existing, wanted), Transition::Keep);
}

#[test]
fn only_a_name_becomes_something_else_in_place() {
    let named = leading_outside(&route(), "hello", "a.b").service;
    let own = with_own_address(&route(), "hello").service;
    let headless = headless(&route(), "hello", "1.2.3.4").service;
    let address = with_address("10.0.0.7");
    let is_update = |from: &Service, to: &Service| matches!(transition(from, to.clone()), Transition::Update(_));
    let is_replace = |from: &Service, to: &Service| matches!(transition(from, to.clone()), Transition::Replace(_));
    assert!(is_update(&named, &own) && is_update(&named, &headless));
    assert!(is_replace(&address, &named) && is_replace(&address, &headless) && is_replace(&headless, &own));
}

#[test]
fn labels_of_others_stay() {
    let mut existing = with_address("10.0.0.7");
    existing
        .metadata
        .labels
        .get_or_insert_default()
        .extend(texts([("theirs", "x")]));
    let mut route = route();
    route.metadata.labels = Some(texts([("ours", "y"), (networking::VISIBILITY, "cluster-local")]));
    let Transition::Update(updated) = transition(&existing, with_own_address(&route, "hello").service) else {
        panic!("no update");
    };
    let labels = updated.metadata.labels.unwrap();
    assert_eq!((labels["theirs"].as_str(), labels["ours"].as_str()), ("x", "y"));
    assert!(!labels.contains_key(networking::VISIBILITY));
}
