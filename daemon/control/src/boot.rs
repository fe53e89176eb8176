// SPDX-License-Identifier: Apache-2.0
//! Starts everything.
//!
//! Mechanism: [`observe`] lists and watches; [`control`] starts the controllers on what is known then.
//! Invariants: whatever runs belongs to the `life::Tasks` that were given; who wants it to end stops those.
//! Depends on: everything else of the crate.

use std::sync::Arc;

use kube::Client;
use life::Work;
use tokio::sync::watch;

use crate::cache::Cache;
use crate::caches::{Cached, Caches, Each};
use crate::clock::Clock;
use crate::context::Context;
use crate::events::Events;
use crate::kept::Kept;
use crate::revision::images::{AsNamed, Images};
use crate::route::Gateway;
use crate::settings::{Follower, Settings};
use crate::{configuration, domain_mapping, gc, informer, labeler, revision, route, service};

/// How the controllers shall run.
#[derive(Clone)]
pub struct Options {
    /// Our own gateway.
    pub gateway: Gateway,
    /// Who knows images by digest.
    pub images: Arc<dyn Images>,
    /// The namespace of the config-* maps.
    pub system_namespace: String,
    /// The DNS domain of the cluster.
    pub cluster_domain: String,
    /// Whether the nodes redirect connections; else every request takes a gateway.
    pub redirects: bool,
}

impl Default for Options {
    fn default() -> Self {
        // Nobody ever says where a gateway is that does not exist.
        let (_, addresses) = watch::channel(Vec::new());
        Self {
            gateway: Gateway { class: None, addresses },
            images: Arc::new(AsNamed),
            system_namespace: api::names::product::SYSTEM_NAMESPACE.to_owned(),
            cluster_domain: api::names::product::CLUSTER_DOMAIN.to_owned(),
            redirects: true,
        }
    }
}

/// Starts to watch, and returns once all that exists is known and the ConfigMaps are read.
#[must_use]
pub fn observe(client: Client, options: &Options, clock: Clock, tasks: life::Tasks) -> Work<Context> {
    Box::pin(known(client, options.clone(), clock, tasks))
}

async fn known(client: Client, options: Options, clock: Clock, tasks: life::Tasks) -> Context {
    let caches = Caches::default();
    let (events, writer) = Events::new(client.clone(), clock.clone());
    tasks.spawn("events", writer.write());
    caches.each(&Watching {
        client: &client,
        tasks: &tasks,
        system_namespace: &options.system_namespace,
    });
    caches.synced().await;
    let (published, settings) = watch::channel(Arc::new(Settings::of_cluster(&options.cluster_domain)));
    let mut follower = Follower::new(
        caches.config_maps.clone(),
        options.system_namespace.clone(),
        published,
        events.clone(),
    );
    follower.look();
    tasks.spawn("settings", follower.follow());
    Context {
        client,
        caches,
        settings,
        events,
        clock,
        tasks,
        queues: Arc::default(),
        redirects: options.redirects,
    }
}

/// Starts every controller.
pub fn control(context: &Context, options: &Options) {
    serving(context, options);
}

/// Starts the controllers of what users write: from Services down to Deployments, PodAutoscalers and Ingresses.
pub fn serving(context: &Context, options: &Options) {
    service::start(context);
    configuration::start(context);
    revision::start(context, Arc::clone(&options.images));
    route::start(context, options.gateway.clone());
    labeler::start(context);
    gc::start(context);
    domain_mapping::start(context);
}

/// Starts one watch a kind.
struct Watching<'a> {
    client: &'a Client,
    tasks: &'a life::Tasks,
    system_namespace: &'a str,
}

impl Each for Watching<'_> {
    fn one<K: Cached>(&self, cache: &Cache<K>) {
        // Of the maps only the operator's are of interest.
        let namespace = (<K as Kept>::kind() == "ConfigMap").then(|| self.system_namespace.to_owned());
        self.tasks
            .spawn("watch", informer::keep(self.client.clone(), cache.clone(), namespace));
    }
}
