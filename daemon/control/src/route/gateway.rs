// SPDX-License-Identifier: Apache-2.0
//! Where our own gateway is, for placeholder Services with an address of their own: design 4.2.
//!
//! Problem: such a Service has no selector; who connects to its address must reach the gateway unless the kernel knows better.
//! Mechanism: an EndpointSlice a Service and family of addresses, owned by the Service and labelled with its Route.
//! Invariants: the same gateways in any order give the same slice.
//! Depends on: api (names), k8s-openapi.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use api::child_name::child_name;
use api::names::{kubernetes, product, serving};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// The name of the Service's port.
const PORT_NAME: &str = "http";

/// The slices that lead a placeholder Service to the gateways.
#[must_use]
pub fn slices(service: &Service, gateways: &[SocketAddr]) -> Vec<EndpointSlice> {
    // Gateways of one port make one slice; there is one port in practice.
    let mut groups: BTreeMap<(bool, u16), Vec<IpAddr>> = BTreeMap::new();
    for gateway in gateways {
        let group = groups.entry((gateway.is_ipv6(), gateway.port())).or_default();
        group.push(gateway.ip());
    }
    groups
        .into_iter()
        .map(|((is_ipv6, port), mut addresses)| {
            addresses.sort_unstable();
            addresses.dedup();
            slice(service, is_ipv6, port, &addresses)
        })
        .collect()
}

fn slice(service: &Service, is_ipv6: bool, port: u16, addresses: &[IpAddr]) -> EndpointSlice {
    let name = service.metadata.name.clone().unwrap_or_default();
    let family = if is_ipv6 { "IPv6" } else { "IPv4" };
    let mut labels = BTreeMap::from([
        (kubernetes::SERVICE_NAME.to_owned(), name.clone()),
        (
            kubernetes::MANAGED_BY.to_owned(),
            format!("{}control", product::PREFIX).replace('/', "-"),
        ),
    ]);
    let route = service
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(serving::ROUTE));
    if let Some(route) = route {
        labels.insert(serving::ROUTE.to_owned(), route.clone());
    }
    EndpointSlice {
        metadata: ObjectMeta {
            name: Some(child_name(&name, &format!("-gateway-{}-{port}", family.to_lowercase()))),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels),
            owner_references: Some(vec![OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Service".to_owned(),
                name,
                uid: service.metadata.uid.clone().unwrap_or_default(),
                controller: Some(true),
                block_owner_deletion: Some(true),
            }]),
            ..ObjectMeta::default()
        },
        address_type: family.to_owned(),
        endpoints: addresses.iter().map(endpoint).collect(),
        ports: Some(vec![EndpointPort {
            name: Some(PORT_NAME.to_owned()),
            port: Some(i32::from(port)),
            protocol: Some("TCP".to_owned()),
            ..EndpointPort::default()
        }]),
    }
}

fn endpoint(address: &IpAddr) -> Endpoint {
    Endpoint {
        addresses: vec![address.to_string()],
        conditions: Some(EndpointConditions {
            ready: Some(true),
            serving: Some(true),
            terminating: Some(false),
        }),
        ..Endpoint::default()
    }
}

/// The slice to be written over `existing`; none where it is as wanted.
#[must_use]
pub fn update(existing: &EndpointSlice, wanted: EndpointSlice) -> Option<EndpointSlice> {
    let is_same = existing.endpoints == wanted.endpoints
        && existing.ports == wanted.ports
        && existing.metadata.labels == wanted.metadata.labels
        && existing.metadata.owner_references == wanted.metadata.owner_references;
    let mut updated = existing.clone();
    updated.endpoints = wanted.endpoints;
    updated.ports = wanted.ports;
    updated.metadata.labels = wanted.metadata.labels;
    updated.metadata.owner_references = wanted.metadata.owner_references;
    (!is_same).then_some(updated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Service {
        let mut service = Service::default();
        service.metadata.name = Some("hello".to_owned());
        service.metadata.uid = Some("u".to_owned());
        service
    }

    #[test]
    fn the_order_of_the_gateways_does_not_matter() {
        let gateways: [SocketAddr; 3] =
            ["10.0.0.2:80", "10.0.0.1:80", "[fd00::1]:80"].map(|text| text.parse().unwrap());
        let mut turned = gateways;
        turned.reverse();
        let found = slices(&service(), &gateways);
        assert_eq!(found, slices(&service(), &turned));
        let families: Vec<_> = found.iter().map(|slice| slice.address_type.as_str()).collect();
        assert_eq!(families, ["IPv4", "IPv6"]);
        assert_eq!(found.first().map(|slice| slice.endpoints.len()), Some(2));
    }

    #[test]
    fn a_slice_that_is_as_wanted_is_left_alone() {
        let wanted = |gateway: &str| slices(&service(), &[gateway.parse().unwrap()]).remove(0);
        assert_eq!(update(&wanted("10.0.0.1:80"), wanted("10.0.0.1:80")), None);
        assert!(update(&wanted("10.0.0.1:80"), wanted("10.0.0.2:80")).is_some());
    }
}
