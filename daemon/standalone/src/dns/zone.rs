// SPDX-License-Identifier: Apache-2.0
//! The zone: names of Services, and what they lead to.
//!
//! Mechanism: `SERVICE.NAMESPACE.svc.DOMAIN` is the Service's address, the addresses of its ready pods if it is headless,
//! or another name; `_PORT._PROTOCOL.` before it is the port; an address with dashes before it is one endpoint.
//! Invariants: pure; a name that exists, or has others below it, is never denied.
//! Depends on: store, hickory (names and records).

use std::net::Ipv4Addr;
use std::sync::Arc;

use hickory_proto::rr::rdata::{A, CNAME, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use serde_json::Value;

use crate::key::Key;
use crate::meta;
use crate::resource;
use crate::store::Store;

/// How long an answer holds, in seconds; short, as Services come and go.
pub(super) const TTL: u32 = 5;

/// What the zone says to a question.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    /// The name is of another zone.
    Elsewhere,
    /// There is no such name.
    Nothing,
    /// The records of the type, perhaps none, and what helps with them.
    Records(Vec<Record>, Vec<Record>),
    /// It is another name for this one.
    Alias(Box<Record>, Name),
}

/// What a name means within the zone.
enum Place<'a> {
    Inner(Option<&'a str>),
    Service(&'a str, &'a str),
    Endpoint(&'a str, &'a str, &'a str),
    Port(&'a str, &'a str, &'a str, &'a str),
    Unknown,
}

/// Answers a question about a name in lower case.
pub(super) fn find(store: &Store, domain: &Name, name: &Name, wanted: RecordType) -> Found {
    if !domain.zone_of(name) {
        return Found::Elsewhere;
    }
    let count = usize::from(name.num_labels().saturating_sub(domain.num_labels()));
    let labels: Option<Vec<&str>> = name
        .iter()
        .take(count)
        .map(|label| str::from_utf8(label).ok())
        .collect();
    let Some(labels) = labels else {
        return Found::Nothing;
    };
    match place(&labels) {
        Place::Inner(None) => Found::Records(Vec::new(), Vec::new()),
        Place::Inner(Some(namespace)) => inner(store, namespace),
        Place::Service(service, namespace) => of_service(store, name, service, namespace, wanted),
        Place::Endpoint(address, service, namespace) => endpoint(store, name, address, (service, namespace), wanted),
        Place::Port(port, protocol, service, namespace) => {
            let below = name.trim_to(usize::from(name.num_labels()).saturating_sub(2));
            ports(store, (name, &below), (port, protocol), (service, namespace), wanted)
        }
        Place::Unknown => Found::Nothing,
    }
}

fn place<'a>(labels: &[&'a str]) -> Place<'a> {
    match labels {
        [] | ["svc"] => Place::Inner(None),
        [namespace, "svc"] => Place::Inner(Some(namespace)),
        [service, namespace, "svc"] => Place::Service(service, namespace),
        [address, service, namespace, "svc"] => Place::Endpoint(address, service, namespace),
        [port, protocol, service, namespace, "svc"] => match (port.strip_prefix('_'), protocol.strip_prefix('_')) {
            (Some(port), Some(protocol)) => Place::Port(port, protocol, service, namespace),
            _ => Place::Unknown,
        },
        _ => Place::Unknown,
    }
}

fn inner(store: &Store, namespace: &str) -> Found {
    let found = resource::find("", "v1", "namespaces").and_then(|kind| store.get(&Key::new(kind, "", namespace)));
    match found {
        Some(_) => Found::Records(Vec::new(), Vec::new()),
        None => Found::Nothing,
    }
}

fn service(store: &Store, name: &str, namespace: &str) -> Option<Arc<Value>> {
    store.get(&Key::new(resource::find("", "v1", "services")?, namespace, name))
}

fn of_service(store: &Store, name: &Name, service_name: &str, namespace: &str, wanted: RecordType) -> Found {
    let Some(service) = service(store, service_name, namespace) else {
        return Found::Nothing;
    };
    if service["spec"]["type"] == "ExternalName" {
        let target = service["spec"]["externalName"].as_str().unwrap_or_default();
        return match Name::from_ascii(target.trim_end_matches('.')) {
            Ok(mut target) => {
                target.set_fqdn(true);
                let alias = record(name, RData::CNAME(CNAME(target.clone())));
                Found::Alias(Box::new(alias), target)
            }
            Err(_) => Found::Records(Vec::new(), Vec::new()),
        };
    }
    if wanted != RecordType::A {
        return Found::Records(Vec::new(), Vec::new());
    }
    let records = addresses(store, &service)
        .into_iter()
        .map(|address| record(name, RData::A(A(address))));
    Found::Records(records.collect(), Vec::new())
}

/// The address of a Service, or those of its ready endpoints if it has none itself.
fn addresses(store: &Store, service: &Value) -> Vec<Ipv4Addr> {
    match service["spec"]["clusterIP"].as_str() {
        Some("None") | None => endpoints(store, service)
            .into_iter()
            .map(|(address, _)| address)
            .collect(),
        Some(address) => address.parse().into_iter().collect(),
    }
}

/// The ready endpoints of a Service, with the ports of their slice.
fn endpoints(store: &Store, service: &Value) -> Vec<(Ipv4Addr, Value)> {
    let own = store
        .dependents(meta::uid(service))
        .filter(|(key, _)| key.resource.kind == "EndpointSlice");
    let mut slices: Vec<Arc<Value>> = own.map(|(_, slice)| slice).collect();
    if slices.is_empty() {
        slices = others(store, service);
    }
    let mut found = Vec::new();
    for slice in slices {
        for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
            if endpoint["conditions"]["ready"] == false {
                continue;
            }
            let listed = endpoint["addresses"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            found.extend(listed.filter_map(|text| Some((text.parse().ok()?, slice["ports"].clone()))));
        }
    }
    found
}

/// Slices that somebody else made for a Service.
fn others(store: &Store, service: &Value) -> Vec<Arc<Value>> {
    let Some(kind) = resource::find("discovery.k8s.io", "v1", "endpointslices") else {
        return Vec::new();
    };
    let name = meta::name(service);
    let namespace = meta::namespace(service).to_owned();
    let is_its = |slice: &Value| slice["metadata"]["labels"]["kubernetes.io/service-name"] == name;
    let from = Key::new(kind, &namespace, "");
    store
        .list_from(&from)
        .map(|(_, slice)| slice)
        .filter(|slice| is_its(slice))
        .collect()
}

fn endpoint(
    store: &Store,
    name: &Name,
    dashed: &str,
    (service_name, namespace): (&str, &str),
    wanted: RecordType,
) -> Found {
    let address: Option<Ipv4Addr> = dashed.replace('-', ".").parse().ok();
    let (Some(address), Some(service)) = (address, service(store, service_name, namespace)) else {
        return Found::Nothing;
    };
    if service["spec"]["clusterIP"] != "None" || endpoints(store, &service).iter().all(|(one, _)| *one != address) {
        return Found::Nothing;
    }
    let records = (wanted == RecordType::A).then(|| record(name, RData::A(A(address))));
    Found::Records(records.into_iter().collect(), Vec::new())
}

/// Where a named port is: at the Service, or at each endpoint of one without an address.
fn ports(
    store: &Store,
    (name, below): (&Name, &Name),
    (port, protocol): (&str, &str),
    (service_name, namespace): (&str, &str),
    wanted: RecordType,
) -> Found {
    let Some(service) = service(store, service_name, namespace) else {
        return Found::Nothing;
    };
    let is_it = |one: &&Value| {
        let own = one["protocol"].as_str().unwrap_or("TCP");
        one["name"] == port && own.eq_ignore_ascii_case(protocol)
    };
    let listed = service["spec"]["ports"].as_array().into_iter().flatten();
    let Some(own) = listed.clone().find(is_it) else {
        return Found::Nothing;
    };
    if wanted != RecordType::SRV {
        return Found::Records(Vec::new(), Vec::new());
    }
    let number = |port: &Value| port["port"].as_u64().and_then(|number| u16::try_from(number).ok());
    let (mut records, mut additions) = (Vec::new(), Vec::new());
    let mut add = |target: Name, port: Option<u16>, address: Option<Ipv4Addr>| {
        if let Some(port) = port {
            records.push(record(name, RData::SRV(SRV::new(0, 100, port, target.clone()))));
            additions.extend(address.map(|address| record(&target, RData::A(A(address)))));
        }
    };
    if service["spec"]["clusterIP"] != "None" {
        add(below.clone(), number(own), addresses(store, &service).first().copied());
        return Found::Records(records, additions);
    }
    for (address, ports) in endpoints(store, &service) {
        let dashed = address.to_string().replace('.', "-");
        let found = ports.as_array().into_iter().flatten().find(is_it);
        if let (Ok(target), Some(found)) = (below.prepend_label(dashed.as_bytes()), found) {
            add(target, number(found), Some(address));
        }
    }
    Found::Records(records, additions)
}

fn record(name: &Name, data: RData) -> Record {
    Record::from_rdata(name.clone(), TTL, data)
}
