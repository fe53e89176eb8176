// SPDX-License-Identifier: Apache-2.0
//! One container of a pod: control-plane spec 2.4.
//!
//! Depends on: allowed, env, image, port, probe, security, volume_mount.

use k8s_openapi::api::core::v1::{Container, ContainerPort};
use logic::go::print::quoted;
use logic::settings::Features;

use super::role::Role;
use super::volume::Volumes;
use super::{allowed, env, image, port, probe, security, volume_mount};
use crate::field_error::FieldErrors;

/// The name of the container that Knative adds.
const RESERVED_NAME: &str = "queue-proxy";

/// What the rules of a container depend on.
pub(super) struct Surroundings<'a> {
    pub(super) features: &'a Features,
    pub(super) volumes: &'a Volumes<'a>,
    /// The port of the pod that gets the requests.
    pub(super) port: &'a ContainerPort,
}

pub(super) fn validate(container: &Container, role: Role, surroundings: &Surroundings) -> FieldErrors {
    let probes = probes(container, role, surroundings);
    if *container == Container::default() {
        return probes.also(FieldErrors::missing([""]));
    }
    let features = surroundings.features;
    let mut errors = probes.also(allowed::container(container, features));
    if container.name == RESERVED_NAME {
        let message = format!("{} is a reserved container name", quoted(&container.name));
        errors.add(FieldErrors::generic(message, "name"));
    }
    errors.add(env::variables(container.env.as_deref().unwrap_or_default(), role, features).via_field("env"));
    errors.add(env::sources(container.env_from.as_deref().unwrap_or_default()).via_field("envFrom"));
    errors.add(image::validate(container.image.as_deref().unwrap_or_default()));
    let ports = container.ports.as_deref().unwrap_or_default();
    errors.add(port::of_container(ports, role == Role::Init, features).via_field("ports"));
    if let Some(resources) = &container.resources {
        errors.add(allowed::resources(resources, features).via_field("resources"));
    }
    if let Some(context) = &container.security_context {
        errors.add(security::of_container(context, features).via_field("securityContext"));
    }
    let policy = container.termination_message_policy.as_deref().unwrap_or_default();
    if !matches!(policy, "" | "File" | "FallbackToLogsOnError") {
        errors.add(FieldErrors::invalid_value(policy, "terminationMessagePolicy"));
    }
    let mounts = container.volume_mounts.as_deref().unwrap_or_default();
    errors.add(volume_mount::all(mounts, surroundings.volumes, features).via_field("volumeMounts"));
    errors
}

fn probes(container: &Container, role: Role, surroundings: &Surroundings) -> FieldErrors {
    let probes = [
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
        ("startupProbe", &container.startup_probe),
    ];
    let may_probe_sidecars = surroundings.features.multi_container_probing.is_enabled();
    let serving_port = (role == Role::Serving).then_some(surroundings.port);
    let mut errors = FieldErrors::none();
    for (field, probe) in probes {
        let Some(probe) = probe else { continue };
        errors.add(match role {
            Role::Init => FieldErrors::generic("field not allowed in an init container", field),
            Role::Sidecar if !may_probe_sidecars => allowed::no_probe(probe).via_field(field),
            _ if field == "readinessProbe" => probe::readiness(probe, serving_port).via_field(field),
            _ => probe::validate(probe, serving_port).via_field(field),
        });
    }
    if role == Role::Init && container.lifecycle.is_some() {
        errors.add(FieldErrors::generic(
            "field not allowed in an init container",
            "lifecycle",
        ));
    }
    errors
}
