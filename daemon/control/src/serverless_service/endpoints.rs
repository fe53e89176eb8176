// SPDX-License-Identifier: Apache-2.0
//! Who stands behind the public Service of a revision: data-plane spec 2.4, "Which endpoints go public".
//!
//! Problem: whoever reaches a revision by the address of its Service must always reach somebody who can answer, also where
//! no kernel of ours redirects him: a pod, or a gateway that holds the request.
//! Mechanism: Knative's table, with gateways for its activators; of many gateways the consistent choice by the name of the
//! ServerlessService. An EndpointSlice a family of addresses is what Kubernetes reads.
//! Invariants: the same input gives the same slices, byte for byte; nobody is listed twice.
//! Depends on: api (names), logic::limiter::subset.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use api::names::protocol;
use api::serverless_service::ServerlessService;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use logic::kpa::Mode;
use logic::limiter::subset::choose_subset;

/// The label by which Kubernetes finds the slices of a Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The label that says who keeps a slice.
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// Who keeps these.
const KEEPER: &str = "sluice.dev";

/// A ready pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Backend {
    /// Where it takes requests.
    pub address: SocketAddr,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The node it runs on, if that is known.
    pub node: Option<String>,
}

/// What is chosen from.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// The ready pods.
    pub pods: &'a [Backend],
    /// Where gateways take requests.
    pub gateways: &'a [SocketAddr],
}

/// Whom the public Service leads to: what is wished, unless nobody is there.
#[must_use]
pub fn effective(wished: Mode, choice: Choice<'_>) -> Mode {
    let mode = match choice.pods.is_empty() {
        true => Mode::Proxy,
        false => wished,
    };
    match choice.gateways.is_empty() {
        true => Mode::Serve,
        false => mode,
    }
}

/// The gateways that stand for a revision: `count` of them, 0: all.
#[must_use]
pub fn gateways(all: &[SocketAddr], count: i32, name: &str) -> Vec<SocketAddr> {
    let addresses: BTreeSet<String> = all.iter().map(|gateway| gateway.ip().to_string()).collect();
    let addresses: Vec<String> = addresses.into_iter().collect();
    let count = usize::try_from(count).unwrap_or(0);
    let chosen: Option<BTreeSet<String>> =
        (count > 0 && addresses.len() > count).then(|| choose_subset(&addresses, count, name).into_iter().collect());
    let is_chosen = |gateway: &&SocketAddr| {
        let chosen = chosen.as_ref();
        chosen.is_none_or(|chosen| chosen.contains(&gateway.ip().to_string()))
    };
    let unique: BTreeSet<SocketAddr> = all.iter().filter(is_chosen).copied().collect();
    unique.into_iter().collect()
}

/// The slices of the public Service, by name; one that is not among them is not wanted any more.
#[must_use]
pub fn slices(services: &ServerlessService, wished: Mode, choice: Choice<'_>) -> Vec<EndpointSlice> {
    let listed: Vec<Listed<'_>> = match effective(wished, choice) {
        Mode::Serve => choice.pods.iter().map(Listed::Pod).collect(),
        Mode::Proxy => gateways(choice.gateways, services.spec.num_activators, services.name())
            .into_iter()
            .map(Listed::Gateway)
            .collect(),
    };
    let family = |is_second: bool| {
        let mut listed: Vec<_> = listed
            .iter()
            .filter(|one| one.address().is_ipv6() == is_second)
            .collect();
        listed.sort_by_key(|one| one.address());
        listed.dedup_by_key(|one| one.address());
        listed
    };
    // The first family keeps the name of the Service, and is there even when nobody is.
    let first = slice(services, "IPv4", &family(false));
    let second = Some(family(true)).filter(|listed| !listed.is_empty());
    let second = second.map(|listed| slice(services, "IPv6", &listed));
    std::iter::once(first).chain(second).collect()
}

/// The names that the slices of a ServerlessService can have.
#[must_use]
pub fn names(services: &ServerlessService) -> [String; 2] {
    [services.name().to_owned(), format!("{}-v6", services.name())]
}

enum Listed<'a> {
    Pod(&'a Backend),
    Gateway(SocketAddr),
}

impl Listed<'_> {
    fn address(&self) -> SocketAddr {
        match self {
            Self::Pod(pod) => pod.address,
            Self::Gateway(address) => *address,
        }
    }

    fn endpoint(&self) -> Endpoint {
        let pod = match self {
            Self::Pod(pod) => Some(*pod),
            Self::Gateway(_) => None,
        };
        Endpoint {
            addresses: vec![self.address().ip().to_string()],
            conditions: Some(EndpointConditions {
                ready: Some(true),
                ..EndpointConditions::default()
            }),
            node_name: pod.and_then(|pod| pod.node.clone()),
            target_ref: pod.map(|pod| ObjectReference {
                kind: Some("Pod".to_owned()),
                name: Some(pod.name.clone()),
                uid: Some(pod.uid.clone()),
                ..ObjectReference::default()
            }),
            ..Endpoint::default()
        }
    }
}

/// A slice has one set of ports: all pods of a revision have the same one, and so have all gateways.
fn slice(services: &ServerlessService, family: &str, listed: &[&Listed<'_>]) -> EndpointSlice {
    let [first, second] = names(services);
    let port = listed.first().map(|one| one.address().port());
    let is_h2c = services.spec.protocol_type == protocol::H2C;
    let mut labels = services.metadata.labels.clone().unwrap_or_default();
    labels.insert(SERVICE_NAME.to_owned(), services.name().to_owned());
    labels.insert(MANAGED_BY.to_owned(), KEEPER.to_owned());
    EndpointSlice {
        metadata: ObjectMeta {
            name: Some(if family == "IPv4" { first } else { second }),
            namespace: services.metadata.namespace.clone(),
            labels: Some(labels),
            owner_references: Some(vec![services.controller_reference()]),
            ..ObjectMeta::default()
        },
        address_type: family.to_owned(),
        endpoints: listed
            .iter()
            .filter(|one| Some(one.address().port()) == port)
            .map(|one| one.endpoint())
            .collect(),
        ports: Some(vec![EndpointPort {
            name: Some(if is_h2c { "http2" } else { "http" }.to_owned()),
            port: port.map(i32::from),
            protocol: Some("TCP".to_owned()),
            app_protocol: is_h2c.then(|| "kubernetes.io/h2c".to_owned()),
        }]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sks(activators: i32) -> ServerlessService {
        let mut sks = ServerlessService::default();
        sks.metadata.name = Some("hello-00001".to_owned());
        sks.metadata.namespace = Some("default".to_owned());
        sks.spec.num_activators = activators;
        sks
    }

    fn pod(number: u8) -> Backend {
        Backend {
            address: SocketAddr::from(([10, 0, 0, number], 8080)),
            name: format!("pod-{number}"),
            uid: format!("uid-{number}"),
            node: None,
        }
    }

    fn gateway(number: u8) -> SocketAddr {
        SocketAddr::from(([10, 1, 0, number], 8012))
    }

    fn addresses(slices: &[EndpointSlice]) -> Vec<String> {
        let endpoints = slices.iter().flat_map(|slice| &slice.endpoints);
        endpoints.flat_map(|endpoint| endpoint.addresses.clone()).collect()
    }

    #[test]
    fn knatives_table_says_who_stands_behind() {
        let (pods, gateways) = ([pod(1)], [gateway(1)]);
        let who = |wished, pods: &[Backend], gateways: &[SocketAddr]| effective(wished, Choice { pods, gateways });
        assert_eq!(who(Mode::Serve, &pods, &gateways), Mode::Serve);
        assert_eq!(who(Mode::Proxy, &pods, &gateways), Mode::Proxy);
        assert_eq!(
            who(Mode::Serve, &[], &gateways),
            Mode::Proxy,
            "a request must wait somewhere"
        );
        assert_eq!(who(Mode::Proxy, &pods, &[]), Mode::Serve, "nobody else is there");
        assert_eq!(who(Mode::Proxy, &[], &[]), Mode::Serve);
    }

    #[test]
    fn a_slice_is_there_even_when_nobody_is() {
        let none = Choice {
            pods: &[],
            gateways: &[],
        };
        let slices = slices(&sks(2), Mode::Proxy, none);
        assert_eq!(slices.len(), 1);
        assert!(slices[0].endpoints.is_empty());
        assert_eq!(slices[0].metadata.labels.as_ref().unwrap()[SERVICE_NAME], "hello-00001");
    }

    #[test]
    fn the_port_is_that_of_whom_it_leads_to() {
        let choice = Choice {
            pods: &[pod(1)],
            gateways: &[gateway(1)],
        };
        let port = |wished| slices(&sks(2), wished, choice)[0].ports.as_ref().unwrap()[0].port;
        assert_eq!((port(Mode::Serve), port(Mode::Proxy)), (Some(8080), Some(8012)));
    }

    #[test]
    fn each_family_of_addresses_has_its_slice() {
        let six = Backend {
            address: "[fd00::1]:8080".parse().unwrap(),
            ..pod(2)
        };
        let choice = Choice {
            pods: &[pod(1), six],
            gateways: &[],
        };
        let slices = slices(&sks(2), Mode::Serve, choice);
        let names: Vec<_> = slices
            .iter()
            .map(|slice| slice.metadata.name.clone().unwrap())
            .collect();
        assert_eq!(names, self::names(&sks(2)));
    }

    proptest! {
        #[test]
        fn somebody_stands_behind_whenever_somebody_is_there(
            pods in proptest::collection::btree_set(0_u8..20, 0..6),
            gateways in proptest::collection::btree_set(0_u8..20, 0..8),
            activators in 0_i32..6,
            serves: bool,
        ) {
            let pods: Vec<_> = pods.into_iter().map(pod).collect();
            let all: Vec<_> = gateways.into_iter().map(gateway).collect();
            let choice = Choice { pods: &pods, gateways: &all };
            let wished = if serves { Mode::Serve } else { Mode::Proxy };
            let listed = addresses(&slices(&sks(activators), wished, choice));
            prop_assert_eq!(listed.is_empty(), pods.is_empty() && all.is_empty());
            let unique: BTreeSet<_> = listed.iter().collect();
            prop_assert_eq!(unique.len(), listed.len());
            let count = usize::try_from(activators).unwrap();
            match effective(wished, choice) {
                Mode::Serve => prop_assert_eq!(listed.len(), pods.len()),
                Mode::Proxy if count == 0 => prop_assert_eq!(listed.len(), all.len()),
                Mode::Proxy => prop_assert_eq!(listed.len(), count.min(all.len())),
            }
        }

        #[test]
        fn the_choice_of_gateways_does_not_depend_on_their_order(
            mut all in proptest::collection::vec(0_u8..30, 1..12),
            count in 0_i32..5,
        ) {
            let listed = |all: &[u8]| {
                let all: Vec<_> = all.iter().copied().map(gateway).collect();
                gateways(&all, count, "hello-00001")
            };
            let before = listed(&all);
            all.reverse();
            prop_assert_eq!(listed(&all), before);
        }
    }
}
