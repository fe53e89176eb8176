// SPDX-License-Identifier: Apache-2.0
//! A listener's policy: how requests find their revision, which probes it answers, who is next.
//!
//! Mechanism: one struct, made by who opens the listener; the path only reads it.
//! Depends on: beside, cores, headers, health, limits, log, origin, peers, ready, revision, room, tls, trace, logic::traffic.

use crate::beside::Beside;
use crate::cores::Spread;
use crate::headers::NextHop;
use crate::health::Health;
use crate::limits::Limits;
use crate::log::Logging;
use crate::origin::Inside;
use crate::peers::Peers;
use crate::ready::Readiness;
use crate::revision::Revision;
use crate::room::Room;
use crate::tls::Certificates;
use crate::trace::Tracing;
use life::Tasks;
use logic::traffic::table::Refused;
use logic::traffic::{Destination, Rule, Table};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// How a request finds its revision.
pub enum Entry {
    /// All are for this one.
    Only(Arc<Revision>),
    /// By `Knative-Serving-Revision` and `-Namespace`, else by the host of the revision's Service.
    ByName(Arc<Revisions>),
    /// By host, path and headers.
    ByRoute(Arc<Revisions>, Routes),
    /// To none: what is asked here is answered here (`Probes::Beside`).
    Nowhere,
}

impl Entry {
    /// All that it may lead to now.
    pub(crate) fn revisions(&self) -> Vec<Arc<Revision>> {
        match self {
            Self::Only(revision) => vec![Arc::clone(revision)],
            Self::ByName(revisions) | Self::ByRoute(revisions, _) => revisions.all(),
            Self::Nowhere => Vec::new(),
        }
    }
}

/// A table of routes that is replaced as a whole.
#[derive(Clone, Default)]
pub struct Routes {
    table: Arc<RwLock<Option<Arc<Table<Destination>>>>>,
}

impl Routes {
    /// Requests from now on go by this table.
    pub fn replace(&self, table: Table<Destination>) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(table));
    }

    pub(crate) fn current(&self) -> Option<Arc<Table<Destination>>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Who may come in by a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Visibility {
    /// Anybody: only hosts that are for anybody are served.
    #[default]
    External,
    /// The cluster's own: every host is served.
    ClusterLocal,
}

/// The routes of both kinds of listeners (control-plane spec 5.2, "Visibility").
#[derive(Clone, Default)]
pub struct Tables {
    external: Routes,
    cluster_local: Routes,
}

impl Tables {
    /// Requests from now on go by these rules. Returns what did not get in.
    pub fn replace(&self, rules: Vec<(Visibility, Rule<Destination>)>) -> Vec<Refused> {
        let external = rules
            .iter()
            .filter(|(visibility, _)| *visibility == Visibility::External)
            .map(|(_, rule)| rule.clone());
        let (external, mut refused) = Table::build(external);
        let (all, also_refused) = Table::build(rules.into_iter().map(|(_, rule)| rule));
        // What everybody is refused stands in both.
        for refusal in also_refused {
            if !refused.contains(&refusal) {
                refused.push(refusal);
            }
        }
        self.external.replace(external);
        self.cluster_local.replace(all);
        refused
    }

    /// Those of one kind.
    #[must_use]
    pub fn of(&self, visibility: Visibility) -> Routes {
        match visibility {
            Visibility::External => self.external.clone(),
            Visibility::ClusterLocal => self.cluster_local.clone(),
        }
    }
}

/// The revisions of a namespace.
type ByName = HashMap<Box<str>, Arc<Revision>>;

/// The revisions there are, by namespace and name.
#[derive(Default)]
pub struct Revisions {
    known: RwLock<HashMap<Box<str>, ByName>>,
}

impl Revisions {
    /// Adds or replaces one.
    pub fn insert(&self, revision: Arc<Revision>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let namespace = known.entry(revision.identity.namespace.as_str().into()).or_default();
        namespace.insert(revision.identity.name.as_str().into(), revision);
    }

    /// Forgets one; its requests go on where they run, and wait no longer where they wait.
    pub fn remove(&self, namespace: &str, name: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let removed = known.get_mut(namespace).and_then(|revisions| revisions.remove(name));
        drop(known);
        if let Some(revision) = removed {
            revision.end_waiting();
        }
    }

    fn all(&self) -> Vec<Arc<Revision>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().flat_map(HashMap::values).map(Arc::clone).collect()
    }

    /// The one of that name.
    #[must_use]
    pub fn find(&self, namespace: &str, name: &str) -> Option<Arc<Revision>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(namespace)?.get(name).map(Arc::clone)
    }
}

/// Which probes are answered here (data-plane spec 3.2, 4.7).
pub enum Probes {
    /// As in front of an application: kubelet's, the activator's and the autoscaler's are about it.
    App(Readiness),
    /// As the activator.
    Activator,
    /// As a gateway: a probe of the network goes by the routes, and is answered when they lead to a revision; kubelet's is
    /// about this process, unless its host is somebody's.
    Gateway,
    /// Whatever is asked is about the pod.
    Beside(Beside),
}

/// How clients come in.
#[derive(Clone)]
pub struct Front {
    /// The certificates, if it is HTTPS.
    pub tls: Option<Arc<Certificates>>,
    /// Who may come in; `Entry::ByRoute` has the table for it (`Tables::of`).
    pub visibility: Visibility,
    /// The port that `Destination::https_only` sends clients of plain HTTP to.
    pub https_port: u16,
    /// Shared by listeners that are bounded together (`Limits::all_connections` and so on).
    pub room: Room,
    /// Where connections are served; none: on the runtime of the listener.
    pub cores: Option<Spread>,
    /// Whether `X-Forwarded-Proto` of an external client is believed: only behind a proxy that sets it, always.
    pub trusts_proto: bool,
    /// What is traced, if anything.
    pub tracing: Option<Arc<Tracing>>,
}

impl Default for Front {
    fn default() -> Self {
        Self {
            tls: None,
            visibility: Visibility::External,
            https_port: 443,
            room: Room::default(),
            cores: None,
            trusts_proto: false,
            tracing: None,
        }
    }
}

/// Policy of a listener.
pub struct Door {
    /// How requests find their revision.
    pub entry: Entry,
    /// How clients come in.
    pub front: Front,
    /// Which probes are answered.
    pub probes: Probes,
    /// Who is next.
    pub next: NextHop,
    /// Bounds.
    pub limits: Limits,
    /// Body of a 504.
    pub timeout_text: &'static str,
    /// The domain of `<revision>.<namespace>.svc.<domain>`.
    pub cluster_domain: String,
    /// The request log, while there is one.
    pub log: Logging,
    /// For clients inside the cluster, if it is.
    pub inside: Option<Inside>,
    /// The daemons of other nodes, which may ask for slots of pods of this one.
    pub peers: Option<Arc<Peers>>,
    /// Why health checks fail; none: they pass.
    pub health: Health,
    /// Owns what this listener starts.
    pub tasks: Tasks,
}
