// SPDX-License-Identifier: Apache-2.0
//! Starts everything.
//!
//! Mechanism: [`observe`] lists and watches; [`control`] starts the controllers on what is known then.
//! Invariants: whatever runs belongs to the `life::Tasks` that were given; who wants it to end stops those.
//! Depends on: everything else of the crate.

use std::sync::Arc;

use kube::Client;
use tokio::sync::watch;

use crate::cache::Cache;
use crate::caches::{Cached, Caches, Each};
use crate::clock::Clock;
use crate::context::Context;
use crate::events::Events;
use crate::informer;
use crate::kept::Kept;
use crate::settings::{Follower, Settings};

/// How the controllers shall run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespace of the config-* maps.
    pub system_namespace: String,
    /// The DNS domain of the cluster.
    pub cluster_domain: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            system_namespace: api::names::product::SYSTEM_NAMESPACE.to_owned(),
            cluster_domain: api::names::product::CLUSTER_DOMAIN.to_owned(),
        }
    }
}

/// Starts to watch, and returns once all that exists is known and the ConfigMaps are read.
pub async fn observe(client: Client, options: &Options, clock: Clock, tasks: life::Tasks) -> Context {
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
    }
}

/// Starts every controller.
pub fn control(context: &Context) {
    let _ = context;
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
