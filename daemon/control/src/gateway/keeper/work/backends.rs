// SPDX-License-Identifier: Apache-2.0
//! What stands behind Revisions and behind ports of Services.
//!
//! Invariants: a port of a Service that is none of ours is known while an Ingress leads to it.
//! Depends on: the caches, backend, routes.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use logic::kpa::Mode;

use super::{BACKEND, SERVICE, Settling};
use crate::caches::Caches;
use crate::gateway::backend::{Backend, find_port};
use crate::gateway::keeper::dirty::Dirty;
use crate::gateway::routes::IngressRules;
use crate::key::Key;

impl Settling<'_> {
    /// What stands behind a Revision, or behind every port of a Service that is used.
    pub(super) fn backends(&mut self, key: &Key) {
        let revision = self.work.caches.revisions.get(key);
        let found = revision.map(|revision| {
            let uid = revision.metadata.uid.as_deref().unwrap_or_default();
            let pods = self.work.caches.pods.labelled(&key.namespace, uid);
            let mode = mode(&self.work.caches, key);
            Backend::of_revision(&revision, mode, pods.iter().map(AsRef::as_ref))
        });
        let is_revision = found.is_some();
        self.put_backend(key, found);
        if is_revision {
            return;
        }
        let of_service = |name: &str| {
            name.strip_prefix(key.name.as_str())
                .is_some_and(|rest| rest.starts_with(':'))
        };
        let users = self.work.ingresses.sources(SERVICE, key.clone());
        let known: Vec<Key> = match users.is_empty() {
            // Whoever uses it anew says so.
            true => Vec::new(),
            false => {
                let all = self.work.programme.backends.iter().map(|(key, _)| key);
                all.filter(|known| known.namespace == key.namespace && of_service(&known.name))
                    .cloned()
                    .collect()
            }
        };
        for known in known {
            self.plain(&known);
        }
    }

    /// A port of a Service that is none of ours: `<name>:<port>`.
    pub(super) fn plain(&mut self, key: &Key) {
        let Some((name, port)) = key.name.rsplit_once(':') else {
            return;
        };
        let service = Key::new(&key.namespace, name);
        let wanted = port
            .parse()
            .map_or_else(|_| IntOrString::String(port.to_owned()), IntOrString::Int);
        let users = self.work.ingresses.sources(SERVICE, service.clone());
        let found = self
            .work
            .caches
            .kubernetes_services
            .get(&service)
            .filter(|_| !users.is_empty());
        let backend = found.and_then(|found| {
            let port = find_port(&found, &wanted)?;
            let slices = self.work.caches.endpoint_slices.labelled(&key.namespace, name);
            Some(Backend::of_service(port, slices.iter().map(AsRef::as_ref)))
        });
        self.put_backend(key, backend);
    }

    pub(super) fn put_backend(&mut self, key: &Key, backend: Option<Backend>) {
        if self.work.programme.backends.set(key, backend) {
            self.has_changed = true;
            let sources = self.work.targets.sources(BACKEND, key.clone());
            self.todo.extend(sources.into_iter().map(Dirty::Target));
        }
    }

    /// The ports of Services that are none of ours, which nobody may have used before.
    pub(super) fn plain_backends_of(&mut self, rules: &IngressRules) {
        let all = rules.private.iter().chain(&rules.public).flat_map(|rule| &rule.paths);
        let plain: BTreeSet<Key> = all
            .flat_map(|path| path.split.destinations())
            .filter(|to| to.service.contains(':'))
            .map(|to| Key::new(&*to.namespace, &*to.service))
            .collect();
        for key in plain {
            self.plain(&key);
        }
    }
}

/// Whether pods or gateways stand behind the public Service, as the autoscaler wishes.
fn mode(caches: &Caches, revision: &Key) -> Option<Mode> {
    let services = caches.serverless_services.get(revision)?;
    match services.spec.mode.as_str() {
        "Serve" => Some(Mode::Serve),
        "Proxy" => Some(Mode::Proxy),
        _ => None,
    }
}
