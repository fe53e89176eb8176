// SPDX-License-Identifier: Apache-2.0
//! EndpointSlices and Endpoints of Services with a selector.
//!
//! Mechanism: pods are grouped by the ports that they give the Service's names; each group becomes slices.
//! Invariants: without a selector nothing of the Service is touched, since somebody else writes it then; a pod that is
//! being deleted is in a slice as terminating and not ready, and in no Endpoints.
//! Depends on: actor, group, labels.

mod group;

use std::sync::Arc;

use serde_json::{Value, json};

use super::actor::{Actor, is_controlled_by, owned_by, resource};
use super::labels;
use crate::key::Key;
use crate::meta;
use crate::refusal::Refusal;
use crate::store::Transaction;

/// So many endpoints are in a slice.
const IN_SLICE: usize = 100;
const MANAGER: &str = "endpointslice.kubernetes.io/managed-by";
const OURS: &str = "endpointslice-controller.k8s.io";

pub(super) fn settle(actor: &Actor, transaction: &mut Transaction, key: &Key) -> Result<(), Refusal> {
    let endpoints = Key::new(resource("", "v1", "endpoints")?, &key.namespace, &key.name);
    let Some(service) = transaction.get(key).filter(|service| !meta::is_deleting(service)) else {
        if transaction.get(&endpoints).is_some() {
            actor.delete(transaction, &endpoints)?;
        }
        return Ok(());
    };
    let selector = &service["spec"]["selector"];
    let selects = selector.as_object().is_some_and(|pairs| !pairs.is_empty());
    if !selects || service["spec"]["type"] == "ExternalName" {
        return Ok(());
    }
    let mut pods = transaction.list(resource("", "v1", "pods")?, Some(&key.namespace));
    pods.retain(|(_, pod)| labels::has_all(&pod["metadata"]["labels"], selector));
    let pods: Vec<Arc<Value>> = pods.into_iter().map(|(_, pod)| pod).collect();
    let groups = group::of(&service, &pods);
    write_slices(actor, transaction, &service, &groups)?;
    write_endpoints(actor, transaction, &service, &endpoints, &groups)
}

/// The labels of what belongs to a Service.
fn labelled(service: &Value, own: &[(&str, &str)]) -> Value {
    let mut labels = service["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    if service["spec"]["clusterIP"] == "None" {
        labels.insert("service.kubernetes.io/headless".to_owned(), "".into());
    }
    labels.extend(own.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())));
    labels.into()
}

fn write_slices(
    actor: &Actor,
    transaction: &mut Transaction,
    service: &Arc<Value>,
    groups: &[group::Group],
) -> Result<(), Refusal> {
    let slices = resource("discovery.k8s.io", "v1", "endpointslices")?;
    let uid = meta::uid(service);
    let mut stored = transaction.dependents(uid);
    stored.retain(|(key, slice)| {
        key.resource.kind == "EndpointSlice"
            && is_controlled_by(slice, uid)
            && slice["metadata"]["labels"][MANAGER] == OURS
            && !meta::is_deleting(slice)
    });
    let labels = labelled(
        service,
        &[("kubernetes.io/service-name", meta::name(service)), (MANAGER, OURS)],
    );
    for (ports, endpoints) in wanted(groups) {
        let same_ports = stored.iter().position(|(_, slice)| slice["ports"] == ports);
        let found = same_ports
            .or_else(|| (!stored.is_empty()).then_some(0))
            .map(|index| stored.remove(index));
        let (key, slice) = match found {
            Some((key, slice)) => (Some(key), Value::clone(&slice)),
            None => {
                let name = format!("{}-", meta::name(service));
                let owner = owned_by(service);
                (
                    None,
                    json!({"metadata": {"generateName": name, "ownerReferences": owner}, "addressType": "IPv4"}),
                )
            }
        };
        let mut next = slice.clone();
        let fields = meta::fields(&mut next);
        fields.insert("endpoints".to_owned(), endpoints);
        fields.insert("ports".to_owned(), ports);
        meta::set(&mut next, "labels", labels.clone());
        match key {
            None => drop(actor.create(transaction, slices, meta::namespace(service), next)?),
            Some(key) if next != slice => actor.update(transaction, &key, next)?,
            Some(_) => {}
        }
    }
    for (key, _) in stored {
        actor.delete(transaction, &key)?;
    }
    Ok(())
}

/// Ports and endpoints of each slice; one without any where there are no pods.
fn wanted(groups: &[group::Group]) -> Vec<(Value, Value)> {
    let mut wanted = Vec::new();
    for group in groups {
        for part in group.pods.chunks(IN_SLICE) {
            let endpoints = part.iter().map(group::Endpoint::in_slice).collect();
            wanted.push((group.ports.clone(), endpoints));
        }
    }
    if wanted.is_empty() {
        wanted.push((json!([]), json!([])));
    }
    wanted
}

fn write_endpoints(
    actor: &Actor,
    transaction: &mut Transaction,
    service: &Value,
    key: &Key,
    groups: &[group::Group],
) -> Result<(), Refusal> {
    let subsets: Vec<Value> = groups.iter().filter_map(group::Group::subset).collect();
    let labels = labelled(
        service,
        &[("endpoints.kubernetes.io/managed-by", "endpoint-controller")],
    );
    let Some(stored) = transaction.get(key) else {
        let mut endpoints = json!({"metadata": {"name": key.name, "labels": labels}});
        if !subsets.is_empty() {
            meta::fields(&mut endpoints).insert("subsets".to_owned(), subsets.into());
        }
        return actor
            .create(transaction, key.resource, &key.namespace, endpoints)
            .map(drop);
    };
    let mut next = Value::clone(&stored);
    meta::set(&mut next, "labels", labels);
    let fields = meta::fields(&mut next);
    if subsets.is_empty() {
        fields.remove("subsets");
    } else {
        fields.insert("subsets".to_owned(), subsets.into());
    }
    if next == *stored {
        return Ok(());
    }
    actor.update(transaction, key, next)
}
