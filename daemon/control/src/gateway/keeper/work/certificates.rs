// SPDX-License-Identifier: Apache-2.0
//! Certificates: who wants which, and for which hosts.
//!
//! Invariants: a certificate is in the programme while an Ingress wants it, with the hosts of all that do.
//! Depends on: the caches, certificate, routes.

use std::collections::{BTreeMap, BTreeSet};

use api::ingress::Ingress;

use super::Settling;
use crate::gateway::certificate::Certificate;
use crate::gateway::keeper::dirty::Dirty;
use crate::gateway::routes::Problem;
use crate::key::Key;

impl Settling<'_> {
    /// The Secrets of an Ingress that hold no certificate.
    pub(super) fn missing_certificates(&mut self, key: &Key, ingress: &Ingress) -> Vec<Problem> {
        let mut wanted: BTreeMap<Key, Vec<String>> = BTreeMap::new();
        for tls in &ingress.spec.tls {
            let namespace = match tls.secret_namespace.as_str() {
                "" => ingress.namespace(),
                namespace => namespace,
            };
            let hosts = wanted.entry(Key::new(namespace, &tls.secret_name)).or_default();
            hosts.extend(tls.hosts.iter().cloned());
        }
        let secrets: Vec<Key> = wanted.keys().cloned().collect();
        self.want_certificates(key, wanted);
        let certificates = &self.work.programme.certificates;
        let missing = secrets.into_iter().filter(|secret| certificates.get(secret).is_none());
        missing.map(Problem::NoCertificate).collect()
    }

    pub(super) fn want_certificates(&mut self, key: &Key, wanted: BTreeMap<Key, Vec<String>>) {
        let secrets: BTreeSet<Key> = wanted.keys().cloned().collect();
        let had = self.work.secrets_of.remove(key).unwrap_or_default();
        for secret in had.difference(&secrets) {
            if let Some(users) = self.work.secrets.get_mut(secret) {
                users.remove(key);
                if users.is_empty() {
                    self.work.secrets.remove(secret);
                }
            }
        }
        for (secret, hosts) in wanted {
            self.work.secrets.entry(secret).or_default().insert(key.clone(), hosts);
        }
        for secret in had.union(&secrets) {
            self.certificate(secret);
        }
        if !secrets.is_empty() {
            self.work.secrets_of.insert(key.clone(), secrets);
        }
    }

    /// The certificate of a Secret, for all who want it; whether it is another one now.
    pub(super) fn certificate(&mut self, secret: &Key) -> bool {
        let users = self.work.secrets.get(secret);
        let hosts: BTreeSet<String> = users
            .into_iter()
            .flat_map(|users| users.values().flatten().cloned())
            .collect();
        let found = self.work.caches.secrets.get(secret).filter(|_| !hosts.is_empty());
        let certificate = found.and_then(|found| Certificate::of(&found, hosts.into_iter().collect()));
        let has_changed = self.work.programme.certificates.set(secret, certificate);
        if has_changed {
            self.has_changed = true;
            self.work.programme.certificates_version = self.version;
        }
        has_changed
    }

    pub(super) fn secret(&mut self, key: &Key) {
        if self.certificate(key) {
            let users = self
                .work
                .secrets
                .get(key)
                .into_iter()
                .flat_map(|users| users.keys().cloned());
            let users: Vec<Key> = users.collect();
            self.todo.extend(users.into_iter().map(Dirty::Ingress));
        }
    }
}
