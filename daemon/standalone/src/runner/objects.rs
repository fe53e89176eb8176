// SPDX-License-Identifier: Apache-2.0
//! The runner's hand in the API: pods' status, their end, events, and what pods refer to.
//!
//! Invariants: a status is written to the pod it is about (same UID), and only if it differs; what a pod is told again with
//! the same words is one event.
//! Depends on: state, verbs.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use api::context::Settings;
use serde_json::{Value, json};

use super::facts::Source;
use super::plan;
use crate::key::Key;
use crate::meta;
use crate::moment::Moment;
use crate::part::Part;
use crate::refusal::Refusal;
use crate::resource::{self, Resource};
use crate::state::{Kept, State};
use crate::verbs::{self, Caller, DeleteOptions, Unknown};

/// As whom the runner writes.
const MANAGER: &str = "sluice-runner";

/// The runner's hand in the API.
#[derive(Clone, Debug)]
pub(super) struct Objects {
    state: Arc<State>,
    settings: Arc<Settings>,
    node: Arc<str>,
    pods: &'static Resource,
    events: &'static Resource,
}

/// Which pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub(super) struct Identity {
    /// Its UID.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Identity {
    /// Of a pod's object.
    #[must_use]
    pub(super) fn of(pod: &Value) -> Self {
        Self {
            uid: meta::uid(pod).to_owned(),
            namespace: meta::namespace(pod).to_owned(),
            name: meta::name(pod).to_owned(),
        }
    }
}

impl Objects {
    /// For the pods of a node. None if the API does not have pods and events.
    #[must_use]
    pub(super) fn new(state: Arc<State>, node: &str) -> Option<Self> {
        Some(Self {
            state,
            settings: Arc::default(),
            node: node.into(),
            pods: resource::find("", "v1", "pods")?,
            events: resource::find("", "v1", "events")?,
        })
    }

    /// The API's state.
    #[must_use]
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// The resource of pods.
    #[must_use]
    pub(super) fn pods(&self) -> &'static Resource {
        self.pods
    }

    /// Whether a pod is this node's.
    #[must_use]
    pub(super) fn is_ours(&self, pod: &Value) -> bool {
        pod["spec"]["nodeName"] == *self.node
    }

    /// A pod, if it is still the same.
    #[must_use]
    pub(super) fn pod(&self, pod: &Identity) -> Option<Arc<Value>> {
        let key = self.key(pod);
        let found = self.state.read(|store| store.get(&key));
        found.filter(|found| meta::uid(found) == pod.uid)
    }

    /// A ConfigMap or a Secret.
    #[must_use]
    pub(super) fn look(&self, namespace: &str, source: Source, name: &str) -> Option<Arc<Value>> {
        let plural = match source {
            Source::ConfigMap => "configmaps",
            Source::Secret => "secrets",
        };
        let key = Key::new(resource::find("", "v1", plural)?, namespace, name);
        self.state.read(|store| store.get(&key))
    }

    /// Writes a pod's status, and answers what tells when the state file has it; none if there is nothing to write.
    ///
    /// # Errors
    /// What the API refuses.
    pub(super) fn write_status(&self, pod: &Identity, status: &Value) -> Result<Option<Kept>, Refusal> {
        let key = self.key(pod);
        let (is_news, kept) = self.state.write_kept(&mut moment(), false, |transaction| {
            let old = transaction.get(&key).filter(|old| meta::uid(old) == pod.uid);
            let Some(old) = old.filter(|old| old["status"] != *status) else {
                return Ok(false);
            };
            let mut next = Value::clone(&old);
            meta::fields(&mut next).insert("status".to_owned(), status.clone());
            verbs::update(transaction, &key, Part::Status, next, &self.caller()).map(|_| true)
        })?;
        Ok(is_news.then_some(kept))
    }

    /// Takes a pod that has ended out of the API, and answers what tells when the state file knows.
    ///
    /// # Errors
    /// What the API refuses.
    pub(super) fn remove(&self, pod: &Identity) -> Result<Kept, Refusal> {
        let key = self.key(pod);
        let options = DeleteOptions {
            grace: Some(0),
            uid: Some(pod.uid.clone()),
            ..DeleteOptions::default()
        };
        let removed = self.state.write_kept(&mut moment(), false, |transaction| {
            match transaction.get(&key).filter(|old| meta::uid(old) == pod.uid) {
                Some(_) => verbs::delete(transaction, &key, &options).map(drop),
                None => Ok(()),
            }
        });
        removed.map(|((), kept)| kept)
    }

    /// Tells people of something that happened to a pod; the same again counts up.
    pub(super) fn tell(&self, pod: &Identity, is_warning: bool, reason: &str, message: &str) {
        let mut moment = moment();
        let time = moment.written();
        let name = format!("{}.{:016x}", pod.name, number(&(pod, is_warning, reason, message)));
        let key = Key::new(self.events, &pod.namespace, &name);
        let event = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": name, "namespace": pod.namespace},
            "involvedObject": {
                "apiVersion": "v1", "kind": "Pod", "namespace": pod.namespace, "name": pod.name, "uid": pod.uid,
            },
            "type": if is_warning { "Warning" } else { "Normal" },
            "reason": reason, "message": message, "count": 1,
            "firstTimestamp": time, "lastTimestamp": time,
            "source": {"component": "kubelet", "host": &*self.node},
        });
        // An event that cannot be written is not worth more than that: its namespace may be going.
        let _ = self.state.write(&mut moment, false, |transaction| {
            let Some(before) = transaction.get(&key) else {
                return verbs::create(transaction, self.events, &pod.namespace, event, &self.caller()).map(drop);
            };
            let count = before["count"].as_u64().unwrap_or_default();
            let mut next = Value::clone(&before);
            next["count"] = count.saturating_add(1).into();
            next["lastTimestamp"] = time.into();
            verbs::update(transaction, &key, Part::Whole, next, &self.caller()).map(drop)
        });
    }

    fn key(&self, pod: &Identity) -> Key {
        Key::new(self.pods, &pod.namespace, &pod.name)
    }

    fn caller(&self) -> Caller<'_> {
        Caller {
            settings: &self.settings,
            user: "system:node",
            manager: MANAGER,
            has_booked: false,
            unknown: Unknown::Dropped,
        }
    }
}

/// A number for what is told, the same one for the same.
fn number(told: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    told.hash(&mut hasher);
    hasher.finish()
}

fn moment() -> Moment {
    Moment {
        now: plan::time(),
        random: fastrand::Rng::new(),
    }
}
