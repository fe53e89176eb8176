// SPDX-License-Identifier: Apache-2.0
//! Keeps the programme like the objects it is made of.
//!
//! Problem: a change of one object concerns few parts of the programme, and those must be found without a look at all.
//! Mechanism: the caches say what changed ([`Dirty`]); [`work`] translates again what that touches, and what depends on it;
//! then the programme is published once for all of it.
//! Invariants: one task owns the programme; how an Ingress stands is known no later than the programme that has it.
//! Depends on: the caches, work.

mod dirty;
#[cfg(test)]
mod tests;
mod work;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use api::names::{kubernetes, serving};
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use tokio::sync::watch;

use super::programme::Programme;
use super::standing::Standing;
use crate::caches::Caches;
use crate::context::Context;
use crate::kept::Kept;
use crate::key::Key;
use crate::queue::Queue;
use crate::settings::Settings;
use dirty::{Dirty, Marks};
use work::Work;
pub(crate) use work::is_ours;

/// The programme of all gateways; clones are the same.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    published: watch::Sender<Arc<Programme>>,
    standings: RwLock<HashMap<Key, Standing>>,
    /// Until gateways run it: the version that has what an Ingress asks for. One each, however long no gateway runs any.
    unconfirmed: Mutex<HashMap<Key, u64>>,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            shared: Arc::new(Shared {
                published: watch::Sender::new(Arc::default()),
                standings: RwLock::default(),
                unconfirmed: Mutex::default(),
            }),
        }
    }
}

impl Gateway {
    /// The programme, as it is and as it becomes.
    #[must_use]
    pub fn programmes(&self) -> watch::Receiver<Arc<Programme>> {
        self.shared.published.subscribe()
    }

    /// How an Ingress stands; none before it was translated.
    #[must_use]
    pub fn standing(&self, ingress: &Key) -> Option<Standing> {
        let standings = self.shared.standings.read().unwrap_or_else(PoisonError::into_inner);
        standings.get(ingress).cloned()
    }

    /// The Ingresses that were waiting for a version up to this one, which gateways run now.
    pub(crate) fn confirm(&self, version: u64) -> Vec<Key> {
        let mut unconfirmed = self.shared.unconfirmed.lock().unwrap_or_else(PoisonError::into_inner);
        let confirmed = unconfirmed.extract_if(|_, wanted| *wanted <= version);
        confirmed.map(|(ingress, _)| ingress).collect()
    }

    /// Keeps the programme from now on. Ingresses that stand differently are added to `ingresses`.
    pub fn start(&self, context: &Context, ingresses: Arc<Queue>) {
        let marks = Arc::new(Marks::default());
        listen(&context.caches, &marks);
        marks.everything(&context.caches);
        let keeper = Keeper {
            work: Work::new(context.caches.clone()),
            gateway: self.clone(),
            settings: context.settings.clone(),
            ingresses,
        };
        context.tasks.spawn("gateway programme", keeper.keep(marks));
    }

    fn publish(&self, programme: Programme, standings: Vec<(Key, Option<Standing>)>) {
        {
            let mut unconfirmed = self.shared.unconfirmed.lock().unwrap_or_else(PoisonError::into_inner);
            for (ingress, standing) in &standings {
                match standing {
                    Some(standing) => unconfirmed.insert(ingress.clone(), standing.version),
                    None => unconfirmed.remove(ingress),
                };
            }
        }
        {
            let mut known = self.shared.standings.write().unwrap_or_else(PoisonError::into_inner);
            for (ingress, standing) in standings {
                match standing {
                    Some(standing) => known.insert(ingress, standing),
                    None => known.remove(&ingress),
                };
            }
        }
        self.shared.published.send_replace(Arc::new(programme));
    }
}

struct Keeper {
    work: Work,
    gateway: Gateway,
    settings: watch::Receiver<Arc<Settings>>,
    ingresses: Arc<Queue>,
}

impl Keeper {
    async fn keep(mut self, marks: Arc<Marks>) {
        loop {
            let settings = Arc::clone(&self.settings.borrow_and_update());
            let dirty = marks.take();
            let done = self.work.settle(dirty, &settings);
            let told: Vec<Key> = done.standings.iter().map(|(ingress, _)| ingress.clone()).collect();
            if let Some(programme) = done.programme {
                self.gateway.publish(programme, done.standings);
            }
            told.into_iter().for_each(|ingress| self.ingresses.add(ingress));
            tokio::select! {
                () = marks.marked() => {}
                changed = self.settings.changed() => match changed {
                    Ok(()) => marks.mark(Dirty::Settings),
                    Err(_) => return,
                },
            }
        }
    }
}

/// Marks what each change of an object touches.
fn listen(caches: &Caches, marks: &Arc<Marks>) {
    macro_rules! mark {
        ($cache:ident, $of:expr) => {
            let marks = Arc::clone(marks);
            caches.$cache.listen(move |change| {
                for object in change.both() {
                    let of: Option<Dirty> = $of(object);
                    of.into_iter().for_each(|dirty| marks.mark(dirty));
                }
            });
        };
    }
    mark!(ingresses, |ingress: &api::ingress::Ingress| Some(Dirty::Ingress(
        Key::of(&ingress.metadata)
    )));
    mark!(revisions, |revision: &api::revision::Revision| Some(Dirty::Service(
        Key::of(&revision.metadata)
    )));
    mark!(
        serverless_services,
        |sks: &api::serverless_service::ServerlessService| Some(Dirty::Backend(Key::of(&sks.metadata)))
    );
    mark!(pods, |pod: &Pod| labelled(pod, serving::REVISION).map(Dirty::Backend));
    mark!(endpoint_slices, |slice: &EndpointSlice| labelled(
        slice,
        kubernetes::SERVICE_NAME
    )
    .map(Dirty::Backend));
    mark!(kubernetes_services, |service: &Service| Some(Dirty::Service(Key::of(
        &service.metadata
    ))));
    mark!(secrets, |secret: &Secret| Some(Dirty::Secret(Key::of(
        &secret.metadata
    ))));
}

/// What a label names, in the namespace of the object.
fn labelled<K: Kept>(object: &K, label: &str) -> Option<Key> {
    let meta = object.meta();
    let name = meta.labels.as_ref()?.get(label)?;
    Some(Key::new(meta.namespace.clone().unwrap_or_default(), name))
}
