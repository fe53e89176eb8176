// SPDX-License-Identifier: Apache-2.0
//! What the operator's ConfigMaps say, as it is now.
//!
//! Problem: a ConfigMap changes while everything runs, and may be wrong.
//! Mechanism: every config-* map of the system's namespace is parsed when it changes; one that is refused is told, and what
//! it said before holds on.
//! Invariants: a map that is not there means the defaults.
//! Depends on: logic (settings), api (its context), cache.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use logic::settings::{
    Autoscaler, CertManager, Data, Defaults, Deployment, Domain, Features, Gc, Network, Observability, Problems,
};
use tokio::sync::watch;

use crate::cache::Cache;
use crate::events::Events;
use crate::key::Key;

/// The settings of one moment.
#[derive(Clone, Debug)]
pub struct Settings {
    /// config-autoscaler, config-defaults, config-features and the cluster's domain, as admission reads them.
    pub admission: api::context::Settings,
    /// config-certmanager.
    pub certmanager: CertManager,
    /// config-deployment.
    pub deployment: Deployment,
    /// config-domain.
    pub domain: Domain,
    /// config-gc.
    pub gc: Gc,
    /// config-network.
    pub network: Network,
    /// config-observability.
    pub observability: Observability,
}

impl Settings {
    /// The defaults in a cluster of this domain.
    #[must_use]
    pub fn of_cluster(cluster_domain: &str) -> Self {
        let nothing = Data::new();
        Self {
            admission: api::context::Settings {
                cluster_domain: cluster_domain.to_owned(),
                ..api::context::Settings::default()
            },
            certmanager: CertManager::default(),
            deployment: Deployment::default(),
            domain: Domain::parse_in(&nothing, cluster_domain).unwrap_or_default(),
            gc: Gc::default(),
            network: Network::default(),
            observability: Observability::default(),
        }
    }

    /// config-autoscaler.
    #[must_use]
    pub fn autoscaler(&self) -> &Autoscaler {
        &self.admission.autoscaler
    }

    /// config-defaults.
    #[must_use]
    pub fn defaults(&self) -> &Defaults {
        &self.admission.defaults
    }

    /// config-features.
    #[must_use]
    pub fn features(&self) -> &Features {
        &self.admission.features
    }

    /// The domain of the cluster.
    #[must_use]
    pub fn cluster_domain(&self) -> &str {
        &self.admission.cluster_domain
    }

    /// Takes in a map; one of another name changes nothing.
    ///
    /// # Errors
    /// Every problem of the map; nothing has changed then.
    pub fn take_in(&mut self, name: &str, data: &Data) -> Result<(), Problems> {
        match name {
            "config-autoscaler" => self.admission.autoscaler = Autoscaler::parse(data)?,
            "config-certmanager" => self.certmanager = CertManager::parse(data)?,
            "config-defaults" => self.admission.defaults = Defaults::parse(data)?,
            "config-deployment" => self.deployment = Deployment::parse(data)?,
            "config-domain" => self.domain = Domain::parse_in(data, &self.admission.cluster_domain)?,
            "config-features" => self.admission.features = Features::parse(data)?,
            "config-gc" => self.gc = Gc::parse(data)?,
            "config-network" => self.network = Network::parse(data)?,
            "config-observability" => self.observability = Observability::parse(data)?,
            _ => {}
        }
        Ok(())
    }
}

/// Follows the maps of one namespace.
pub(crate) struct Follower {
    maps: Cache<ConfigMap>,
    namespace: String,
    published: watch::Sender<Arc<Settings>>,
    events: Events,
    seen: BTreeMap<&'static str, Data>,
}

impl Follower {
    /// Follows the maps in `maps`, and publishes what they say together.
    pub(crate) fn new(
        maps: Cache<ConfigMap>,
        namespace: String,
        published: watch::Sender<Arc<Settings>>,
        events: Events,
    ) -> Self {
        Self {
            maps,
            namespace,
            published,
            events,
            seen: BTreeMap::new(),
        }
    }

    /// Looks at every map again at each change, for as long as it is polled.
    pub(crate) async fn follow(mut self) {
        let (changed, mut changes) = watch::channel(());
        self.maps.listen(move |_| {
            changed.send_replace(());
        });
        loop {
            self.look();
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Publishes what the maps say, if that is something new.
    pub(crate) fn look(&mut self) {
        let mut next = Settings::clone(&self.published.borrow());
        let mut is_changed = false;
        for map in logic::settings::maps::CONFIG_MAPS {
            is_changed |= self.look_at(map.name, &mut next);
        }
        if is_changed {
            self.published.send_replace(Arc::new(next));
        }
    }

    /// Whether the map says something new.
    fn look_at(&mut self, name: &'static str, next: &mut Settings) -> bool {
        let map = self.maps.get(&Key::new(&self.namespace, name));
        let data = map.as_ref().and_then(|map| map.data.clone()).unwrap_or_default();
        if self.seen.get(name).map_or(data.is_empty(), |seen| *seen == data) {
            return false;
        }
        let taken = next.take_in(name, &data);
        self.seen.insert(name, data);
        match taken {
            Ok(()) => true,
            Err(problems) => {
                log::warn!("{name} is refused, what it said before holds: {problems}");
                if let Some(map) = map {
                    self.events
                        .warn(map.as_ref(), "InvalidConfiguration", &problems.to_string());
                }
                false
            }
        }
    }
}
