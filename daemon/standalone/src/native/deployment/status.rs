// SPDX-License-Identifier: Apache-2.0
//! The status of a Deployment: its counts, and how its rollout goes.
//!
//! Invariants: a rollout that has ended does not time out; whatever moves forward renews the deadline.
//! Depends on: plan, conditions.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::super::conditions::{self, Condition};
use super::plan::Plan;
use crate::key::Key;
use crate::meta;
use crate::moment::Moment;

const ENDED: &str = "NewReplicaSetAvailable";
const LATE: &str = "ProgressDeadlineExceeded";
/// A deadline of this many seconds is none.
const NO_DEADLINE: i64 = i32::MAX as i64;

/// What is told.
pub(super) struct Told<'a> {
    pub(super) deployment: &'a Value,
    pub(super) plan: &'a Plan,
    pub(super) sets: &'a [(Key, Arc<Value>)],
    pub(super) newest: Option<&'a Value>,
    /// The name of a set that was made just now.
    pub(super) made: Option<String>,
    pub(super) collisions: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    replicas: i64,
    updated: i64,
    ready: i64,
    available: i64,
}

impl Told<'_> {
    /// The status, and when to look again for the deadline.
    pub(super) fn status(&self, moment: &Moment) -> (Value, Option<Duration>) {
        let now = moment.written();
        let counts = self.counts();
        let mut status = json!({"observedGeneration": self.deployment["metadata"]["generation"]});
        let fields = meta::fields(&mut status);
        let total: i64 = self
            .sets
            .iter()
            .map(|(_, set)| set["spec"]["replicas"].as_i64().unwrap_or_default())
            .sum();
        for (name, count) in [
            ("replicas", counts.replicas),
            ("updatedReplicas", counts.updated),
            ("readyReplicas", counts.ready),
            ("availableReplicas", counts.available),
            ("unavailableReplicas", (total - counts.available).max(0)),
            ("collisionCount", self.collisions),
        ] {
            if count > 0 {
                fields.insert(name.to_owned(), count.into());
            }
        }
        let available = self.available(counts).written(self.deployment, &now, true, false);
        let (progress, is_renewed) = self.progress(counts, moment.now);
        let mut list = vec![available];
        let mut again = None;
        if let Some(progress) = progress {
            let written = progress.written(self.deployment, &now, true, is_renewed);
            again = self.left(&written, moment.now);
            list.push(written);
        }
        let mut failures = self
            .sets
            .iter()
            .filter_map(|(_, set)| conditions::find(set, "ReplicaFailure"));
        if let Some(failure) = failures.next_back() {
            let text = |key: &str| failure[key].as_str().unwrap_or_default().to_owned();
            let failure = Condition {
                kind: "ReplicaFailure",
                holds: true,
                reason: text("reason"),
                message: text("message"),
            };
            list.push(failure.written(self.deployment, &now, true, false));
        }
        fields.insert("conditions".to_owned(), list.into());
        (status, again)
    }

    fn counts(&self) -> Counts {
        let count = |set: &Value, name: &str| set["status"][name].as_i64().unwrap_or_default();
        let sum = |name: &str| self.sets.iter().map(|(_, set)| count(set, name)).sum();
        Counts {
            replicas: sum("replicas"),
            updated: self.newest.map_or(0, |set| count(set, "replicas")),
            ready: sum("readyReplicas"),
            available: sum("availableReplicas"),
        }
    }

    fn available(&self, counts: Counts) -> Condition {
        let holds = counts.available >= self.plan.least();
        let (reason, message) = if holds {
            ("MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            (
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
            )
        };
        Condition {
            kind: "Available",
            holds,
            reason: reason.to_owned(),
            message: message.to_owned(),
        }
    }

    /// How the rollout goes, and whether that renews the deadline.
    fn progress(&self, counts: Counts, now: Timestamp) -> (Option<Condition>, bool) {
        let Some(deadline) = self.deadline() else {
            return (None, false);
        };
        let old = conditions::find(self.deployment, "Progressing");
        let reason = old.and_then(|old| old["reason"].as_str()).unwrap_or_default();
        let subject = self.newest.map_or_else(
            || format!("Deployment \"{}\"", meta::name(self.deployment)),
            |set| format!("ReplicaSet \"{}\"", meta::name(set)),
        );
        let told = |holds, reason: &str, message: String| {
            let reason = reason.to_owned();
            Some(Condition {
                kind: "Progressing",
                holds,
                reason,
                message,
            })
        };
        if self.plan.is_paused {
            return (
                told(reason != LATE, "DeploymentPaused", "Deployment is paused".to_owned()),
                false,
            );
        }
        if let Some(name) = &self.made {
            return (
                told(
                    true,
                    "NewReplicaSetCreated",
                    format!("Created new replica set \"{name}\""),
                ),
                true,
            );
        }
        let wanted = self.plan.replicas;
        let is_over = counts.updated == wanted && counts.replicas == wanted && counts.available >= wanted;
        if is_over {
            return (
                told(true, ENDED, format!("{subject} has successfully progressed.")),
                false,
            );
        }
        let has_begun_anew = reason == ENDED && counts.replicas == counts.updated;
        if has_begun_anew && let Some(old) = old {
            // Scaling, or a pod that is lost, after the end of a rollout is no rollout.
            let message = old["message"].as_str().unwrap_or_default().to_owned();
            return (told(true, ENDED, message), false);
        }
        if old.is_none() || self.moves(counts) {
            return (
                told(true, "ReplicaSetUpdated", format!("{subject} is progressing.")),
                true,
            );
        }
        let since = old.and_then(|old| old["lastUpdateTime"].as_str()?.parse::<Timestamp>().ok());
        let is_late = since.is_some_and(|since| now.as_second() - since.as_second() >= deadline);
        if reason == LATE || (is_late && reason != ENDED) {
            return (
                told(false, LATE, format!("{subject} has timed out progressing.")),
                false,
            );
        }
        let kept = if reason.is_empty() { "ReplicaSetUpdated" } else { reason };
        let message = old.and_then(|old| old["message"].as_str()).unwrap_or_default();
        (told(true, kept, message.to_owned()), false)
    }

    /// Whether more is done than the last status told.
    fn moves(&self, counts: Counts) -> bool {
        let told = |name: &str| self.deployment["status"][name].as_i64().unwrap_or_default();
        counts.updated > told("updatedReplicas")
            || counts.replicas - counts.updated < told("replicas") - told("updatedReplicas")
            || counts.ready > told("readyReplicas")
            || counts.available > told("availableReplicas")
    }

    fn deadline(&self) -> Option<i64> {
        let seconds = self.deployment["spec"]["progressDeadlineSeconds"]
            .as_i64()
            .unwrap_or(600);
        (seconds < NO_DEADLINE).then_some(seconds)
    }

    /// When the deadline is over, while a rollout goes on.
    fn left(&self, progress: &Value, now: Timestamp) -> Option<Duration> {
        if matches!(progress["reason"].as_str(), Some(ENDED | LATE | "DeploymentPaused")) {
            return None;
        }
        let since: Timestamp = progress["lastUpdateTime"].as_str()?.parse().ok()?;
        let left = since.as_second() + self.deadline()? - now.as_second();
        Some(Duration::from_secs(u64::try_from(left).unwrap_or_default().max(1)))
    }
}
