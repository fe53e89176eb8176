// SPDX-License-Identifier: Apache-2.0
//! ReplicaSets: as many pods as they say.
//!
//! Invariants: pods that end or are being deleted do not count, and are replaced; who goes first is `order`'s matter.
//! Depends on: actor, order, conditions.

mod order;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::actor::{Actor, is_controlled_by, owned_by, resource};
use super::conditions::{self, Condition};
use super::labels;
use super::record::{self, Record};
use crate::key::Key;
use crate::meta;
use crate::refusal::Refusal;
use crate::store::Transaction;

/// So many pods are made or deleted in one go.
const AT_ONCE: usize = 64;
/// So many failed pods stay, for who wants to know why.
const FAILED: usize = 5;
/// The longest wait before a pod that failed is replaced once more.
const LONGEST: u64 = 60;

type Pods = Vec<(Key, Arc<Value>)>;

/// Brings a ReplicaSet to rest; when to look again.
pub(super) fn settle(
    actor: &Actor,
    transaction: &mut Transaction,
    key: &Key,
    node: &str,
) -> Result<Option<Duration>, Refusal> {
    let Some(set) = transaction.get(key).filter(|set| !meta::is_deleting(set)) else {
        return Ok(None);
    };
    let uid = meta::uid(&set);
    let mut pods = transaction.dependents(uid);
    pods.retain(|(key, pod)| key.resource.kind == "Pod" && is_controlled_by(pod, uid));
    let (pods, strangers): (Pods, Pods) = pods
        .into_iter()
        .partition(|(_, pod)| labels::takes(&set["spec"]["selector"], &pod["metadata"]["labels"]));
    release(actor, transaction, uid, strangers)?;
    let (mut active, ended): (Pods, Pods) = pods.into_iter().partition(|(_, pod)| is_active(pod));
    let wanted = usize::try_from(set["spec"]["replicas"].as_i64().unwrap_or(1)).unwrap_or_default();
    let now = transaction.moment.now;
    let mut again = None;
    let mut failure = None;
    if active.len() < wanted {
        match replaced_at(&ended, now) {
            Some(wait) => again = Some(wait),
            None => failure = fill(actor, transaction, &set, node, wanted, &mut active),
        }
    } else if active.len() > wanted {
        thin_out(actor, transaction, &set, wanted, &mut active)?;
    }
    if active.len() != wanted && failure.is_none() && again.is_none() {
        again = Some(Duration::ZERO);
    }
    prune(actor, transaction, ended)?;
    let waits = note(actor, transaction, key, &set, &active, failure)?;
    Ok([again, waits].into_iter().flatten().min())
}

/// Lets go of pods that somebody has given other labels.
fn release(actor: &Actor, transaction: &mut Transaction, uid: &str, strangers: Pods) -> Result<(), Refusal> {
    for (key, pod) in strangers {
        let mut next = Value::clone(&pod);
        let owners = meta::owners(&pod).iter().filter(|owner| owner["uid"] != uid);
        let left: Vec<Value> = owners.cloned().collect();
        meta::set(
            &mut next,
            "ownerReferences",
            if left.is_empty() { Value::Null } else { left.into() },
        );
        actor.update(transaction, &key, next)?;
    }
    Ok(())
}

/// Whether a pod counts.
fn is_active(pod: &Value) -> bool {
    !meta::is_over(pod) && !meta::is_deleting(pod)
}

/// How long to wait before a pod is made where others have failed; none for the first.
fn replaced_at(ended: &Pods, now: Timestamp) -> Option<Duration> {
    let failed = ended
        .iter()
        .filter(|(_, pod)| pod["status"]["phase"] == "Failed" && !meta::is_deleting(pod));
    let born: Vec<Timestamp> = failed
        .filter_map(|(_, pod)| meta::text(pod, "creationTimestamp").parse().ok())
        .collect();
    let last = born.iter().max()?;
    let doublings = u32::try_from(born.len() - 1).unwrap_or(u32::MAX).min(10);
    let wait = if doublings == 0 {
        0
    } else {
        (1_u64 << doublings).min(LONGEST)
    };
    let passed = u64::try_from(now.as_second().saturating_sub(last.as_second())).unwrap_or_default();
    (passed < wait).then(|| Duration::from_secs(wait - passed))
}

/// Makes pods; what the API refuses is the failure of the set.
fn fill(
    actor: &Actor,
    transaction: &mut Transaction,
    set: &Value,
    node: &str,
    wanted: usize,
    active: &mut Pods,
) -> Option<Refusal> {
    let missing = wanted.saturating_sub(active.len()).min(AT_ONCE);
    for _ in 0..missing {
        match create(actor, transaction, set, node) {
            Ok(made) => active.push(made),
            Err(refused) => {
                let message = format!("Error creating: {refused}");
                record::event(actor, transaction, set, told("Warning", "FailedCreate", message));
                return Some(refused);
            }
        }
    }
    None
}

fn create(actor: &Actor, transaction: &mut Transaction, set: &Value, node: &str) -> Result<(Key, Arc<Value>), Refusal> {
    let pods = resource("", "v1", "pods")?;
    let template = &set["spec"]["template"];
    let mut pod = json!({
        "metadata": {
            "generateName": format!("{}-", meta::name(set)), "labels": template["metadata"]["labels"],
            "ownerReferences": owned_by(set),
        },
        "spec": template["spec"],
    });
    if !template["metadata"]["annotations"].is_null() {
        meta::set(&mut pod, "annotations", template["metadata"]["annotations"].clone());
    }
    if !template["metadata"]["finalizers"].is_null() {
        meta::set(&mut pod, "finalizers", template["metadata"]["finalizers"].clone());
    }
    if let Some(spec) = pod["spec"].as_object_mut() {
        spec.entry("nodeName").or_insert_with(|| node.into());
    }
    let made = actor.create(transaction, pods, meta::namespace(set), pod)?;
    let message = format!("Created pod: {}", meta::name(&made));
    record::event(actor, transaction, set, told("Normal", "SuccessfulCreate", message));
    Ok((Key::of(pods, &made), made))
}

fn told(kind: &'static str, reason: &'static str, message: String) -> Record {
    Record {
        component: "replicaset-controller",
        kind,
        reason,
        message,
    }
}

/// Deletes the pods that are the least loss.
fn thin_out(
    actor: &Actor,
    transaction: &mut Transaction,
    set: &Value,
    wanted: usize,
    active: &mut Pods,
) -> Result<(), Refusal> {
    active.sort_by(|(_, one), (_, other)| order::first_to_go(one, other));
    let surplus = active.len().saturating_sub(wanted).min(AT_ONCE);
    for (key, _) in active.drain(..surplus) {
        actor.delete(transaction, &key)?;
        let message = format!("Deleted pod: {}", key.name);
        record::event(actor, transaction, set, told("Normal", "SuccessfulDelete", message));
    }
    Ok(())
}

/// Deletes failed pods but the last few.
fn prune(actor: &Actor, transaction: &mut Transaction, mut ended: Pods) -> Result<(), Refusal> {
    ended.retain(|(_, pod)| !meta::is_deleting(pod));
    ended.sort_by(|(_, one), (_, other)| born(other).cmp(born(one)));
    for (key, _) in ended.into_iter().skip(FAILED) {
        actor.delete(transaction, &key)?;
    }
    Ok(())
}

fn born(pod: &Value) -> &str {
    meta::text(pod, "creationTimestamp")
}

/// Writes the status; when a pod that is ready will be available.
fn note(
    actor: &Actor,
    transaction: &mut Transaction,
    key: &Key,
    set: &Value,
    active: &Pods,
    failure: Option<Refusal>,
) -> Result<Option<Duration>, Refusal> {
    let settles = set["spec"]["minReadySeconds"].as_i64().unwrap_or_default();
    let template = &set["spec"]["template"]["metadata"]["labels"];
    let now = transaction.moment.now;
    let (mut ready, mut available, mut labelled) = (0, 0, 0);
    let mut again = None;
    for (_, pod) in active {
        let labels = &pod["metadata"]["labels"];
        labelled += i64::from(template.is_null() || labels::has_all(labels, template));
        if !conditions::is_true(pod, "Ready") {
            continue;
        }
        ready += 1;
        match settled_in(pod, settles, now) {
            Some(wait) => again = Some(again.map_or(wait, |least: Duration| least.min(wait))),
            None => available += 1,
        }
    }
    let mut status = json!({"replicas": active.len(), "observedGeneration": set["metadata"]["generation"]});
    let fields = meta::fields(&mut status);
    for (name, count) in [
        ("fullyLabeledReplicas", labelled),
        ("readyReplicas", ready),
        ("availableReplicas", available),
    ] {
        if count > 0 {
            fields.insert(name.to_owned(), count.into());
        }
    }
    if let Some(refused) = failure {
        let condition = Condition {
            kind: "ReplicaFailure",
            holds: true,
            reason: "FailedCreate".to_owned(),
            message: refused.to_string(),
        };
        let written = condition.written(set, &transaction.moment.written(), false, false);
        fields.insert("conditions".to_owned(), json!([written]));
        again = Some(
            again
                .unwrap_or(Duration::from_secs(LONGEST))
                .min(Duration::from_secs(1)),
        );
    }
    actor.set_status(transaction, key, set, status)?;
    Ok(again)
}

/// How long a ready pod must still stay so to be available.
fn settled_in(pod: &Value, settles: i64, now: Timestamp) -> Option<Duration> {
    let condition = conditions::find(pod, "Ready")?;
    let since: Timestamp = condition["lastTransitionTime"].as_str()?.parse().ok()?;
    let passed = now.as_second().saturating_sub(since.as_second());
    u64::try_from(settles.saturating_sub(passed))
        .ok()
        .filter(|left| *left > 0)
        .map(Duration::from_secs)
}
