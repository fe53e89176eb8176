// SPDX-License-Identifier: Apache-2.0
//! What containers are told about their pod: fields, resources, and where ConfigMaps and Secrets are looked up.
//!
//! Depends on: quantity.

use std::net::Ipv4Addr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};
use serde_json::Value;

use super::quantity;

/// Where keys and values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

/// Looks an object of the pod's namespace up.
pub(super) type Look<'a> = &'a (dyn Fn(Source, &str) -> Option<Arc<Value>> + Sync);

/// Why a container cannot be configured yet: reason `CreateContainerConfigError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Missing(pub String);

/// What is known of a pod when it starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// Its address.
    pub ip: Ipv4Addr,
    /// The machine's address in the pods' network.
    pub host: Ipv4Addr,
}

impl Facts<'_> {
    /// The value of a field: `fieldRef`.
    ///
    /// # Errors
    /// If it is none of those that Kubernetes offers.
    pub(super) fn field(&self, path: &str) -> Result<String, Missing> {
        let metadata = &self.pod.metadata;
        let spec = self.pod.spec.as_ref();
        if let Some((map, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
            let map = match map {
                "metadata.labels" => metadata.labels.as_ref(),
                "metadata.annotations" => metadata.annotations.as_ref(),
                _ => return Err(unsupported(path)),
            };
            return Ok(map.and_then(|map| map.get(key)).cloned().unwrap_or_default());
        }
        let text = match path {
            "metadata.name" => metadata.name.clone(),
            "metadata.namespace" => metadata.namespace.clone(),
            "metadata.uid" => metadata.uid.clone(),
            "metadata.labels" => Some(listed(metadata.labels.as_ref())),
            "metadata.annotations" => Some(listed(metadata.annotations.as_ref())),
            "spec.nodeName" => spec.and_then(|spec| spec.node_name.clone()),
            "spec.serviceAccountName" => spec.and_then(|spec| spec.service_account_name.clone()),
            "status.hostIP" | "status.hostIPs" => Some(self.host.to_string()),
            "status.podIP" | "status.podIPs" => Some(self.ip.to_string()),
            _ => return Err(unsupported(path)),
        };
        Ok(text.unwrap_or_default())
    }

    /// The value of a container's resource: `resourceFieldRef`.
    ///
    /// # Errors
    /// If the container or the resource is not there.
    pub(super) fn resource(&self, own: &Container, wanted: &ResourceFieldSelector) -> Result<String, Missing> {
        let spec = self.pod.spec.as_ref();
        let container = match &wanted.container_name {
            None => own,
            Some(name) => {
                let found = spec.and_then(|spec| spec.containers.iter().find(|one| one.name == *name));
                found.ok_or_else(|| Missing(format!("container {name} not found")))?
            }
        };
        let (kind, resource) = wanted
            .resource
            .split_once('.')
            .ok_or_else(|| unsupported(&wanted.resource))?;
        let resources = container.resources.as_ref();
        let limits = resources.and_then(|resources| resources.limits.as_ref());
        let amounts = match kind {
            "limits" => limits,
            "requests" => resources.and_then(|resources| resources.requests.as_ref()),
            _ => return Err(unsupported(&wanted.resource)),
        };
        let is_cpu = match resource {
            "cpu" => true,
            "memory" | "ephemeral-storage" => false,
            _ => return Err(unsupported(&wanted.resource)),
        };
        let given = amounts
            .and_then(|amounts| amounts.get(resource))
            .and_then(|amount| quantity::thousandths(&amount.0));
        let value = match (given, kind) {
            (Some(given), _) => given,
            (None, "limits") => capacity(is_cpu),
            (None, _) => 0,
        };
        let divisor = wanted
            .divisor
            .as_ref()
            .and_then(|divisor| quantity::thousandths(&divisor.0));
        let divisor = divisor.filter(|divisor| *divisor > 0).unwrap_or(1000);
        Ok(value.div_ceil(divisor).to_string())
    }
}

fn unsupported(path: &str) -> Missing {
    Missing(format!("unsupported fieldPath: {path}"))
}

/// As the downward API writes a map: `key="value"` in lines.
fn listed(map: Option<&std::collections::BTreeMap<String, String>>) -> String {
    let lines = map.into_iter().flatten().map(|(key, value)| format!("{key}={value:?}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What the machine has, in thousandths: a container without a limit may use all of it.
fn capacity(is_cpu: bool) -> u128 {
    if is_cpu {
        return std::thread::available_parallelism().map_or(1, usize::from) as u128 * 1000;
    }
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u128>().ok());
    kib.unwrap_or_default() * 1024 * 1000
}
