// SPDX-License-Identifier: Apache-2.0
//! What is there from the start: namespaces with their accounts, Knative's ConfigMaps, the node.
//!
//! Invariants: what is there stays as it is, but for the node's status, which is told anew.
//! Depends on: account, actor, state.

use serde_json::{Value, json};

use super::account;
use super::actor::{Actor, resource};
use super::settings::Settings;
use crate::key::Key;
use crate::meta;
use crate::moment::Moment;
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::state::{Kept, State};
use crate::store::Transaction;

const NAMESPACES: [&str; 3] = ["default", "kube-system", api::names::product::SYSTEM_NAMESPACE];

/// The ConfigMaps of `deploy/config`.
const MAPS: [&str; 11] = [
    include_str!("../../../../deploy/config/config-autoscaler.yaml"),
    include_str!("../../../../deploy/config/config-certmanager.yaml"),
    include_str!("../../../../deploy/config/config-defaults.yaml"),
    include_str!("../../../../deploy/config/config-deployment.yaml"),
    include_str!("../../../../deploy/config/config-domain.yaml"),
    include_str!("../../../../deploy/config/config-features.yaml"),
    include_str!("../../../../deploy/config/config-gc.yaml"),
    include_str!("../../../../deploy/config/config-leader-election.yaml"),
    include_str!("../../../../deploy/config/config-logging.yaml"),
    include_str!("../../../../deploy/config/config-network.yaml"),
    include_str!("../../../../deploy/config/config-observability.yaml"),
];

pub(super) fn furnish(state: &State, settings: &Settings) -> Result<Kept, Refusal> {
    let actor = Actor::default();
    let furnished = state.write_kept(&mut Moment::current(), false, |transaction| {
        for name in NAMESPACES {
            let namespace = json!({"metadata": {"name": name}});
            unless_there(&actor, transaction, resource("", "v1", "namespaces")?, namespace)?;
            account::settle(&actor, transaction, name)?;
        }
        for text in MAPS {
            let map: Value = serde_saphyr::from_str(text)
                .map_err(|error| Refusal::internal(format!("a ConfigMap of this program is no YAML: {error}")))?;
            unless_there(&actor, transaction, resource("", "v1", "configmaps")?, map)?;
        }
        node(&actor, transaction, settings)
    });
    furnished.map(|((), kept)| kept)
}

fn unless_there(
    actor: &Actor,
    transaction: &mut Transaction,
    resource: &'static Resource,
    object: Value,
) -> Result<(), Refusal> {
    let key = Key::of(resource, &object);
    if transaction.get(&key).is_some() {
        return Ok(());
    }
    actor.create(transaction, resource, &key.namespace, object).map(drop)
}

fn node(actor: &Actor, transaction: &mut Transaction, settings: &Settings) -> Result<(), Refusal> {
    let nodes = resource("", "v1", "nodes")?;
    let name = settings.node.as_str();
    let labels = json!({
        "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": architecture(),
    });
    let node = json!({"metadata": {"name": name, "labels": labels}, "spec": {}});
    unless_there(actor, transaction, nodes, node)?;
    let key = Key::new(nodes, "", name);
    let Some(stored) = transaction.get(&key) else {
        return Ok(());
    };
    let mut next = Value::clone(&stored);
    let now = transaction.moment.written();
    meta::fields(&mut next).insert("status".to_owned(), status(settings, &now));
    let status = next["status"].clone();
    actor.set_status(transaction, &key, &stored, status)
}

fn status(settings: &Settings, now: &str) -> Value {
    let capacity = json!({
        "cpu": settings.processors.to_string(), "memory": format!("{}Ki", settings.memory / 1024),
        "pods": settings.pods.to_string(),
    });
    json!({
        "capacity": capacity, "allocatable": capacity,
        "addresses": [
            {"type": "InternalIP", "address": settings.address}, {"type": "Hostname", "address": settings.node},
        ],
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "SluiceReady", "message": "sluice runs pods here",
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        }],
        "nodeInfo": {
            "architecture": architecture(), "operatingSystem": "linux", "kubeletVersion": "v1.35.4-sluice",
            "kubeProxyVersion": "", "kernelVersion": "", "osImage": "", "containerRuntimeVersion": "sluice://0",
            "machineID": "", "systemUUID": "", "bootID": "",
        },
    })
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
