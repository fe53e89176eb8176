// SPDX-License-Identifier: Apache-2.0
//! Translates again what a change touches, and what depends on that.
//!
//! Mechanism: a work list of [`Dirty`] parts; translating one may mark others. Who depends on whom is tracked: Ingresses on
//! the Services and the hosts they lead to, Targets on hosts and backends.
//! Invariants: nothing is awaited; a part is translated at most [`ROUNDS`] times a change, so that Ingresses that lead to
//! each other in a circle come to an end.
//! Depends on: the caches, claims, routes, backend, target, certificate, tracker.

mod backends;
mod certificates;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use api::ingress::Ingress;
use api::names::networking;
use api::names::product;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::dirty::Dirty;
use crate::caches::Caches;
use crate::gateway::backend::find_port;
use crate::gateway::claims::Claims;
use crate::gateway::programme::Programme;
use crate::gateway::routes::{self, Found, IngressRules, Problem, World};
use crate::gateway::standing::Standing;
use crate::gateway::target::{self, Role, Target};
use crate::key::Key;
use crate::settings::Settings;
use crate::tracker::Tracker;

/// How often a part is translated for one change.
const ROUNDS: u32 = 8;

/// What depends on what, by the kind of the latter.
const SERVICE: &str = "Service";
const HOST: &str = "Host";
const BACKEND: &str = "Backend";

/// The programme and what it takes to change it.
pub(super) struct Work {
    caches: Caches,
    programme: Programme,
    claims: Claims,
    standings: HashMap<Key, Standing>,
    /// Ingresses by what they lead to.
    ingresses: Tracker,
    /// Services with addresses by what they lead to.
    targets: Tracker,
    /// The hosts for which an Ingress wants the certificate of a Secret.
    secrets: BTreeMap<Key, BTreeMap<Key, Vec<String>>>,
    secrets_of: HashMap<Key, BTreeSet<Key>>,
}

/// What came of a change.
pub(super) struct Done {
    /// The programme, if it is a new one.
    pub(super) programme: Option<Programme>,
    /// Ingresses that stand differently; none: they are gone.
    pub(super) standings: Vec<(Key, Option<Standing>)>,
}

/// One change on its way through the programme.
struct Settling<'a> {
    work: &'a mut Work,
    settings: &'a Settings,
    todo: BTreeSet<Dirty>,
    rounds: HashMap<Dirty, u32>,
    standings: BTreeMap<Key, Option<Standing>>,
    version: u64,
    has_changed: bool,
}

impl Work {
    pub(super) fn new(caches: Caches) -> Self {
        Self {
            caches,
            programme: Programme::default(),
            claims: Claims::default(),
            standings: HashMap::new(),
            ingresses: Tracker::default(),
            targets: Tracker::default(),
            secrets: BTreeMap::new(),
            secrets_of: HashMap::new(),
        }
    }

    #[cfg(test)]
    pub(super) fn programme_of_tests(&self) -> &Programme {
        &self.programme
    }

    /// Takes in all of these changes.
    pub(super) fn settle(&mut self, dirty: BTreeSet<Dirty>, settings: &Settings) -> Done {
        let version = self.programme.version.saturating_add(1);
        let mut settling = Settling {
            work: self,
            settings,
            todo: dirty,
            rounds: HashMap::new(),
            standings: BTreeMap::new(),
            version,
            has_changed: false,
        };
        settling.run();
        let (standings, has_changed) = (settling.standings, settling.has_changed);
        // The first look is told even where there is nothing: gateways open when they know that.
        let has_changed = has_changed || self.programme.version == 0;
        if has_changed {
            self.programme.version = version;
        }
        let is_new = has_changed || !standings.is_empty();
        Done {
            programme: is_new.then(|| self.programme.clone()),
            standings: standings.into_iter().collect(),
        }
    }
}

impl Settling<'_> {
    fn run(&mut self) {
        while let Some(next) = self.todo.pop_first() {
            let rounds = self.rounds.entry(next.clone()).or_default();
            *rounds += 1;
            if *rounds > ROUNDS {
                log::warn!("gateway programme: {next:?} leads to itself");
                continue;
            }
            match next {
                Dirty::Service(key) => self.service(&key),
                Dirty::Backend(key) => self.backends(&key),
                Dirty::Secret(key) => self.secret(&key),
                Dirty::Ingress(key) => self.ingress(&key),
                Dirty::Target(key) => self.target(&key),
                Dirty::Settings => self.settings(),
            }
        }
    }

    /// A Revision or Service: what stands behind it, who leads to it, and where its addresses lead.
    fn service(&mut self, key: &Key) {
        self.backends(key);
        let sources = self.work.ingresses.sources(SERVICE, key.clone());
        self.todo.extend(sources.into_iter().map(Dirty::Ingress));
        self.todo.insert(Dirty::Target(key.clone()));
    }

    fn ingress(&mut self, key: &Key) {
        let found = self.work.caches.ingresses.get(key);
        let ingress = found.filter(|ingress| is_ours(ingress));
        let (created, hosts) = ingress.as_deref().map_or_else(Default::default, |ingress| {
            (routes::created(ingress), routes::hosts(ingress))
        });
        for (host, before) in self.work.claims.set(key, created, hosts) {
            self.moved(&host, before, key);
        }
        match ingress {
            Some(ingress) => self.translate(key, &ingress),
            None => self.gone(key),
        }
    }

    /// A host has another holder: whoever had it, has it now or leads to it looks again.
    fn moved(&mut self, host: &str, before: Option<Key>, changed: &Key) {
        let now = self.work.claims.holder(host).cloned();
        let concerned = self.of_host(host).into_iter().map(Dirty::Ingress);
        self.todo.extend(concerned);
        let others = [before, now].into_iter().flatten().filter(|other| other != changed);
        self.todo.extend(others.map(Dirty::Ingress));
        self.lead_anew(host);
    }

    /// The Ingresses that lead to a host.
    fn of_host(&self, host: &str) -> Vec<Key> {
        self.work.ingresses.sources(HOST, Key::new("", host))
    }

    /// The Services that stand for a host look again.
    fn lead_anew(&mut self, host: &str) {
        let services = self.work.targets.sources(HOST, Key::new("", host));
        self.todo.extend(services.into_iter().map(Dirty::Target));
    }

    fn translate(&mut self, key: &Key, ingress: &Ingress) {
        let translated = {
            let seen = Seen {
                work: self.work,
                settings: self.settings,
            };
            routes::translate(ingress, &seen)
        };
        let services = translated.services.iter().map(|service| (SERVICE, service.clone()));
        let hosts = translated.hosts.iter().map(|host| (HOST, Key::new("", host)));
        self.work.ingresses.track(key, services.chain(hosts).collect());
        self.plain_backends_of(&translated.rules);
        let mut problems = translated.problems;
        problems.extend(self.missing_certificates(key, ingress));
        self.put_rules(key, Some(translated.rules));
        self.stand(key, ingress, problems);
    }

    fn put_rules(&mut self, key: &Key, rules: Option<IngressRules>) {
        let before = self.work.programme.routes.get(key).cloned();
        if !self.work.programme.routes.set(key, rules) {
            return;
        }
        self.has_changed = true;
        self.work.programme.routes_version = self.version;
        let now = self.work.programme.routes.get(key).cloned();
        let hosts: BTreeSet<String> = [before, now]
            .iter()
            .flatten()
            .flat_map(|rules| hosts_of(rules))
            .collect();
        for host in hosts {
            let sources = self.of_host(&host);
            self.todo.extend(sources.into_iter().map(Dirty::Ingress));
            self.lead_anew(&host);
        }
    }

    /// Notes how an Ingress stands; what is served at one generation goes on to be ready while others change.
    fn stand(&mut self, key: &Key, ingress: &Ingress, problems: Vec<Problem>) {
        let uid = ingress.metadata.uid.clone().unwrap_or_default();
        let generation = ingress.generation();
        let before = self.work.standings.get(key);
        let is_same =
            |before: &&Standing| before.uid == uid && before.generation == generation && before.problems == problems;
        let standing = Standing {
            version: match before.filter(is_same) {
                Some(before) => before.version,
                None if self.has_changed => self.version,
                None => self.work.programme.version,
            },
            uid,
            generation,
            problems,
        };
        if before != Some(&standing) {
            self.work.standings.insert(key.clone(), standing.clone());
            self.standings.insert(key.clone(), Some(standing));
        }
    }

    fn gone(&mut self, key: &Key) {
        let used: Vec<Key> = { self.work.programme.routes.get(key).into_iter() }
            .flat_map(|rules| rules.private.iter().chain(&rules.public))
            .flat_map(|rule| &rule.paths)
            .flat_map(|path| path.split.destinations())
            .filter(|to| to.service.contains(':'))
            .map(|to| Key::new(&*to.namespace, &*to.service))
            .collect();
        self.work.ingresses.forget(key);
        for plain in used {
            self.plain(&plain);
        }
        self.put_rules(key, None);
        self.want_certificates(key, BTreeMap::new());
        if self.work.standings.remove(key).is_some() {
            self.standings.insert(key.clone(), None);
        }
    }

    /// Where the addresses of a Service lead.
    fn target(&mut self, key: &Key) {
        let target = self
            .work
            .caches
            .kubernetes_services
            .get(key)
            .and_then(|service| self.led(key, &service));
        if target.is_none() {
            self.work.targets.forget(key);
        }
        if self.work.programme.targets.set(key, target) {
            self.has_changed = true;
        }
    }

    fn led(&mut self, key: &Key, service: &Service) -> Option<Target> {
        let cluster = target::cluster(self.settings);
        let programme = &self.work.programme;
        match target::role(service, self.settings.cluster_domain())? {
            Role::Revision(revision) => {
                let backend = programme.backends.get(&revision).map(AsRef::as_ref);
                let references = BTreeSet::from([(BACKEND, revision.clone())]);
                self.work.targets.track(key, references);
                Target::of_revision(service, revision, backend, &cluster)
            }
            Role::Route(host) => {
                let rules = self
                    .work
                    .claims
                    .holder(&host)
                    .and_then(|holder| programme.routes.get(holder));
                let facts = rules
                    .and_then(|rules| rules.facts.get(&host))
                    .cloned()
                    .unwrap_or_default();
                let target = Target::of_route(service, &host, &facts, |key| programme.backends.get(key), &cluster);
                let revision = target.as_ref().and_then(|target| target.revision.clone());
                let backend = revision.into_iter().map(|revision| (BACKEND, revision));
                let host = (HOST, Key::new("", host));
                self.work.targets.track(key, backend.chain([host]).collect());
                target
            }
        }
    }

    fn settings(&mut self) {
        let targets = self
            .work
            .caches
            .kubernetes_services
            .keys()
            .into_iter()
            .map(Dirty::Target);
        let ingresses = self.work.caches.ingresses.keys().into_iter().map(Dirty::Ingress);
        self.todo.extend(targets.chain(ingresses));
    }
}

/// Whether our gateways serve an Ingress: it names our class; one that names none is nobody's.
pub(crate) fn is_ours(ingress: &Ingress) -> bool {
    let class = networking::INGRESS_CLASS.iter().find_map(|key| ingress.annotation(key));
    class == Some(product::INGRESS_CLASS) && ingress.metadata.deletion_timestamp.is_none()
}

fn hosts_of(rules: &IngressRules) -> impl Iterator<Item = String> {
    let all = rules.private.iter().chain(&rules.public);
    all.flat_map(|rule| rule.hosts.iter().cloned())
}

/// What is known while a change is on its way.
struct Seen<'a> {
    work: &'a Work,
    settings: &'a Settings,
}

impl World for Seen<'_> {
    fn find(&self, key: &Key, port: &IntOrString) -> Found {
        if self.work.caches.revisions.has(key) {
            return Found::Backend(key.clone());
        }
        let Some(service) = self.work.caches.kubernetes_services.get(key) else {
            return Found::Nothing;
        };
        if let Some(Role::Route(host)) = target::role(&service, self.settings.cluster_domain()) {
            return Found::Host(host);
        }
        let kind = service.spec.as_ref().and_then(|spec| spec.type_.as_deref());
        if kind == Some("ExternalName") {
            return Found::External;
        }
        match find_port(&service, port) {
            Some(port) => Found::Backend(Key::new(&key.namespace, format!("{}:{}", key.name, port.port))),
            None => Found::Nothing,
        }
    }

    fn holder(&self, host: &str) -> Option<Key> {
        self.work.claims.holder(host).cloned()
    }

    fn rules(&self, ingress: &Key) -> Option<Arc<IngressRules>> {
        self.work.programme.routes.get(ingress).cloned()
    }
}
