// SPDX-License-Identifier: Apache-2.0
//! Probes: control-plane spec 2.4.
//!
//! Depends on: field_error.

use k8s_openapi::api::core::v1::{ContainerPort, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::field_error::FieldErrors;

/// Exactly one handler, and a port that exists; without `serving_port` it is a sidecar's probe, which must name a port.
pub(super) fn validate(probe: &Probe, serving_port: Option<&ContainerPort>) -> FieldErrors {
    let mut errors = FieldErrors::none();
    let mut handlers = Vec::new();
    if let Some(action) = &probe.http_get {
        handlers.push("httpGet");
        errors = errors.via_field("httpGet");
        errors.add(port(&action.port, "httpGet.port", serving_port));
    }
    if let Some(action) = &probe.tcp_socket {
        handlers.push("tcpSocket");
        // Knative puts the handler in front of what it found before, too.
        errors = errors.via_field("tcpSocket");
        errors.add(port(&action.port, "tcpSocket.port", serving_port));
    }
    if probe.exec.is_some() {
        handlers.push("exec");
        errors = errors.via_field("exec");
    }
    if probe.grpc.is_some() {
        handlers.push("gRPC");
        errors = errors.via_field("grpc");
    }
    errors.add(match handlers.len() {
        0 => FieldErrors::missing_one_of(["httpGet", "tcpSocket", "exec", "grpc"]),
        1 => FieldErrors::none(),
        _ => FieldErrors::multiple_one_of(handlers),
    });
    errors
}

fn port(port: &IntOrString, path: &str, serving_port: Option<&ContainerPort>) -> FieldErrors {
    match (port, serving_port) {
        (IntOrString::String(name), Some(serving)) if !name.is_empty() && serving.name.as_deref() != Some(name) => {
            FieldErrors::invalid_value(name, path).with_details("Probe port must match container port")
        }
        (IntOrString::Int(0), None) => FieldErrors::invalid_value(0, path).with_details("Probe port must be specified"),
        (IntOrString::String(name), None) if name.is_empty() => {
            FieldErrors::invalid_value("", path).with_details("Probe port must be specified")
        }
        _ => FieldErrors::none(),
    }
}

/// A readiness probe: with a period of 0 Knative probes as often as it can, and takes no other figure.
pub(super) fn readiness(probe: &Probe, serving_port: Option<&ContainerPort>) -> FieldErrors {
    let mut errors = validate(probe, serving_port);
    let period = probe.period_seconds.unwrap_or_default();
    let timeout = probe.timeout_seconds.unwrap_or_default();
    let failures = probe.failure_threshold.unwrap_or_default();
    errors.add(at_least(0, period, "periodSeconds"));
    errors.add(at_least(
        0,
        probe.initial_delay_seconds.unwrap_or_default(),
        "initialDelaySeconds",
    ));
    errors.add(at_least(
        1,
        probe.success_threshold.unwrap_or_default(),
        "successThreshold",
    ));
    for (field, value) in [("failureThreshold", failures), ("timeoutSeconds", timeout)] {
        errors.add(match (period, value) {
            (0, 0) => FieldErrors::none(),
            (0, _) => FieldErrors::generic(format!("{field} is disallowed when periodSeconds is zero"), field),
            _ => at_least(1, value, field),
        });
    }
    errors
}

fn at_least(low: i32, value: i32, field: &str) -> FieldErrors {
    match value < low {
        true => FieldErrors::out_of_bounds(value, low, i32::MAX, field),
        false => FieldErrors::none(),
    }
}
