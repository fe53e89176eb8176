// SPDX-License-Identifier: Apache-2.0
//! What a Revision gets that does not say it: control-plane spec 3.
//!
//! Invariants: filling in twice is filling in once.
//! Depends on: child_name, context.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    Capabilities, Container, PodSecurityContext, SeccompProfile, SecurityContext, TCPSocketAction, Volume,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use logic::quantity::Quantity;
use logic::settings::defaults::Owner;
use logic::settings::{Defaults, SecurePodDefaults};

use super::{Revision, RevisionSpec};
use crate::admitted::SetDefaults;
use crate::child_name::child_name;
use crate::context::Context;
use crate::pod_spec::is_writable;

/// Ports below need a capability.
const FIRST_UNPRIVILEGED_PORT: i32 = 1024;

impl SetDefaults for Revision {
    fn set_defaults(&mut self, old: Option<&Self>, context: &Context) {
        // A Revision never changes, not even by new defaults.
        if old.is_none() {
            spec(&mut self.spec, &ObjectMeta::default(), context);
        }
    }
}

/// Fills in the spec of a Revision or of a template of `parent`.
pub(crate) fn spec(spec: &mut RevisionSpec, parent: &ObjectMeta, context: &Context) {
    let defaults = &context.settings.defaults;
    timeouts(spec, defaults);
    spec.container_concurrency.get_or_insert(defaults.container_concurrency);
    container_names(spec, &owner(parent), defaults);
    let pod = &mut spec.pod;
    let is_only_one = pod.containers.len() == 1;
    let writable: BTreeSet<String> = pod
        .volumes
        .iter()
        .flatten()
        .filter(|volume| is_writable(volume))
        .map(name)
        .collect();
    for container in &mut pod.containers {
        resources(container, defaults);
        let is_serving = is_only_one || container.ports.as_ref().is_some_and(|ports| !ports.is_empty());
        probes(container, is_serving);
        grpc_services(container);
        if context.is_create() && pod.enable_service_links.is_none() {
            pod.enable_service_links = defaults.enable_service_links;
        }
        for mount in container.volume_mounts.iter_mut().flatten() {
            if !writable.contains(&mount.name) {
                mount.read_only = Some(true);
            }
        }
    }
    let how = context.settings.features.secure_pod_defaults;
    if how != SecurePodDefaults::Disabled {
        let no_context = PodSecurityContext::default();
        let of_pod = pod.security_context.as_ref().unwrap_or(&no_context);
        for container in pod
            .containers
            .iter_mut()
            .chain(pod.init_containers.iter_mut().flatten())
        {
            secure(container, of_pod, how == SecurePodDefaults::Enabled);
        }
    }
}

fn name(volume: &Volume) -> String {
    volume.name.clone()
}

fn timeouts(spec: &mut RevisionSpec, defaults: &Defaults) {
    let timeout = match spec.timeout_seconds {
        None | Some(0) => defaults.revision_timeout_seconds,
        Some(timeout) => timeout,
    };
    spec.timeout_seconds = Some(timeout);
    // Only what ends before the whole request does.
    let usable = |seconds: i64| (seconds != 0 && seconds < timeout).then_some(seconds);
    let idle = spec.idle_timeout_seconds;
    spec.idle_timeout_seconds = idle.or_else(|| usable(defaults.revision_idle_timeout_seconds));
    let start = spec.response_start_timeout_seconds;
    spec.response_start_timeout_seconds = start.or_else(|| usable(defaults.revision_response_start_timeout_seconds));
}

fn owner(parent: &ObjectMeta) -> Owner<'_> {
    Owner {
        name: parent.name.as_deref().unwrap_or_default(),
        generate_name: parent.generate_name.as_deref().unwrap_or_default(),
        namespace: parent.namespace.as_deref().unwrap_or_default(),
        uid: parent.uid.as_deref().unwrap_or_default(),
        resource_version: parent.resource_version.as_deref().unwrap_or_default(),
        generation: parent.generation.unwrap_or_default(),
        labels: parent.labels.as_ref(),
        annotations: parent.annotations.as_ref(),
    }
}

fn container_names(spec: &mut RevisionSpec, owner: &Owner, defaults: &Defaults) {
    let init = spec.pod.init_containers.get_or_insert_default();
    let taken: BTreeSet<String> = spec
        .pod
        .containers
        .iter()
        .chain(init.iter())
        .map(|container| container.name.clone())
        .collect();
    names(&mut spec.pod.containers, &taken, &defaults.container_name(owner));
    names(init, &taken, &defaults.init_container_name(owner));
    if init.is_empty() {
        spec.pod.init_containers = None;
    }
}

/// Names the containers that have none, with numbers where one name does not do.
fn names(containers: &mut [Container], taken: &BTreeSet<String>, name: &str) {
    let needs_number = containers.len() > 1 || taken.contains(name);
    let mut numbered = (0_usize..)
        .map(|number| child_name(name, &format!("-{number}")))
        .filter(|name| !taken.contains(name));
    for container in containers.iter_mut().filter(|container| container.name.is_empty()) {
        let next = if needs_number { numbered.next() } else { None };
        container.name = next.unwrap_or_else(|| name.to_owned());
    }
}

fn resources(container: &mut Container, defaults: &Defaults) {
    let resources = container.resources.get_or_insert_default();
    let rows = [
        ("cpu", &defaults.revision_cpu_request, &defaults.revision_cpu_limit),
        (
            "memory",
            &defaults.revision_memory_request,
            &defaults.revision_memory_limit,
        ),
        (
            "ephemeral-storage",
            &defaults.revision_ephemeral_storage_request,
            &defaults.revision_ephemeral_storage_limit,
        ),
    ];
    for (name, request, limit) in rows {
        amount(&mut resources.requests, name, request.as_ref());
        amount(&mut resources.limits, name, limit.as_ref());
    }
}

fn amount(amounts: &mut Option<BTreeMap<String, Amount>>, name: &str, default: Option<&Quantity>) {
    if let Some(default) = default {
        let amounts = amounts.get_or_insert_default();
        amounts
            .entry(name.to_owned())
            .or_insert_with(|| Amount(default.to_string()));
    }
}

fn probes(container: &mut Container, is_serving: bool) {
    if is_serving {
        let probe = container.readiness_probe.get_or_insert_default();
        if probe.tcp_socket.is_none() && probe.http_get.is_none() && probe.exec.is_none() && probe.grpc.is_none() {
            probe.tcp_socket = Some(TCPSocketAction {
                host: None,
                port: IntOrString::Int(0),
            });
        }
    }
    let Some(probe) = &mut container.readiness_probe else {
        return;
    };
    or_default(&mut probe.success_threshold, 1);
    if probe.period_seconds.unwrap_or_default() != 0 {
        or_default(&mut probe.failure_threshold, 3);
        or_default(&mut probe.timeout_seconds, 1);
    }
}

/// Kubernetes' own default, so that it does not look like a change.
fn grpc_services(container: &mut Container) {
    for probe in [
        &mut container.readiness_probe,
        &mut container.liveness_probe,
        &mut container.startup_probe,
    ] {
        if let Some(grpc) = probe.as_mut().and_then(|probe| probe.grpc.as_mut()) {
            grpc.service.get_or_insert_default();
        }
    }
}

fn or_default(field: &mut Option<i32>, default: i32) {
    if field.unwrap_or_default() == 0 {
        *field = Some(default);
    }
}

/// Full security where nothing is said (spec 3, step 7).
fn secure(container: &mut Container, pod: &PodSecurityContext, also_no_root: bool) {
    let binds_low_port = container
        .ports
        .iter()
        .flatten()
        .any(|port| port.container_port < FIRST_UNPRIVILEGED_PORT);
    let context: &mut SecurityContext = container.security_context.get_or_insert_default();
    context.allow_privilege_escalation.get_or_insert(false);
    let says_type =
        |profile: &Option<SeccompProfile>| profile.as_ref().is_some_and(|profile| !profile.type_.is_empty());
    if !says_type(&pod.seccomp_profile) && !says_type(&context.seccomp_profile) {
        context.seccomp_profile.get_or_insert_default().type_ = "RuntimeDefault".to_owned();
    }
    context.capabilities.get_or_insert_with(|| Capabilities {
        drop: Some(vec!["ALL".to_owned()]),
        add: binds_low_port.then(|| vec!["NET_BIND_SERVICE".to_owned()]),
    });
    if also_no_root && pod.run_as_non_root.is_none() {
        context.run_as_non_root.get_or_insert(true);
    }
}

#[cfg(test)]
mod tests;
