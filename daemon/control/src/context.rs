// SPDX-License-Identifier: Apache-2.0
//! What every controller works with, and how it changes things.
//!
//! Mechanism: writes go to the API server, and what it answers goes into the caches, so that the next look sees it.
//! Invariants: a status is written only where it says something new; one that meets a conflict is written over what is
//! there now.
//! Depends on: caches, events, settings, clock, failure, queues, life.

use std::sync::Arc;

use api::object::{Object, Spec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client};
use serde_json::Value;
use tokio::sync::watch;

use crate::caches::{Cached, Caches};
use crate::clock::Clock;
use crate::events::Events;
use crate::failure::Failure;
use crate::kept::{Kept, Stored};
use crate::key::Key;
use crate::queues::Queues;
use crate::settings::Settings;

/// So often a status is written again over what somebody else has written meanwhile.
const STATUS_ATTEMPTS: u32 = 5;

/// What every controller works with; clones are the same.
#[derive(Clone)]
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What it keeps.
    pub caches: Caches,
    /// What the operator wants.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// What users are told.
    pub events: Events,
    /// The time.
    pub clock: Clock,
    /// Whoever works.
    pub tasks: life::Tasks,
    /// What waits for the controllers; for the page of figures: `life::metrics::Registry::add`.
    pub queues: Arc<Queues>,
    /// Whether the nodes redirect connections.
    pub redirects: bool,
}

impl Context {
    /// The settings of this moment.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// The same for who speaks as this component.
    #[must_use]
    pub fn speaking_as(&self, component: &'static str) -> Self {
        Self {
            events: self.events.speaking_as(component),
            ..self.clone()
        }
    }

    /// An object as it was last heard of.
    #[must_use]
    pub fn get<K: Cached>(&self, key: &Key) -> Option<Arc<K>> {
        K::cache(&self.caches).get(key)
    }

    /// Makes an object; as it is then.
    ///
    /// # Errors
    /// The server refuses or cannot be asked.
    pub async fn create<K: Cached>(&self, object: K) -> Result<Arc<K>, Failure> {
        let api = self.api::<K>(object.meta().namespace.as_deref());
        let Stored(made) = api.create(&PostParams::default(), &Stored(object)).await?;
        Ok(K::cache(&self.caches).take_in(made))
    }

    /// Writes an object over the version that it was read at; as it is then.
    ///
    /// # Errors
    /// The server refuses, for one because somebody else has changed it meanwhile, or cannot be asked.
    pub async fn update<K: Cached>(&self, object: K) -> Result<Arc<K>, Failure> {
        let Key { namespace, name } = Key::of(object.meta());
        let api = self.api::<K>(Some(&namespace));
        let Stored(written) = api.replace(&name, &PostParams::default(), &Stored(object)).await?;
        Ok(K::cache(&self.caches).take_in(written))
    }

    /// Merges a change into an object; as it is then.
    ///
    /// # Errors
    /// The server refuses or cannot be asked.
    pub async fn merge<K: Cached>(&self, key: &Key, change: &Value) -> Result<Arc<K>, Failure> {
        let api = self.api::<K>(Some(&key.namespace));
        let parameters = PatchParams::default();
        let Stored(written) = api.patch(&key.name, &parameters, &Patch::Merge(change)).await?;
        Ok(K::cache(&self.caches).take_in(written))
    }

    /// Deletes an object; one that is gone, or is another of the same name, counts as deleted.
    ///
    /// # Errors
    /// The server refuses or cannot be asked.
    pub async fn delete<K: Cached>(&self, object: &K) -> Result<(), Failure> {
        let Key { namespace, name } = Key::of(object.meta());
        let api = self.api::<K>(Some(&namespace));
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: object.meta().uid.clone(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match api.delete(&name, &parameters).await.map_err(Failure::from) {
            Err(failure) if !failure.is_missing() && !failure.is_conflict() => Err(failure),
            _ => Ok(()),
        }
    }

    /// Writes the status of an object, if it says something new: over whatever status is there by then.
    ///
    /// # Errors
    /// The server refuses or cannot be asked.
    pub async fn write_status<S, T>(&self, object: &Object<S, T>, status: T) -> Result<(), Failure>
    where
        S: Spec,
        T: Clone + PartialEq,
        Object<S, T>: Cached,
    {
        if object.status == status {
            return Ok(());
        }
        let Key { namespace, name } = Key::of(object.meta());
        let api = self.api::<Object<S, T>>(Some(&namespace));
        let mut wanted = object.clone();
        for _ in 0..STATUS_ATTEMPTS {
            wanted.status = status.clone();
            let written = api.replace_status(&name, &PostParams::default(), &Stored(wanted)).await;
            match written.map_err(Failure::from) {
                Ok(Stored(written)) => {
                    Object::<S, T>::cache(&self.caches).take_in(written);
                    return Ok(());
                }
                Err(failure) if !failure.is_conflict() => return Err(failure),
                Err(_) => {}
            }
            Stored(wanted) = api.get(&name).await?;
            if wanted.metadata.uid != object.metadata.uid || wanted.status == status {
                return Ok(());
            }
        }
        Err(Failure::Decided(format!(
            "the status of {} {name:?} changes too often to be written",
            Object::<S, T>::kind()
        )))
    }

    fn api<K: Kept>(&self, namespace: Option<&str>) -> Api<Stored<K>> {
        match namespace.filter(|namespace| !namespace.is_empty()) {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &()),
            None => Api::all_with(self.client.clone(), &()),
        }
    }
}
