// SPDX-License-Identifier: Apache-2.0
//! Deployments: one ReplicaSet for each template that they had, and the way from the old to the new.
//!
//! Mechanism: observe the Deployment and its sets, let `plan` decide every set's size, write, and tell in the status.
//! Depends on: actor, plan, hash, status, record.

mod hash;
mod plan;
mod status;
mod template;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::actor::{Actor, is_controlled_by, resource};
use super::record::{self, Record};
use crate::key::Key;
use crate::meta;
use crate::refusal::Refusal;
use crate::store::Transaction;
use plan::{Plan, Set};

/// The annotations of a set.
const REVISION: &str = "deployment.kubernetes.io/revision";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MOST: &str = "deployment.kubernetes.io/max-replicas";

/// A Deployment's sets, oldest first, and which of them has its template.
struct Sets {
    objects: Vec<(Key, Arc<Value>)>,
    newest: Option<usize>,
}

/// Brings a Deployment to rest; when to look again.
pub(super) fn settle(actor: &Actor, transaction: &mut Transaction, key: &Key) -> Result<Option<Duration>, Refusal> {
    let Some(deployment) = transaction.get(key).filter(|found| !meta::is_deleting(found)) else {
        return Ok(None);
    };
    let plan = Plan::of(&deployment);
    let mut sets = observe(transaction, &deployment);
    let mut collisions = deployment["status"]["collisionCount"].as_i64().unwrap_or_default();
    let has_old_pods = sets.has_old_pods(transaction);
    let waits = plan.is_recreate && has_old_pods;
    let may_begin = !plan.is_paused && !waits;
    let mut made = None;
    if sets.newest.is_none() && may_begin {
        made = Some(begin(actor, transaction, &deployment, &mut collisions)?);
        sets = observe(transaction, &deployment);
    }
    number(actor, transaction, key, &mut sets)?;
    let sizes = plan.sizes(&sets.measured(), sets.newest, has_old_pods);
    for (index, size) in sizes.into_iter().enumerate() {
        resize(
            actor,
            transaction,
            &deployment,
            &plan,
            sets.objects.get_mut(index),
            size,
        )?;
    }
    clean_up(actor, transaction, &plan, &sets)?;
    let told = status::Told {
        deployment: &deployment,
        plan: &plan,
        sets: &sets.objects,
        newest: sets
            .newest
            .and_then(|index| sets.objects.get(index))
            .map(|(_, set)| &**set),
        made,
        collisions,
    };
    let (status, again) = told.status(transaction.moment);
    // The revision's note may have changed the object.
    let current = transaction.get(key).unwrap_or(deployment);
    actor.set_status(transaction, key, &current, status)?;
    Ok(again)
}

fn observe(transaction: &Transaction, deployment: &Value) -> Sets {
    let uid = meta::uid(deployment);
    let mut objects = transaction.dependents(uid);
    objects.retain(|(key, set)| {
        key.resource.kind == "ReplicaSet" && is_controlled_by(set, uid) && !meta::is_deleting(set)
    });
    objects.sort_by(|(_, one), (_, other)| {
        let born = |set: &'_ Value| {
            (
                meta::text(set, "creationTimestamp").to_owned(),
                meta::name(set).to_owned(),
            )
        };
        born(one).cmp(&born(other))
    });
    let wanted = &deployment["spec"]["template"];
    let newest = objects
        .iter()
        .position(|(_, set)| template::is_same(&set["spec"]["template"], wanted));
    Sets { objects, newest }
}

impl Sets {
    fn measured(&self) -> Vec<Set> {
        self.objects.iter().map(|(_, set)| Set::of(set)).collect()
    }

    /// Whether a pod of another template is still there, ending or not.
    fn has_old_pods(&self, transaction: &Transaction) -> bool {
        self.objects.iter().enumerate().any(|(index, (_, set))| {
            let has_pods = || {
                let pods = transaction.dependents(meta::uid(set));
                pods.iter()
                    .any(|(key, pod)| key.resource.kind == "Pod" && !meta::is_over(pod))
            };
            Some(index) != self.newest
                && (set["status"]["replicas"].as_i64().is_some_and(|count| count > 0) || has_pods())
        })
    }
}

/// Makes the set of a new template; its name.
fn begin(
    actor: &Actor,
    transaction: &mut Transaction,
    deployment: &Value,
    collisions: &mut i64,
) -> Result<String, Refusal> {
    let sets = resource("apps", "v1", "replicasets")?;
    loop {
        let hash = hash::of(&deployment["spec"]["template"], *collisions);
        let set = template::set(deployment, &hash);
        let key = Key::new(sets, meta::namespace(deployment), meta::name(&set));
        if transaction.get(&key).is_some() {
            *collisions = collisions.saturating_add(1);
            continue;
        }
        let made = actor.create(transaction, sets, meta::namespace(deployment), set)?;
        return Ok(meta::name(&made).to_owned());
    }
}

/// The newest set has the highest number, and the Deployment has it too.
fn number(actor: &Actor, transaction: &mut Transaction, key: &Key, sets: &mut Sets) -> Result<(), Refusal> {
    let Some(newest) = sets.newest else {
        return Ok(());
    };
    let revision = |set: &Value| -> i64 {
        let text = set["metadata"]["annotations"][REVISION].as_str();
        text.and_then(|text| text.parse().ok()).unwrap_or_default()
    };
    let others = sets.objects.iter().enumerate().filter(|(index, _)| *index != newest);
    let highest = others.map(|(_, (_, set))| revision(set)).max().unwrap_or_default();
    let Some((set_key, set)) = sets.objects.get_mut(newest) else {
        return Ok(());
    };
    if revision(set) <= highest {
        let mut next = Value::clone(set);
        template::note(&mut next, REVISION, (highest + 1).to_string());
        actor.update(transaction, set_key, next)?;
        *set = transaction.get(set_key).unwrap_or_else(|| Arc::clone(set));
    }
    let own = set["metadata"]["annotations"][REVISION].clone();
    if let Some(deployment) = transaction.get(key)
        && deployment["metadata"]["annotations"][REVISION] != own
    {
        let mut next = Value::clone(&deployment);
        template::note(&mut next, REVISION, own.as_str().unwrap_or_default().to_owned());
        actor.update(transaction, key, next)?;
    }
    Ok(())
}

fn resize(
    actor: &Actor,
    transaction: &mut Transaction,
    deployment: &Value,
    plan: &Plan,
    set: Option<&mut (Key, Arc<Value>)>,
    size: i64,
) -> Result<(), Refusal> {
    let Some((key, set)) = set else {
        return Ok(());
    };
    let before = set["spec"]["replicas"].as_i64().unwrap_or_default();
    let mut next = Value::clone(set);
    let spec = meta::fields(&mut next).entry("spec").or_insert(Value::Null);
    meta::fields(spec).insert("replicas".to_owned(), size.into());
    if size > 0 || before != size {
        template::note(&mut next, DESIRED, plan.replicas.to_string());
        template::note(&mut next, MOST, plan.most().to_string());
    }
    if next == **set {
        return Ok(());
    }
    actor.update(transaction, key, next)?;
    *set = transaction.get(key).unwrap_or_else(|| Arc::clone(set));
    if before != size {
        let way = if size > before { "up" } else { "down" };
        let message = format!("Scaled {way} replica set {} from {before} to {size}", key.name);
        let record = Record {
            component: "deployment-controller",
            kind: "Normal",
            reason: "ScalingReplicaSet",
            message,
        };
        record::event(actor, transaction, deployment, record);
    }
    Ok(())
}

/// Deletes the oldest empty sets beyond the history that is kept.
fn clean_up(actor: &Actor, transaction: &mut Transaction, plan: &Plan, sets: &Sets) -> Result<(), Refusal> {
    let old = sets
        .objects
        .iter()
        .enumerate()
        .filter(|(index, _)| Some(*index) != sets.newest);
    let old: Vec<&(Key, Arc<Value>)> = old.map(|(_, set)| set).collect();
    let surplus = old.len().saturating_sub(plan.history);
    if plan.is_paused {
        return Ok(());
    }
    for (key, set) in old.into_iter().take(surplus) {
        let is_empty = |part: &str| set[part]["replicas"].as_i64().unwrap_or_default() == 0;
        if is_empty("spec")
            && is_empty("status")
            && set["status"]["observedGeneration"] == set["metadata"]["generation"]
        {
            actor.delete(transaction, key)?;
        }
    }
    Ok(())
}
