// SPDX-License-Identifier: Apache-2.0
//! The pods of a Revision: control-plane spec 4.4, data-plane spec 5.3.
//!
//! Mechanism: the user's pod; every container learns who it is and waits for its requests to end before it is stopped
//! (preStop, answered by the node's daemon); the serving container has one port, named `user-port`.
//! Invariants: no container, port or volume that only a queue-proxy would use.
//! Depends on: logic's settings, names, probes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource, HTTPGetAction, Lifecycle,
    LifecycleHandler, ObjectFieldSelector, PodAffinityTerm, PodAntiAffinity, PodSpec, Volume, VolumeMount,
    WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use logic::settings::deployment::AffinityType;

use super::has_ports;
use super::operator::Operator;
use super::probes::{Role, rewrite};
use crate::names::{port, serving};
use crate::revision::Revision;

/// The name of the volume for `/var/log`.
const VAR_LOG: &str = "knative-var-log";

/// The pods' spec.
#[must_use]
pub fn pod(revision: &Revision, operator: &Operator<'_>) -> PodSpec {
    let mut pod = revision.spec.pod.clone();
    pod.containers = containers(revision, operator);
    pod.termination_grace_period_seconds = revision.spec.timeout_seconds;
    pod.enable_service_links = pod.enable_service_links.or(operator.defaults.enable_service_links);
    if pod.runtime_class_name.is_none() {
        let labels = revision.metadata.labels.clone().unwrap_or_default();
        pod.runtime_class_name = operator.deployment.runtime_class(&labels).map(str::to_owned);
    }
    let spreads = operator.deployment.default_affinity_type == AffinityType::PreferSpreadRevisionOverNodes;
    if spreads && pod.affinity.is_none() {
        pod.affinity = Some(over_nodes(revision));
    }
    if operator.observability.enable_var_log_collection {
        collect_var_log(&mut pod);
    }
    pod
}

/// The containers as they run, in their order.
fn containers(revision: &Revision, operator: &Operator<'_>) -> Vec<Container> {
    let given = &revision.spec.pod.containers;
    let keeps_port = operator.features.multi_container_probing.is_enabled();
    given
        .iter()
        .enumerate()
        .map(|(index, container)| {
            let serves = given.len() == 1 || has_ports(container);
            let mut container = container.clone();
            if let Some(digest) = digest(revision, index) {
                container.image = Some(digest.to_owned());
            }
            let role = match serves {
                true => Role::Serving {
                    port: user_port(&container),
                    keeps_port,
                },
                false => Role::Beside,
            };
            if let Role::Serving { port, .. } = role {
                serve_at(&mut container, port);
            }
            rewrite(&mut container, role);
            introduce(&mut container, revision);
            container
        })
        .collect()
}

/// The image by digest; none where none was looked up.
fn digest(revision: &Revision, index: usize) -> Option<&str> {
    let status = revision.status.container_statuses.get(index)?;
    Some(status.image_digest.as_str()).filter(|digest| !digest.is_empty())
}

fn user_port(container: &Container) -> i32 {
    let given = container.ports.as_ref().and_then(|ports| ports.first());
    given
        .map(|port| port.container_port)
        .filter(|port| *port != 0)
        .unwrap_or(port::USER)
}

/// One port, by its well-known name; the container learns its number.
fn serve_at(container: &mut Container, number: i32) {
    container.ports = Some(vec![ContainerPort {
        name: Some(port::USER_NAME.to_owned()),
        container_port: number,
        ..ContainerPort::default()
    }]);
    let env = container.env.get_or_insert_default();
    env.push(value("PORT", number.to_string()));
}

/// Who the container is, how it is stopped, what is kept of its last words.
fn introduce(container: &mut Container, revision: &Revision) {
    let label = |key| revision.label(key).unwrap_or_default().to_owned();
    let env = container.env.get_or_insert_default();
    env.push(value("K_REVISION", revision.name().to_owned()));
    env.push(value("K_CONFIGURATION", label(serving::CONFIGURATION)));
    env.push(value("K_SERVICE", label(serving::SERVICE)));
    container.lifecycle = Some(Lifecycle {
        pre_stop: Some(LifecycleHandler {
            http_get: Some(HTTPGetAction {
                path: Some("/wait-for-drain".to_owned()),
                port: IntOrString::Int(port::QUEUE_ADMIN),
                ..HTTPGetAction::default()
            }),
            ..LifecycleHandler::default()
        }),
        ..Lifecycle::default()
    });
    container.stdin = None;
    container.tty = None;
    let policy = container.termination_message_policy.take();
    container.termination_message_policy = policy
        .filter(|policy| !policy.is_empty())
        .or_else(|| Some("FallbackToLogsOnError".to_owned()));
}

fn value(name: &str, text: String) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(text).filter(|text| !text.is_empty()),
        value_from: None,
    }
}

/// Rather not two pods of a Revision on one node.
fn over_nodes(revision: &Revision) -> Affinity {
    let labels = BTreeMap::from([(serving::REVISION.to_owned(), revision.name().to_owned())]);
    let term = PodAffinityTerm {
        topology_key: "kubernetes.io/hostname".to_owned(),
        label_selector: Some(LabelSelector {
            match_labels: Some(labels),
            match_expressions: None,
        }),
        ..PodAffinityTerm::default()
    };
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![WeightedPodAffinityTerm {
                weight: 100,
                pod_affinity_term: term,
            }]),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}

/// A folder of its own for each container's `/var/log`, in one volume.
fn collect_var_log(pod: &mut PodSpec) {
    pod.volumes.get_or_insert_default().push(Volume {
        name: VAR_LOG.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    });
    for container in &mut pod.containers {
        container.volume_mounts.get_or_insert_default().push(VolumeMount {
            name: VAR_LOG.to_owned(),
            mount_path: "/var/log".to_owned(),
            sub_path_expr: Some(format!(
                "$(K_INTERNAL_POD_NAMESPACE)_$(K_INTERNAL_POD_NAME)_{}",
                container.name
            )),
            ..VolumeMount::default()
        });
        container.env.get_or_insert_default().extend([
            field("K_INTERNAL_POD_NAME", "metadata.name"),
            field("K_INTERNAL_POD_NAMESPACE", "metadata.namespace"),
        ]);
    }
}

fn field(name: &str, path: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                api_version: None,
                field_path: path.to_owned(),
            }),
            ..EnvVarSource::default()
        }),
    }
}
