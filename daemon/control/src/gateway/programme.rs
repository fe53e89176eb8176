// SPDX-License-Identifier: Apache-2.0
//! The state that gateways shall have, as one value.
//!
//! Depends on: backend, certificate, routes, shards, target, logic::traffic.

use std::sync::Arc;

use logic::traffic::{Destination, Rule};

use super::backend::Backend;
use super::certificate::Certificate;
use super::routes::IngressRules;
use super::shards::Shards;
use super::target::Target;

/// Whose requests a listener takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// From outside: hosts that are cluster-local are unknown there.
    Public,
    /// From inside the cluster: every host is known.
    Private,
}

/// The state that gateways shall have.
#[derive(Debug, Clone, Default)]
pub struct Programme {
    /// Grows with every change; 0: the first one, which is empty.
    pub version: u64,
    /// The version at which `routes` changed last: while it stays, a table of routes stays good.
    pub routes_version: u64,
    /// The version at which `certificates` changed last.
    pub certificates_version: u64,
    /// What each Ingress asks for, by its key.
    pub routes: Shards<IngressRules>,
    /// Where requests can go: Revisions by their key, other Services as `<name>:<port>`.
    pub backends: Shards<Backend>,
    /// By the key of the Secret.
    pub certificates: Shards<Certificate>,
    /// Addresses that a kernel may redirect, by the key of the Service.
    pub targets: Shards<Target>,
}

impl Programme {
    /// The rules of one side for `logic::traffic::Table`, older Ingresses first.
    #[must_use]
    pub fn rules(&self, side: Side) -> Vec<Rule<Destination>> {
        let mut all: Vec<_> = self.routes.iter().collect();
        all.sort_by_key(|(key, rules)| (rules.created, *key));
        all.into_iter()
            .flat_map(|(_, rules)| match side {
                Side::Public => rules.public.clone(),
                Side::Private => rules.private.iter().chain(&rules.public).cloned().collect(),
            })
            .collect()
    }

    /// The hosts for which plain HTTP is answered by a redirection to HTTPS.
    #[must_use]
    pub fn redirected(&self) -> Vec<Arc<str>> {
        let all = self.routes.iter();
        all.flat_map(|(_, rules)| rules.redirected.iter().cloned()).collect()
    }
}
