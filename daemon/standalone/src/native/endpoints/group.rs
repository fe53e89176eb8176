// SPDX-License-Identifier: Apache-2.0
//! From pods to endpoints, by the ports that they give the Service's names.
//!
//! Invariants: pure; in the order of the pods' names; a pod without an address, or that has ended, is no endpoint.
//! Depends on: conditions.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::conditions;
use crate::meta;

/// Pods with the same ports.
#[derive(Debug)]
pub(super) struct Group {
    /// As in a slice.
    pub(super) ports: Value,
    pub(super) pods: Vec<Endpoint>,
}

/// A pod as an endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    pod: Arc<Value>,
    is_ready: bool,
    is_serving: bool,
    is_ending: bool,
}

pub(super) fn of(service: &Value, pods: &[Arc<Value>]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let takes_unready = service["spec"]["publishNotReadyAddresses"] == true;
    for pod in pods {
        let Some(endpoint) = endpoint(pod, takes_unready) else {
            continue;
        };
        let ports = ports(service, pod);
        match groups.iter_mut().find(|group| group.ports == ports) {
            Some(group) => group.pods.push(endpoint),
            None => groups.push(Group {
                ports,
                pods: vec![endpoint],
            }),
        }
    }
    groups
}

fn endpoint(pod: &Arc<Value>, takes_unready: bool) -> Option<Endpoint> {
    let has_ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    let has_address = pod["status"]["podIP"]
        .as_str()
        .is_some_and(|address| !address.is_empty());
    if has_ended || !has_address {
        return None;
    }
    let is_serving = conditions::is_true(pod, "Ready");
    let is_ending = meta::is_deleting(pod);
    Some(Endpoint {
        pod: Arc::clone(pod),
        is_ready: takes_unready || (is_serving && !is_ending),
        is_serving,
        is_ending,
    })
}

/// The ports of a pod under a Service's names; a name that the pod does not have is left out.
fn ports(service: &Value, pod: &Value) -> Value {
    let listed = service["spec"]["ports"].as_array().into_iter().flatten();
    listed
        .filter_map(|port| {
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            let number = number(pod, &port["targetPort"], protocol)?;
            let mut found = json!({
                "name": port["name"].as_str().unwrap_or_default(), "port": number, "protocol": protocol,
            });
            if !port["appProtocol"].is_null() {
                meta::fields(&mut found).insert("appProtocol".to_owned(), port["appProtocol"].clone());
            }
            Some(found)
        })
        .collect()
}

fn number(pod: &Value, target: &Value, protocol: &str) -> Option<i64> {
    let Some(name) = target.as_str() else {
        return target.as_i64();
    };
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
    let named = ports.find(|port| port["name"] == name && port["protocol"].as_str().unwrap_or("TCP") == protocol)?;
    named["containerPort"].as_i64()
}

impl Endpoint {
    /// As in a slice.
    pub(super) fn in_slice(&self) -> Value {
        let mut endpoint = self.target();
        let fields = meta::fields(&mut endpoint);
        fields.insert("addresses".to_owned(), json!([self.pod["status"]["podIP"]]));
        let conditions = json!({"ready": self.is_ready, "serving": self.is_serving, "terminating": self.is_ending});
        fields.insert("conditions".to_owned(), conditions);
        endpoint
    }

    /// As in Endpoints.
    fn in_subset(&self) -> Value {
        let mut address = self.target();
        meta::fields(&mut address).insert("ip".to_owned(), self.pod["status"]["podIP"].clone());
        address
    }

    fn target(&self) -> Value {
        let pod = &self.pod;
        let target = json!({
            "kind": "Pod", "namespace": meta::namespace(pod), "name": meta::name(pod), "uid": meta::uid(pod),
        });
        json!({"nodeName": pod["spec"]["nodeName"], "targetRef": target})
    }
}

impl Group {
    /// As in Endpoints; a pod that is being deleted is left out.
    pub(super) fn subset(&self) -> Option<Value> {
        let addresses = |is_ready: bool| -> Vec<Value> {
            let stays = self
                .pods
                .iter()
                .filter(|pod| !pod.is_ending && pod.is_ready == is_ready);
            stays.map(Endpoint::in_subset).collect()
        };
        let (ready, unready) = (addresses(true), addresses(false));
        let mut subset = json!({"ports": self.ports});
        let fields = meta::fields(&mut subset);
        let is_empty = ready.is_empty() && unready.is_empty();
        for (name, list) in [("addresses", ready), ("notReadyAddresses", unready)] {
            if !list.is_empty() {
                fields.insert(name.to_owned(), list.into());
            }
        }
        (!is_empty).then_some(subset)
    }
}
