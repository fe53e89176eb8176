// SPDX-License-Identifier: Apache-2.0
//! ServerlessServices: the two Services of a Revision, and who stands behind the public one. Control-plane spec 4.12.
//!
//! Problem: the address of a Revision must lead to its pods or to the gateways, as the autoscaler wishes and as somebody
//! is there.
//! Mechanism: a private Service that Kubernetes fills by selector; a public one whose EndpointSlices are written here
//! (Knative writes Endpoints and has Kubernetes copy them, which takes longer; who reads slices sees the same).
//! Invariants: reasons and messages are Knative's; what belongs to somebody else is left alone.
//! Depends on: context, controller, endpoints, api (what is made).

pub mod endpoints;

use std::net::SocketAddr;
use std::sync::Arc;

use api::conditions::{Conditioned as _, pass};
use api::names::serving;
use api::serverless_service::{ServerlessService, ServerlessServiceStatus, desired};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use logic::kpa::Mode;
use tokio::sync::watch;

use crate::cache::Change;
use crate::caches::Cached;
use crate::context::Context;
use crate::controller::{self, Again, Controller};
use crate::failure::Failure;
use crate::gateway::backend::pod as backend_of;
use crate::kept::controls;
use crate::key::Key;
use crate::queue::Queue;
use endpoints::{Backend, Choice};

/// Where gateways take requests for Revisions, as they come and go.
pub type Gateways = watch::Receiver<Vec<SocketAddr>>;

struct Services {
    context: Context,
    gateways: Gateways,
}

/// Starts to keep the Services.
pub fn start(context: &Context, gateways: Gateways) {
    let queue = Arc::new(Queue::default());
    controller::watch_self::<ServerlessService>(context, &queue);
    controller::watch_made::<ServerlessService, Service>(context, &queue);
    controller::watch_made::<ServerlessService, EndpointSlice>(context, &queue);
    let pods = Arc::clone(&queue);
    context.caches.pods.listen(move |change: &Change<Pod>| {
        let [old, new] = [&change.old, &change.new].map(|side| side.as_deref().and_then(ready));
        if old != new {
            let key = change.either().and_then(of_revision);
            key.into_iter().for_each(|key| pods.add(key));
        }
    });
    let (moved, cache, mut at) = (
        Arc::clone(&queue),
        context.caches.serverless_services.clone(),
        gateways.clone(),
    );
    context.tasks.spawn("gateway addresses", async move {
        while at.changed().await.is_ok() {
            at.mark_unchanged();
            cache.keys().into_iter().for_each(|key| moved.add(key));
        }
    });
    let context = context.speaking_as(Services::NAME);
    let controller = Services {
        context: context.clone(),
        gateways,
    };
    controller::start(&context, &queue, controller);
}

/// The ServerlessService of a pod: it has the Revision's name.
fn of_revision(pod: &Pod) -> Option<Key> {
    let revision = pod.metadata.labels.as_ref()?.get(serving::REVISION)?;
    Some(Key::new(pod.metadata.namespace.clone().unwrap_or_default(), revision))
}

/// The pod as it stands behind a Service, if it is ready.
fn ready(pod: &Pod) -> Option<Backend> {
    let backend = backend_of(pod).filter(|pod| pod.is_ready && !pod.is_ending)?;
    Some(Backend {
        address: backend.address,
        name: backend.name.into(),
        uid: backend.uid.into(),
        node: Some(backend.node.into()).filter(|node: &String| !node.is_empty()),
    })
}

impl Controller for Services {
    type Object = ServerlessService;

    const NAME: &'static str = "serverlessservice-controller";
    const WORKERS: usize = 8;

    async fn reconcile(&self, services: Arc<ServerlessService>) -> Result<Again, Failure> {
        let now = self.context.now();
        let mut status = services.status.clone();
        pass::begin(&mut status, services.generation(), &now);
        let done = self.keep(&services, &mut status, &now).await;
        pass::end(
            &mut status,
            &services.status.observed().conditions,
            services.generation(),
            &now,
        );
        let written = self.context.write_status(&services, status).await;
        done?;
        written.map(|()| None)
    }
}

/// A ServerlessService, its status as it becomes, and the time.
type Looked<'a> = (&'a ServerlessService, &'a mut ServerlessServiceStatus, &'a Time);

impl Services {
    async fn keep(
        &self,
        services: &ServerlessService,
        status: &mut ServerlessServiceStatus,
        now: &Time,
    ) -> Result<(), Failure> {
        let private = desired::private_service(services, self.selector(services)?);
        status.private_service_name = private.metadata.name.clone().unwrap_or_default();
        self.service(
            (services, status, now),
            private,
            ["CreatingPrivateService", "UpdatingPrivateService"],
        )
        .await?;
        let public = desired::public_service(services);
        status.service_name = public.metadata.name.clone().unwrap_or_default();
        self.service(
            (services, status, now),
            public,
            ["CreatingPublicService", "UpdatingPublicService"],
        )
        .await?;

        let pods = self.ready_pods(services);
        let gateways = self.gateways.borrow().clone();
        let choice = Choice {
            pods: &pods,
            gateways: &gateways,
        };
        let wished = match services.spec.mode.as_str() {
            "Serve" => Mode::Serve,
            _ => Mode::Proxy,
        };
        for slice in endpoints::slices(services, wished, choice) {
            self.slice((services, status, now), slice).await?;
        }
        match pods.is_empty() {
            true => status.mark_endpoints_not_ready("NoHealthyBackends", now),
            false => status.mark_endpoints_ready(now),
        }
        match pods.is_empty() || wished == Mode::Proxy {
            true => status.mark_activator_endpoints_populated(now),
            false => status.mark_activator_endpoints_removed(now),
        }
        Ok(())
    }

    /// The labels of the pods of what is served.
    fn selector(&self, services: &ServerlessService) -> Result<std::collections::BTreeMap<String, String>, Failure> {
        let name = services.spec.object_ref.name.as_deref().unwrap_or_default();
        let key = Key::new(services.namespace(), name);
        let found = self.context.get::<Deployment>(&key);
        let selector = found.and_then(|found| found.spec.as_ref()?.selector.match_labels.clone());
        let missing = || format!("error retrieving deployment selector spec: deployments.apps {name:?} not found");
        selector.ok_or_else(|| Failure::Decided(missing()))
    }

    fn ready_pods(&self, services: &ServerlessService) -> Vec<Backend> {
        let uid = services.label(serving::REVISION_UID).unwrap_or_default();
        let pods = self.context.caches.pods.labelled(services.namespace(), uid);
        pods.iter().filter_map(|pod| ready(pod)).collect()
    }

    async fn service(
        &self,
        (services, status, now): Looked<'_>,
        wanted: Service,
        [creating, updating]: [&'static str; 2],
    ) -> Result<(), Failure> {
        let Some(found) = self.found(&wanted) else {
            status.mark_endpoints_not_ready(creating, now);
            return self.context.create(wanted).await.map(drop);
        };
        owned((services, status, now), found.as_ref())?;
        let (Some(has), Some(wants)) = (&found.spec, wanted.spec) else {
            return Ok(());
        };
        if has.ports == wants.ports && has.selector == wants.selector {
            return Ok(());
        }
        status.mark_endpoints_not_ready(updating, now);
        let mut changed = Service::clone(&found);
        let spec = changed.spec.get_or_insert_default();
        (spec.ports, spec.selector) = (wants.ports, wants.selector);
        self.context.update(changed).await.map(drop)
    }

    async fn slice(&self, (services, status, now): Looked<'_>, wanted: EndpointSlice) -> Result<(), Failure> {
        let Some(found) = self.found(&wanted) else {
            status.mark_endpoints_not_ready("CreatingPublicEndpoints", now);
            return self.context.create(wanted).await.map(drop);
        };
        owned((services, status, now), found.as_ref())?;
        if found.endpoints == wanted.endpoints && found.ports == wanted.ports {
            return Ok(());
        }
        let mut changed = EndpointSlice::clone(&found);
        (changed.endpoints, changed.ports) = (wanted.endpoints, wanted.ports);
        self.context.update(changed).await.map(drop)
    }

    fn found<K: Cached>(&self, wanted: &K) -> Option<Arc<K>> {
        self.context.get::<K>(&Key::of(wanted.meta()))
    }
}

fn owned<K: Cached>((services, status, now): Looked<'_>, found: &K) -> Result<(), Failure> {
    if controls(&services.metadata, found.meta()) {
        return Ok(());
    }
    let name = found.meta().name.as_deref().unwrap_or_default();
    status.mark_endpoints_not_owned(K::kind(), name, now);
    let message = format!("SKS: {} does not own {}: {name}", services.name(), K::kind());
    Err(Failure::Decided(message))
}
