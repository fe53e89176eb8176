// SPDX-License-Identifier: Apache-2.0
//! What a pod of a Revision may say: control-plane spec 2.4.
//!
//! Mechanism: tables of allowed fields (`allowed`), then the rules that no table holds, a module for each part of a pod.
//! Invariants: the texts and paths are Knative's, quirks of paths too, where the spec names them.
//! Depends on: context, field_error, syntax.

mod allowed;
mod container;
mod env;
mod image;
mod port;
mod probe;
mod role;
mod security;
mod volume;
mod volume_mount;

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use logic::go::print::quoted;

use crate::context::Context;
use crate::field_error::FieldErrors;
use container::Surroundings;
use logic::syntax;
use role::Role;
use volume::Volumes;
pub(crate) use volume_mount::is_writable;

/// Everything that is wrong with a pod, and what is insecure about it.
#[must_use]
pub fn validate(pod: &PodSpec, context: &Context) -> FieldErrors {
    let features = &context.settings.features;
    let mut errors = allowed::pod(pod, features);
    let pod_security = pod.security_context.as_ref();
    errors.add(security::of_pod(pod_security, features).via_field("securityContext"));
    let init_containers = pod.init_containers.as_deref().unwrap_or_default();
    for (field, containers) in [
        ("containers", pod.containers.as_slice()),
        ("initContainers", init_containers),
    ] {
        for (index, container) in containers.iter().enumerate() {
            let found = security::insecure_defaults(pod_security, container.security_context.as_ref(), features);
            errors.add(found.via_field("securityContext").via_field_index(field, index));
        }
    }
    let volumes = Volumes::of(pod.volumes.as_deref().unwrap_or_default());
    let mounted = mounted_volumes(init_containers.iter().chain(&pod.containers));
    errors.add(volume::all(&volumes, &mounted, features).via_field("volumes"));

    let serving_port = port::serving(&pod.containers);
    errors.add(port::count(&pod.containers).via_field("containers[*]"));
    let surroundings = Surroundings {
        features,
        volumes: &volumes,
        port: &serving_port,
    };
    errors.add(all_init_containers(init_containers, &pod.containers, &surroundings));
    errors.add(all_containers(&pod.containers, &surroundings));
    errors.add(service_account(pod.service_account_name.as_deref().unwrap_or_default()));
    errors
}

fn mounted_volumes<'a>(containers: impl Iterator<Item = &'a Container>) -> BTreeSet<&'a str> {
    containers
        .flat_map(|container| container.volume_mounts.as_deref().unwrap_or_default())
        .map(|mount| mount.name.as_str())
        .collect()
}

fn all_containers(containers: &[Container], surroundings: &Surroundings) -> FieldErrors {
    match containers {
        [] => FieldErrors::missing(["containers"]),
        [only] => container::validate(only, Role::Serving, surroundings).via_field_index("containers", 0),
        _ if !surroundings.features.multi_container.is_enabled() => FieldErrors::nowhere(format!(
            "multi-container is off, but found {} containers",
            containers.len()
        )),
        several => {
            let mut names = BTreeSet::new();
            each(
                several,
                |container| (!names.insert(container.name.clone()), Role::beside_others(container)),
                surroundings,
            )
        }
    }
}

fn all_init_containers(init: &[Container], others: &[Container], surroundings: &Surroundings) -> FieldErrors {
    if init.is_empty() {
        return FieldErrors::none();
    }
    if !surroundings.features.podspec_init_containers.is_enabled() {
        return FieldErrors::nowhere(format!(
            "pod spec support for init-containers is off, but found {} init containers",
            init.len()
        ));
    }
    // Knative looks among the others only: two init containers of one name are refused as a pod, by Kubernetes.
    let names: BTreeSet<_> = others.iter().map(|container| container.name.as_str()).collect();
    each(
        init,
        |container| (names.contains(container.name.as_str()), Role::Init),
        surroundings,
    )
}

/// Looks at each container; `judge` says whether its name is taken, and its role. Knative puts the place of a container
/// with a taken name in front of everything found before it, too.
fn each(
    containers: &[Container],
    mut judge: impl FnMut(&Container) -> (bool, Role),
    surroundings: &Surroundings,
) -> FieldErrors {
    let mut errors = FieldErrors::none();
    for (index, container) in containers.iter().enumerate() {
        let (is_taken, role) = judge(container);
        if is_taken {
            let message = format!("duplicate container name {}", quoted(&container.name));
            errors = errors
                .also(FieldErrors::generic(message, "name"))
                .via_field_index("containers", index);
        }
        errors.add(container::validate(container, role, surroundings).via_field_index("containers", index));
    }
    errors
}

fn service_account(name: &str) -> FieldErrors {
    if name.is_empty() {
        return FieldErrors::none();
    }
    syntax::dns1123_subdomain(name)
        .into_iter()
        .map(|why| FieldErrors::invalid_value(name, "serviceAccountName").with_details(why))
        .fold(FieldErrors::none(), FieldErrors::also)
}

#[cfg(test)]
mod tests;
