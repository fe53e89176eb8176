// SPDX-License-Identifier: Apache-2.0
//! The Services that make the hosts of a Route known inside the cluster: control-plane spec 4.7.
//!
//! Problem: every tag of a Route is a name in the cluster's DNS, which must lead to the gateway wherever that is.
//! Mechanism: a Service without selector for every tag; first it names the host outside, then what the Ingress says of
//! the gateway: an address, a name, or that the Service has an address of its own.
//! Invariants: labels and annotations are added, never taken; what cannot be changed in place is made anew.
//! Depends on: route (its types), ingress (its types), names.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Service, ServicePort, ServiceSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Route;
use crate::ingress::{IngressStatus, LoadBalancerIngress};
use crate::names::{networking, serving};

const PORT: i32 = 80;
const H2C_PORT_NAME: &str = "http2";
const H2C_PROTOCOL: &str = "kubernetes.io/h2c";
/// How Go writes a target port that nobody set; the API server takes the port itself.
const SAME_PORT: IntOrString = IntOrString::Int(0);
const EXTERNAL_NAME: &str = "ExternalName";
const CLUSTER_IP: &str = "ClusterIP";
/// The address of a Service that has none.
const NO_ADDRESS: &str = "None";

/// A placeholder Service, with the Endpoints that it needs if it has no address of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Placeholder {
    /// The Service.
    pub service: Service,
    /// Where it leads, when that is an address.
    pub endpoints: Option<Endpoints>,
}

/// The Service before anything is known of the gateway: it stands for `host`, a name outside.
#[must_use]
pub fn leading_outside(route: &Route, name: &str, host: &str) -> Placeholder {
    let spec = named(host, Some("None"));
    placeholder(route, name, spec, None)
}

/// The Service with an address of its own.
#[must_use]
pub fn with_own_address(route: &Route, name: &str) -> Placeholder {
    let port = ServicePort {
        name: Some("http".to_owned()),
        port: PORT,
        target_port: Some(SAME_PORT),
        ..ServicePort::default()
    };
    let spec = ServiceSpec {
        type_: Some(CLUSTER_IP.to_owned()),
        ports: Some(vec![port]),
        ..ServiceSpec::default()
    };
    placeholder(route, name, spec, None)
}

/// The Service as the status of the Ingress wants it; none while that does not name exactly one usable gateway.
#[must_use]
pub fn leading_to_gateway(route: &Route, name: &str, ingress: &IngressStatus, is_private: bool) -> Option<Placeholder> {
    let gateway = gateway(ingress, is_private)?;
    if !gateway.ip.is_empty() {
        return Some(headless(route, name, &gateway.ip));
    }
    if !gateway.domain_internal.is_empty() {
        return Some(placeholder(
            route,
            name,
            named(&gateway.domain_internal, Some("None")),
            None,
        ));
    }
    if !gateway.domain.is_empty() {
        return Some(placeholder(route, name, named(&gateway.domain, None), None));
    }
    gateway.mesh_only.then(|| with_own_address(route, name))
}

/// The one gateway to use: the private one if there is any, or must be.
fn gateway(ingress: &IngressStatus, is_private: bool) -> Option<&LoadBalancerIngress> {
    let private = ingress.private_load_balancer.as_ref();
    let has_private = private.is_some_and(|balancer| !balancer.ingress.is_empty());
    let chosen = match is_private || has_private {
        true => private,
        false => ingress.public_load_balancer.as_ref(),
    };
    match chosen?.ingress.as_slice() {
        [only] => Some(only),
        _ => None,
    }
}

fn named(host: &str, session_affinity: Option<&str>) -> ServiceSpec {
    ServiceSpec {
        type_: Some(EXTERNAL_NAME.to_owned()),
        external_name: Some(host.to_owned()),
        session_affinity: session_affinity.map(str::to_owned),
        ports: Some(vec![h2c_port()]),
        ..ServiceSpec::default()
    }
}

fn headless(route: &Route, name: &str, address: &str) -> Placeholder {
    let spec = ServiceSpec {
        type_: Some(CLUSTER_IP.to_owned()),
        cluster_ip: Some(NO_ADDRESS.to_owned()),
        ports: Some(vec![h2c_port()]),
        ..ServiceSpec::default()
    };
    let subset = EndpointSubset {
        addresses: Some(vec![EndpointAddress {
            ip: address.to_owned(),
            ..EndpointAddress::default()
        }]),
        ports: Some(vec![EndpointPort {
            name: Some(H2C_PORT_NAME.to_owned()),
            port: PORT,
            app_protocol: Some(H2C_PROTOCOL.to_owned()),
            ..EndpointPort::default()
        }]),
        ..EndpointSubset::default()
    };
    placeholder(route, name, spec, Some(subset))
}

fn h2c_port() -> ServicePort {
    ServicePort {
        name: Some(H2C_PORT_NAME.to_owned()),
        app_protocol: Some(H2C_PROTOCOL.to_owned()),
        port: PORT,
        target_port: Some(IntOrString::Int(PORT)),
        ..ServicePort::default()
    }
}

fn placeholder(route: &Route, name: &str, spec: ServiceSpec, subset: Option<EndpointSubset>) -> Placeholder {
    let metadata = metadata(route, name);
    let endpoints = subset.map(|subset| Endpoints {
        metadata: metadata.clone(),
        subsets: Some(vec![subset]),
    });
    let service = Service {
        metadata,
        spec: Some(spec),
        status: None,
    };
    Placeholder { service, endpoints }
}

/// The label that makes a Route private is not handed on: a user may set it on the Service of one tag.
fn metadata(route: &Route, name: &str) -> ObjectMeta {
    let mut labels = route.metadata.labels.clone().unwrap_or_default();
    labels.remove(networking::VISIBILITY);
    labels.insert(serving::ROUTE.to_owned(), route.name().to_owned());
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: route.metadata.namespace.clone(),
        labels: Some(labels),
        annotations: route.metadata.annotations.clone(),
        owner_references: Some(vec![route.controller_reference()]),
        ..ObjectMeta::default()
    }
}

/// What must happen to a Service so that it is as wanted.
#[derive(Clone, Debug, PartialEq)]
pub enum Transition {
    /// Nothing.
    Keep,
    /// It is written again.
    Update(Box<Service>),
    /// It is deleted and made anew: the API server refuses the change.
    Replace(Box<Service>),
}

/// How a Service becomes the wanted one.
#[must_use]
pub fn transition(existing: &Service, wanted: Service) -> Transition {
    let Some(spec) = changed_in_place(existing, &wanted) else {
        return Transition::Replace(Box::new(wanted));
    };
    let labels = united(existing.metadata.labels.as_ref(), wanted.metadata.labels.as_ref());
    let annotations = united(
        existing.metadata.annotations.as_ref(),
        wanted.metadata.annotations.as_ref(),
    );
    let is_same = as_written(existing.spec.as_ref()) == as_written(Some(&spec))
        && labels == existing.metadata.labels.clone().unwrap_or_default()
        && annotations == existing.metadata.annotations.clone().unwrap_or_default();
    if is_same {
        return Transition::Keep;
    }
    let mut updated = existing.clone();
    updated.spec = Some(spec);
    updated.metadata.labels = Some(labels).filter(|labels| !labels.is_empty());
    updated.metadata.annotations = Some(annotations).filter(|annotations| !annotations.is_empty());
    Transition::Update(Box::new(updated))
}

/// The wanted spec with the address that the Service has; none where the API server would refuse it.
fn changed_in_place(existing: &Service, wanted: &Service) -> Option<ServiceSpec> {
    let wanted = wanted.spec.clone().unwrap_or_default();
    let existing = existing.spec.as_ref()?;
    let is_address = |spec: &ServiceSpec| spec.type_.as_deref().unwrap_or(CLUSTER_IP) == CLUSTER_IP;
    if !is_address(existing) {
        return Some(wanted);
    }
    if !is_address(&wanted) {
        return None;
    }
    let had = existing.cluster_ip.clone().unwrap_or_default();
    let wants = wanted.cluster_ip.clone().unwrap_or_default();
    if had == wants {
        return Some(wanted);
    }
    let may_keep = had != NO_ADDRESS && wants.is_empty();
    let kept = ServiceSpec {
        cluster_ip: Some(had),
        ..wanted
    };
    may_keep.then_some(kept)
}

/// A spec without what the API server adds to the ones made here, so that equal ones compare equal.
fn as_written(spec: Option<&ServiceSpec>) -> ServiceSpec {
    let spec = spec.cloned().unwrap_or_default();
    let ports = spec.ports.unwrap_or_default().into_iter().map(|port| ServicePort {
        protocol: None,
        node_port: None,
        target_port: port
            .target_port
            .filter(|target| ![SAME_PORT, IntOrString::Int(port.port)].contains(target)),
        ..port
    });
    ServiceSpec {
        type_: spec.type_,
        external_name: spec.external_name,
        cluster_ip: spec.cluster_ip,
        session_affinity: Some(spec.session_affinity.unwrap_or_else(|| "None".to_owned())),
        selector: spec.selector.filter(|selector| !selector.is_empty()),
        ports: Some(ports.collect()),
        ..ServiceSpec::default()
    }
}

fn united(
    existing: Option<&BTreeMap<String, String>>,
    wanted: Option<&BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    let all = [existing, wanted].into_iter().flatten().flatten();
    all.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Whether a placeholder Service was labelled by its user so that its tag is not reached from outside.
#[must_use]
pub fn is_private(service: &Service) -> bool {
    let labels = service.metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get(networking::VISIBILITY))
        .is_some_and(|visibility| !visibility.is_empty())
}

/// Whether it is this Route's, by its label, and private.
#[must_use]
pub fn is_private_to(service: &Service, route: &Route) -> bool {
    let labels = service.metadata.labels.as_ref();
    let of_route = labels.and_then(|labels| labels.get(serving::ROUTE));
    of_route.map(String::as_str) == Some(route.name()) && is_private(service)
}

#[cfg(test)]
mod tests;
