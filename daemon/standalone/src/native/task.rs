// SPDX-License-Identifier: Apache-2.0
//! The task of the controllers: from changes to jobs, and the jobs one by one.
//!
//! Mechanism: the task has a position in the store's log, like a watch. When it is too far behind, every object counts
//! as changed.
//! Depends on: queue, and the controllers.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::actor::Actor;
use super::expiry::{self, Expiry};
use super::queue::Queue;
use super::selectors::Selectors;
use super::settings::Settings;
use super::{account, binding, deployment, endpoints, replica_set};
use crate::key::Key;
use crate::meta;
use crate::moment::Moment;
use crate::refusal::Refusal;
use crate::resource;
use crate::state::State;
use crate::store::{Event, EventKind, Transaction};

/// So many jobs are done before others of the runtime have their turn.
const AT_ONCE: usize = 16;

/// An object that is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Job {
    Pod(String, String),
    ReplicaSet(String, String),
    Deployment(String, String),
    Service(String, String),
    Namespace(String),
}

struct Task {
    state: Arc<State>,
    settings: Settings,
    actor: Actor,
    position: u64,
    queue: Queue<Job>,
    selectors: Selectors,
    expiry: Expiry,
}

/// Runs the controllers until the task is ended.
pub(super) async fn run(state: Arc<State>, settings: Settings) {
    let mut newest = state.newest();
    let mut task = Task {
        position: 0,
        state,
        settings,
        actor: Actor::default(),
        queue: Queue::default(),
        selectors: Selectors::default(),
        expiry: Expiry::default(),
    };
    task.look_at_all();
    loop {
        newest.mark_unchanged();
        task.observe();
        task.queue.wake(Instant::now());
        let is_done = task.work();
        if !is_done {
            tokio::task::yield_now().await;
            continue;
        }
        let next = [task.queue.next(), task.expiry.next()].into_iter().flatten().min();
        let wake = next.unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
        tokio::select! {
            changed = newest.changed() => if changed.is_err() { return },
            () = tokio::time::sleep_until(wake) => {}
        }
    }
}

impl Task {
    fn look_at_all(&mut self) {
        let state = Arc::clone(&self.state);
        state.read(|store| {
            self.position = store.version();
            for resource in resource::all().iter().filter(|resource| resource.knative.is_none()) {
                for (key, object) in store.list(resource, None) {
                    self.concerns(key, EventKind::Added, &object, None);
                }
            }
        });
    }

    /// Reads on in the log.
    fn observe(&mut self) {
        let state = Arc::clone(&self.state);
        let is_behind = state.read(|store| {
            let newest = store.version();
            let Ok(events) = store.events_after(self.position) else {
                return true;
            };
            for event in events {
                self.take(event);
            }
            self.position = newest;
            false
        });
        if is_behind {
            self.look_at_all();
        }
    }

    fn take(&mut self, event: &Event) {
        if event.key.resource.knative.is_none() {
            let previous = event.previous.as_ref().map(|previous| previous.get());
            self.concerns(&event.key, event.kind, &event.object.get(), previous.as_deref());
        }
    }

    fn concerns(&mut self, key: &Key, kind: EventKind, object: &Value, previous: Option<&Value>) {
        let own = || (key.namespace.clone(), key.name.clone());
        let is_gone = kind == EventKind::Deleted;
        match key.resource.kind {
            "Namespace" if !is_gone => self.queue.push(Job::Namespace(key.name.clone())),
            "ServiceAccount" if is_gone => self.queue.push(Job::Namespace(key.namespace.clone())),
            "Pod" => self.pod(key, is_gone, object, previous),
            "ReplicaSet" => {
                let (namespace, name) = own();
                self.queue.push(Job::ReplicaSet(namespace, name));
                self.owner(object);
            }
            "Deployment" => {
                let (namespace, name) = own();
                self.queue.push(Job::Deployment(namespace, name));
            }
            "Service" => {
                if is_gone {
                    self.selectors.remove(&key.namespace, &key.name);
                } else {
                    self.selectors.put(object);
                }
                let (namespace, name) = own();
                self.queue.push(Job::Service(namespace, name));
            }
            "EndpointSlice" => self.owner(object),
            "Endpoints" => {
                let (namespace, name) = own();
                self.queue.push(Job::Service(namespace, name));
            }
            "Event" if kind == EventKind::Added => self.expiry.saw(key, Instant::now()),
            _ => {}
        }
    }

    fn pod(&mut self, key: &Key, is_gone: bool, pod: &Value, previous: Option<&Value>) {
        if !is_gone && binding::is_unbound(pod) {
            self.queue.push(Job::Pod(key.namespace.clone(), key.name.clone()));
        }
        for pod in [Some(pod), previous].into_iter().flatten() {
            self.owner(pod);
            for service in self.selectors.of(pod) {
                self.queue.push(Job::Service(key.namespace.clone(), service));
            }
        }
    }

    /// Looks at the controller of an object.
    fn owner(&mut self, object: &Value) {
        let namespace = meta::namespace(object).to_owned();
        for owner in meta::owners(object).iter().filter(|owner| owner["controller"] == true) {
            let name = owner["name"].as_str().unwrap_or_default().to_owned();
            match owner["kind"].as_str() {
                Some("ReplicaSet") => self.queue.push(Job::ReplicaSet(namespace.clone(), name)),
                Some("Deployment") => self.queue.push(Job::Deployment(namespace.clone(), name)),
                Some("Service") => self.queue.push(Job::Service(namespace.clone(), name)),
                _ => {}
            }
        }
    }

    /// Does some jobs; whether none is left.
    fn work(&mut self) -> bool {
        let gone = self.expiry.take(Instant::now());
        if !gone.is_empty() {
            // What stays for a failure of the disk goes with the next restart.
            let _kept = self.write(|actor, transaction| expiry::delete(actor, transaction, &gone));
        }
        for _ in 0..AT_ONCE {
            let Some(job) = self.queue.pop() else {
                return true;
            };
            match self.settle(&job) {
                Ok(again) => {
                    self.queue.succeeded(&job);
                    if let Some(wait) = again {
                        self.queue.push_at(job, Instant::now() + wait);
                    }
                }
                Err(_refused) => self.queue.failed(job, Instant::now()),
            }
        }
        false
    }

    /// Brings an object to rest; when it is to be looked at again, if nothing changes.
    fn settle(&self, job: &Job) -> Result<Option<Duration>, Refusal> {
        let find = |group, version, plural| super::actor::resource(group, version, plural);
        match job {
            Job::Pod(namespace, name) => {
                let key = Key::new(find("", "v1", "pods")?, namespace, name);
                let node = &self.settings.node;
                self.write(|actor, transaction| binding::settle(actor, transaction, &key, node).map(|()| None))
            }
            Job::ReplicaSet(namespace, name) => {
                let key = Key::new(find("apps", "v1", "replicasets")?, namespace, name);
                let node = &self.settings.node;
                self.write(|actor, transaction| replica_set::settle(actor, transaction, &key, node))
            }
            Job::Deployment(namespace, name) => {
                let key = Key::new(find("apps", "v1", "deployments")?, namespace, name);
                self.write(|actor, transaction| deployment::settle(actor, transaction, &key))
            }
            Job::Service(namespace, name) => {
                let key = Key::new(find("", "v1", "services")?, namespace, name);
                self.write(|actor, transaction| endpoints::settle(actor, transaction, &key).map(|()| None))
            }
            Job::Namespace(name) => {
                self.write(|actor, transaction| account::settle(actor, transaction, name).map(|()| None))
            }
        }
    }

    fn write<T>(&self, decide: impl FnOnce(&Actor, &mut Transaction) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let mut moment = Moment::current();
        self.state
            .write(&mut moment, false, |transaction| decide(&self.actor, transaction))
    }
}
