// SPDX-License-Identifier: Apache-2.0
//! Route: keeps placeholder Services, Certificates and the Ingress, and moves traffic step by step; control-plane spec 4.7.
//!
//! Mechanism: what is there is gathered from the caches, `api::route::reconcile` decides, and its actions are done in order.
//! Invariants: a status is only told after everything that it speaks of was done.
//! Depends on: controller, tracker, observed, apply, gateway, data_path, api (route).

mod apply;
pub mod gateway;
mod observed;

use std::net::SocketAddr;
use std::sync::Arc;

use api::certificate::Certificate;
use api::conditions::pass;
use api::configuration::Configuration;
use api::ingress::Ingress;
use api::kind::Kind;
use api::names::serving;
use api::revision::Revision;
use api::route::naming::Naming;
use api::route::reconcile::{self, Decision, Seen, Settings as RouteSettings};
use api::route::{Route, targets};
use k8s_openapi::api::core::v1::{Endpoints, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use tokio::sync::watch;

use crate::caches::Cached;
use crate::context::Context;
use crate::controller::{self, Again, Controller};
use crate::data_path;
use crate::failure::Failure;
use crate::gateway::target;
use crate::kept::Kept;
use crate::key::Key;
use crate::pass::{set_defaults, write_status};
use crate::queue::Queue;
use crate::settings::Settings;
use crate::tracker::Tracker;

/// Our own gateway, as far as Routes are concerned.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// The class of the Ingresses that it serves; none: there is no gateway of our own.
    pub class: Option<String>,
    /// Where it takes requests from inside the cluster.
    pub addresses: watch::Receiver<Vec<SocketAddr>>,
}

/// Starts it.
pub fn start(context: &Context, gateway: Gateway) {
    let queue = Arc::new(Queue::default());
    let tracker = Arc::new(Tracker::default());
    controller::watch_self::<Route>(context, &queue);
    controller::watch_made::<Route, Service>(context, &queue);
    controller::watch_made::<Route, Certificate>(context, &queue);
    controller::watch_made::<Route, Ingress>(context, &queue);
    controller::watch_made::<Route, Endpoints>(context, &queue);
    controller::watch(context, &queue, of_slice);
    watch_tracked::<Configuration>(context, &queue, &tracker);
    watch_tracked::<Revision>(context, &queue, &tracker);
    controller::watch_settings::<Route, _>(context, &queue, Routes::NAME, |settings: &Settings| {
        (
            settings.network.clone(),
            settings.domain.clone(),
            target::cluster(settings),
        )
    });
    watch_gateways(context, &queue, gateway.addresses.clone());
    let routes = Routes {
        context: context.speaking_as(Routes::NAME),
        tracker,
        gateway,
    };
    controller::start(context, &queue, routes);
}

fn watch_tracked<K: Cached>(context: &Context, queue: &Arc<Queue>, tracker: &Arc<Tracker>) {
    let tracker = Arc::clone(tracker);
    controller::watch(context, queue, move |object: &K| {
        tracker.sources(K::kind(), Key::of(object.meta()))
    });
}

fn watch_gateways(context: &Context, queue: &Arc<Queue>, mut gateways: watch::Receiver<Vec<SocketAddr>>) {
    let (queue, routes) = (Arc::clone(queue), context.caches.routes.clone());
    context.tasks.spawn(Routes::NAME, async move {
        while gateways.changed().await.is_ok() {
            routes.keys().into_iter().for_each(|key| queue.add(key));
        }
    });
}

/// The Route of a slice that leads to our gateway.
fn of_slice(slice: &EndpointSlice) -> Vec<Key> {
    let labels = slice.metadata.labels.as_ref();
    let route = labels.and_then(|labels| labels.get(serving::ROUTE));
    let namespace = slice.metadata.namespace.clone().unwrap_or_default();
    route.map(|route| Key::new(namespace, route)).into_iter().collect()
}

struct Routes {
    context: Context,
    tracker: Arc<Tracker>,
    gateway: Gateway,
}

impl Controller for Routes {
    type Object = Route;

    const NAME: &'static str = "route-controller";

    async fn reconcile(&self, before: Arc<Route>) -> Result<Again, Failure> {
        let (settings, now) = (self.context.settings(), self.context.now());
        let mut route = Route::clone(&before);
        set_defaults(&mut route, &settings);
        let decision = self.decide(&route, &settings, &now);
        self.track(&route, &decision);
        let done = self.apply(&route, &decision).await;
        let mut status = match &done {
            Ok(()) => decision.status,
            Err(_) => interrupted(&route, &now),
        };
        if done.is_ok() {
            data_path::mark_route(&self.context, &route, &mut status, &settings, &now);
        }
        write_status(&self.context, &before, status).await?;
        done?;
        match decision.error {
            Some(error) => Err(Failure::Decided(error.to_string())),
            None => Ok(decision.requeue_after),
        }
    }

    fn forget(&self, key: &Key) {
        self.tracker.forget(key);
    }
}

impl Routes {
    fn decide(
        &self,
        route: &Route,
        settings: &Settings,
        now: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Time,
    ) -> Decision {
        let naming = Naming {
            network: &settings.network,
            domain: &settings.domain,
            cluster_domain: settings.cluster_domain(),
        };
        let observed = observed::of(&self.context, route, naming);
        let seen = Seen {
            targets: targets::Targets {
                configurations: &observed.configurations,
                revisions: &observed.revisions,
            },
            services: &observed.services,
            endpoints: &observed.endpoints,
            certificates: &observed.certificates,
            ingress: observed.ingress.as_deref(),
        };
        let settings = RouteSettings {
            naming,
            features: settings.features(),
            is_system_internal_tls: false,
            own_class: self.gateway.class.as_deref(),
        };
        reconcile::reconcile(route, seen, settings, now)
    }

    fn track(&self, route: &Route, decision: &Decision) {
        let of = |reference: &targets::Reference| {
            let key = Key::new(route.namespace(), &reference.name);
            let kind = match reference.kind {
                Kind::Configuration => Configuration::kind(),
                _ => Revision::kind(),
            };
            (kind, key)
        };
        let references = decision.references.iter().map(of).collect();
        self.tracker.track(&Key::of(&route.metadata), references);
    }

    async fn apply(&self, route: &Route, decision: &Decision) -> Result<(), Failure> {
        for action in &decision.actions {
            apply::action(&self.context, route, action).await?;
        }
        if self.gateway.class.is_some() {
            let gateways = self.gateway.addresses.borrow().clone();
            apply::lead_to_gateways(&self.context, route, &gateways).await?;
        }
        Ok(())
    }
}

/// The status of a Route whose actions were not all done: what it said before, but not ready for a new generation.
fn interrupted(route: &Route, now: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Time) -> api::route::RouteStatus {
    let mut status = route.status.clone();
    pass::begin(&mut status, route.generation(), now);
    if status.observed.observed_generation != route.generation() {
        status.mark_ingress_not_configured(now);
    }
    pass::end(&mut status, &route.status.observed.conditions, route.generation(), now);
    status
}
