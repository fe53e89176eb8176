// SPDX-License-Identifier: Apache-2.0
//! The user's probes as a plain kubelet understands them: design 3.4; docs/probes.md has every shape and its result.
//!
//! Problem: in Knative the queue-proxy runs the readiness probe, knows ports that are not given, and takes a period of 0 for
//! "as fast as you can"; a kubelet does none of that.
//! Mechanism: what is left open is filled in: no handler is a connection to the user's port, no port is the user's port, no
//! period is one second; until a pod is ready the node's daemon probes faster than the kubelet can (after it listens).
//! Invariants: liveness and startup probes are Knative's to the letter; no readiness probe names a port that a pod may not
//! have.
//! Depends on: names.

use k8s_openapi::api::core::v1::{Container, Probe, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// What a container does in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It serves requests.
    Serving {
        /// The user's port.
        port: i32,
        /// Whether a liveness probe may have another port (`multi-container-probing`).
        keeps_port: bool,
    },
    /// It stands beside the one that serves.
    Beside,
}

/// Rewrites the probes of a container.
pub fn rewrite(container: &mut Container, role: Role) {
    match role {
        Role::Serving { port, keeps_port } => {
            if let Some(liveness) = &mut container.liveness_probe {
                lead_to(liveness, port, keeps_port);
            }
            container.readiness_probe = Some(readiness(container.readiness_probe.take().unwrap_or_default(), port));
        }
        Role::Beside => {
            if let Some(readiness) = &mut container.readiness_probe {
                run_every_second_unless_told(readiness);
            }
        }
    }
}

/// The readiness probe of the container that serves.
fn readiness(mut probe: Probe, port: i32) -> Probe {
    lead_to(&mut probe, port, true);
    if let Some(http) = &mut probe.http_get {
        http.host = None;
    } else if let Some(tcp) = &mut probe.tcp_socket {
        tcp.host = None;
    } else if let Some(grpc) = &mut probe.grpc {
        grpc.port = if grpc.port > 0 { grpc.port } else { port };
    } else if probe.exec.is_none() {
        probe.tcp_socket = Some(TCPSocketAction {
            host: None,
            port: IntOrString::Int(port),
        });
    }
    run_every_second_unless_told(&mut probe);
    probe
}

/// Sets the port of an HTTP or TCP probe: always, or only where it has no number of its own.
fn lead_to(probe: &mut Probe, user_port: i32, keeps_port: bool) {
    let http = probe.http_get.as_mut().map(|http| &mut http.port);
    let tcp = probe.tcp_socket.as_mut().map(|tcp| &mut tcp.port);
    if let Some(port) = http.or(tcp) {
        let own = Some(number(port)).filter(|own| keeps_port && *own != 0);
        *port = IntOrString::Int(own.unwrap_or(user_port));
    }
}

/// The number of a port; 0 for a name, since the pod's only port has another one.
fn number(port: &IntOrString) -> i32 {
    match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(text) => text.parse().unwrap_or_default(),
    }
}

fn run_every_second_unless_told(probe: &mut Probe) {
    let is_told = probe.period_seconds.is_some_and(|period| period > 0);
    if !is_told {
        probe.period_seconds = Some(1);
    } else if probe.timeout_seconds.is_some_and(|timeout| timeout < 1) {
        probe.timeout_seconds = Some(1);
    }
}

#[cfg(test)]
mod tests;
