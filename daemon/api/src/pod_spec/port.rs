// SPDX-License-Identifier: Apache-2.0
//! The ports of containers: control-plane spec 2.4.
//!
//! Depends on: allowed.

use k8s_openapi::api::core::v1::{Container, ContainerPort};
use logic::settings::Features;

use super::allowed;
use crate::field_error::FieldErrors;

/// What the queue-proxy listens on; 8112 is not among them in Knative either.
const RESERVED: [i32; 6] = [8008, 8012, 8013, 8022, 9090, 9091];
const DEFAULT_NAME: &str = "http";
const DEFAULT_PORT: i32 = 8080;

/// The port that gets the requests, with its defaults.
pub(super) fn serving(containers: &[Container]) -> ContainerPort {
    let mut port = ports(containers).last().cloned().unwrap_or_default();
    if port.name.as_deref().unwrap_or_default().is_empty() {
        port.name = Some(DEFAULT_NAME.to_owned());
    }
    if port.container_port == 0 {
        port.container_port = DEFAULT_PORT;
    }
    port
}

/// The first port of each container that has any.
fn ports(containers: &[Container]) -> impl Iterator<Item = &ContainerPort> {
    containers
        .iter()
        .filter_map(|container| container.ports.as_deref()?.first())
}

/// Exactly one port in a pod of several containers, at most one in any.
pub(super) fn count(containers: &[Container]) -> FieldErrors {
    let count: usize = containers
        .iter()
        .map(|container| container.ports.as_ref().map_or(0, Vec::len))
        .sum();
    match count {
        0 if containers.len() > 1 => FieldErrors::missing(["ports"]),
        0 | 1 => FieldErrors::none(),
        _ => FieldErrors::generic("more than one container port is set", "ports")
            .with_details("Only a single port is allowed across all containers"),
    }
}

/// Knative reports a port at the list of ports, and looks at the first one only where requests arrive.
pub(super) fn of_container(ports: &[ContainerPort], is_init: bool, features: &Features) -> FieldErrors {
    if is_init {
        return ports
            .iter()
            .map(|port| basic(port, features))
            .fold(FieldErrors::none(), FieldErrors::also);
    }
    let Some(port) = ports.first() else {
        return FieldErrors::none();
    };
    let mut errors = basic(port, features);
    let protocol = port.protocol.as_deref().unwrap_or_default();
    if !matches!(protocol, "" | "TCP") {
        errors.add(FieldErrors::invalid_value(protocol, "protocol"));
    }
    let name = port.name.as_deref().unwrap_or_default();
    if !matches!(name, "" | "h2c" | "http1") {
        let found = FieldErrors::generic(format!("Port name {name} is not allowed"), "");
        errors.add(found.with_details("Name must be empty, or one of: 'h2c', 'http1'"));
    }
    errors
}

fn basic(port: &ContainerPort, features: &Features) -> FieldErrors {
    let mut errors = allowed::port(port, features);
    let number = port.container_port;
    if RESERVED.contains(&number) {
        let what = format!("{number} is a reserved port");
        let details = format!("{what}, please use a different value");
        errors.add(FieldErrors::invalid_value(what, "containerPort").with_details(details));
    }
    if !(0..=65535).contains(&number) {
        errors.add(FieldErrors::out_of_bounds(number, 0, 65535, "containerPort"));
    }
    errors
}
