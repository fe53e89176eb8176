// SPDX-License-Identifier: Apache-2.0
//! What an Ingress asks of the gateways: control-plane spec 5.
//!
//! Problem: a table of routes needs destinations that exist; an Ingress names Services, some of which only lead back to the
//! gateway under another host (a DomainMapping leads to the Service of a Route).
//! Mechanism: each split is found among what is known ([`World`]). One that leads to a host of ours gets the rules of that
//! host, with what its own path asks on top: one hop instead of two. Before the paths stand their twins that answer
//! probes with the hash.
//! Invariants: pure; a path whose backends are not all there is left out and named, the others are served.
//! Depends on: api (ingress), logic::traffic.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::ingress::probe::{self, HASH_OVERRIDE, ProbeError};
use api::ingress::{HttpIngressPath, Ingress, IngressBackendSplit, IngressRule, visibility};
use api::names::header;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use logic::data_path::{RouteFacts, Share};
use logic::traffic::{BackendPort, Condition, Destination, PathRule, Rule, Split, host};

use crate::gateway::backend;
use crate::key::Key;

/// What one Ingress asks for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct IngressRules {
    /// When it was made, in nanoseconds of Unix time: the older one keeps a host.
    pub created: i128,
    /// The generation of the spec.
    pub generation: i64,
    /// What gateways with this spec answer probes with.
    pub hash: String,
    /// Hosts that are known outside.
    pub public: Vec<Rule<Destination>>,
    /// Hosts that are known inside the cluster only.
    pub private: Vec<Rule<Destination>>,
    /// Hosts of which plain HTTP is sent to HTTPS.
    pub redirected: Vec<Arc<str>>,
    /// What decides about direct connections, by the hosts inside the cluster.
    pub facts: BTreeMap<String, RouteFacts>,
}

/// Why a part of an Ingress is not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It cannot be hashed; the text is Knative's.
    #[error(transparent)]
    Unprobeable(#[from] ProbeError),
    /// A backend is not there, or not yet.
    #[error("Service {0:?}, which a split names, does not exist or has no such port")]
    NoBackend(String),
    /// A backend is a name outside.
    #[error("Service {0:?} is an ExternalName, which gateways do not follow")]
    External(String),
    /// A path leads partly to another host of the gateway.
    #[error("a split that leads to the host {0:?} of another Ingress must be the only one of its path")]
    Mixed(String),
    /// The percents of a path do not sum to 100.
    #[error("percents of a split must sum to 100, these sum to {0}")]
    NotPercents(i64),
    /// Another Ingress has the host.
    #[error("host {host:?} belongs to Ingress {holder} already")]
    Taken {
        /// The host.
        host: String,
        /// Who has it.
        holder: Key,
    },
    /// A host can be none.
    #[error("{0:?} is no host")]
    NoHost(String),
    /// A Secret is not there, or not yet.
    #[error("Secret {0} holds no certificate, or does not exist")]
    NoCertificate(Key),
}

impl Problem {
    /// Whether it goes away when something appears that is to be expected.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::NoBackend(_) | Self::NoCertificate(_))
    }
}

/// What a split leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The backend of this key.
    Backend(Key),
    /// Another host of the gateway.
    Host(String),
    /// A name outside.
    External,
    /// Nothing.
    Nothing,
}

/// What a translation asks.
pub trait World {
    /// What the port of a Service leads to.
    fn find(&self, service: &Key, port: &IntOrString) -> Found;

    /// Who has a host.
    fn holder(&self, host: &str) -> Option<Key>;

    /// The rules of an Ingress.
    fn rules(&self, ingress: &Key) -> Option<Arc<IngressRules>>;
}

/// An Ingress as the gateways have it, what is missing, and what it depends on.
#[derive(Debug, Default, PartialEq)]
pub struct Translated {
    /// What it asks for.
    pub rules: IngressRules,
    /// What is not served.
    pub problems: Vec<Problem>,
    /// The Services that its splits name.
    pub services: BTreeSet<Key>,
    /// The hosts of others whose rules it has taken over.
    pub hosts: BTreeSet<String>,
}

/// The hosts that an Ingress names, as routes know them.
#[must_use]
pub fn hosts(ingress: &Ingress) -> BTreeSet<String> {
    let hosts = ingress.spec.rules.iter().flat_map(|rule| &rule.hosts);
    hosts.filter_map(|host| host::routable(host)).collect()
}

/// When an Ingress was made, in nanoseconds of Unix time.
#[must_use]
pub fn created(ingress: &Ingress) -> i128 {
    let created = ingress.metadata.creation_timestamp.as_ref();
    created.map_or(0, |time| time.0.as_nanosecond())
}

/// Translates an Ingress.
#[must_use]
pub fn translate(ingress: &Ingress, world: &dyn World) -> Translated {
    let mut translation = Translation {
        ingress,
        world,
        key: Key::of(&ingress.metadata),
        done: Translated::default(),
    };
    translation.run();
    translation.done
}

struct Translation<'a> {
    ingress: &'a Ingress,
    world: &'a dyn World,
    key: Key,
    done: Translated,
}

impl Translation<'_> {
    fn run(&mut self) {
        self.done.rules.created = created(self.ingress);
        self.done.rules.generation = self.ingress.generation();
        match probe::hash(self.ingress) {
            Ok(hash) => self.done.rules.hash = hash,
            Err(error) => self.note(error.into()),
        }
        let ingress = self.ingress;
        for rule in &ingress.spec.rules {
            self.rule(rule);
        }
    }

    fn rule(&mut self, rule: &IngressRule) {
        let mut hosts = Vec::new();
        for name in &rule.hosts {
            match self.claimed(name) {
                Ok(host) => hosts.push(host),
                Err(problem) => self.note(problem),
            }
        }
        let Some(http) = &rule.http else { return };
        let plain: Vec<_> = http.paths.iter().flat_map(|path| self.path(path)).collect();
        let hash = self.done.rules.hash.clone();
        let twins = plain.iter().filter(|_| !hash.is_empty()).map(|path| twin(path, &hash));
        let translated = Rule {
            owner: self.key.to_string(),
            hosts: hosts.clone(),
            paths: twins.chain(plain.iter().cloned()).collect(),
        };
        if rule.visibility == visibility::CLUSTER_LOCAL {
            let facts = facts(self.ingress, &http.paths);
            let facts = hosts.into_iter().map(|host| (host, facts.clone()));
            self.done.rules.facts.extend(facts);
            self.done.rules.private.push(translated);
        } else {
            if self.is_redirected(rule) {
                self.done.rules.redirected.extend(hosts.into_iter().map(Arc::from));
            }
            self.done.rules.public.push(translated);
        }
    }

    /// The host as routes know it, if it is this Ingress' to have.
    fn claimed(&self, name: &str) -> Result<String, Problem> {
        let host = host::routable(name).ok_or_else(|| Problem::NoHost(name.to_owned()))?;
        match self.world.holder(&host) {
            Some(holder) if holder != self.key => Err(Problem::Taken { host, holder }),
            _ => Ok(host),
        }
    }

    /// Only where there is a certificate for all hosts of the rule.
    fn is_redirected(&self, rule: &IngressRule) -> bool {
        let mut certificates = self.ingress.spec.tls.iter();
        self.ingress.spec.http_option == "Redirected"
            && certificates.any(|tls| rule.hosts.iter().all(|host| tls.hosts.contains(host)))
    }

    /// The path, or the paths of the host that it leads to.
    fn path(&mut self, path: &HttpIngressPath) -> Vec<PathRule<Destination>> {
        if !host::is_host(path.rewrite_host.as_bytes()) {
            return self.without(Problem::NoHost(path.rewrite_host.clone()));
        }
        let mut parts = Vec::new();
        for split in &path.splits {
            let service = Key::new(&split.service_namespace, &split.service_name);
            let found = self.world.find(&service, &split.service_port);
            self.done.services.insert(service.clone());
            match found {
                Found::Backend(key) => parts.push((split, key)),
                Found::Host(own) => return self.through(path, split, &own),
                Found::External => return self.without(Problem::External(service.to_string())),
                Found::Nothing => return self.without(Problem::NoBackend(service.to_string())),
            }
        }
        match split(path, &parts) {
            Ok(split) => vec![PathRule {
                prefix: path.path.clone(),
                conditions: conditions(path),
                split,
            }],
            Err(problem) => self.without(problem),
        }
    }

    fn without(&mut self, problem: Problem) -> Vec<PathRule<Destination>> {
        self.note(problem);
        Vec::new()
    }

    /// Each problem is told once, though several rules may have it.
    fn note(&mut self, problem: Problem) {
        if !self.done.problems.contains(&problem) {
            self.done.problems.push(problem);
        }
    }

    /// The paths of another host, as they are for requests that come through this one.
    fn through(
        &mut self,
        path: &HttpIngressPath,
        split: &IngressBackendSplit,
        own: &str,
    ) -> Vec<PathRule<Destination>> {
        let asked = match path.rewrite_host.as_str() {
            "" => own,
            host => host,
        };
        if path.splits.len() > 1 {
            return self.without(Problem::Mixed(asked.to_owned()));
        }
        let Some(host) = host::routable(asked) else {
            return self.without(Problem::NoHost(asked.to_owned()));
        };
        self.done.hosts.insert(host.clone());
        let holder = self.world.holder(&host).filter(|holder| *holder != self.key);
        let Some(rules) = holder.and_then(|holder| self.world.rules(&holder)) else {
            return self.without(Problem::NoBackend(host));
        };
        let set: Vec<_> = path.append_headers.iter().chain(&split.append_headers).collect();
        let all = rules.private.iter().chain(&rules.public);
        let of_host = all
            .filter(|rule| rule.hosts.contains(&host))
            .flat_map(|rule| &rule.paths);
        let own = conditions(path);
        of_host
            .filter(|inner| !is_twin(inner))
            .filter_map(|inner| joined(path, &own, &set, asked, inner))
            .collect()
    }
}

/// The path of a rule within a path that leads to it; none if no request can match both.
fn joined(
    outer: &HttpIngressPath,
    conditions: &[Condition],
    set: &[(&String, &String)],
    host: &str,
    inner: &PathRule<Destination>,
) -> Option<PathRule<Destination>> {
    let prefix = if inner.prefix.starts_with(&outer.path) {
        inner.prefix.clone()
    } else if outer.path.starts_with(&inner.prefix) {
        outer.path.clone()
    } else {
        return None;
    };
    let host = inner_host(&inner.split).unwrap_or(host).to_owned();
    let split = inner.split.clone().map(|to| {
        Destination::new(&to.namespace, &to.service, to.port.clone())
            .with_host(&host)
            .with_headers(set.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .with_headers(to.set_headers())
    });
    Some(PathRule {
        prefix,
        conditions: [conditions, &inner.conditions].concat(),
        split,
    })
}

/// The host that the inner rule itself rewrites to.
fn inner_host(split: &Split<Destination>) -> Option<&str> {
    split.destinations().next()?.host.as_deref()
}

fn conditions(path: &HttpIngressPath) -> Vec<Condition> {
    let headers = path.headers.iter();
    headers
        .map(|(name, wanted)| Condition::header(name, &wanted.exact))
        .collect()
}

fn asks_for_hash() -> Condition {
    Condition::header(header::NETWORK_HASH, HASH_OVERRIDE)
}

/// The same for probes: the backend is told the hash.
fn twin(path: &PathRule<Destination>, hash: &str) -> PathRule<Destination> {
    let mut twin = path.clone();
    twin.conditions.push(asks_for_hash());
    twin.split = twin.split.map(|to| to.with_headers([(header::NETWORK_HASH, hash)]));
    twin
}

fn is_twin(path: &PathRule<Destination>) -> bool {
    path.conditions.contains(&asks_for_hash())
}

/// A single backend without a percent has all.
fn split(path: &HttpIngressPath, parts: &[(&IngressBackendSplit, Key)]) -> Result<Split<Destination>, Problem> {
    if let [(split, key)] = parts
        && split.percent == 0
    {
        return Ok(Split::whole(destination(path, split, key)));
    }
    let sum = parts.iter().map(|(split, _)| split.percent).sum();
    let weighted = parts.iter().map(|(split, key)| {
        let percent = u32::try_from(split.percent).unwrap_or_default();
        (percent, destination(path, split, key))
    });
    Split::percents(weighted).map_err(|_| Problem::NotPercents(sum))
}

fn destination(path: &HttpIngressPath, split: &IngressBackendSplit, key: &Key) -> Destination {
    let port = match &split.service_port {
        IntOrString::Int(number) => BackendPort::Number(u16::try_from(*number).unwrap_or_default()),
        IntOrString::String(name) => BackendPort::Name(name.as_str().into()),
    };
    let headers = path.append_headers.iter().chain(&split.append_headers);
    Destination::new(&key.namespace, &key.name, port)
        .with_host(&path.rewrite_host)
        .with_headers(headers.map(|(name, value)| (name.as_str(), value.as_str())))
}

/// What decides about direct connections to a host.
fn facts(ingress: &Ingress, paths: &[HttpIngressPath]) -> RouteFacts {
    let headers = || paths.iter().flat_map(|path| path.headers.keys());
    let is_tag = |name: &String| name.eq_ignore_ascii_case(header::TAG);
    let splits = paths
        .iter()
        .filter(|path| path.headers.is_empty())
        .flat_map(|path| path.splits.iter().map(move |split| (split, path.splits.len() == 1)));
    let sets_headers = |path: &HttpIngressPath| {
        let own = path.append_headers.keys().filter(|name| !is_routine(name));
        !path.rewrite_host.is_empty() || own.count() > 0
    };
    RouteFacts {
        shares: splits
            .map(|(split, is_only)| Share {
                revision: split.service_name.as_str().into(),
                percent: if is_only { 100 } else { split.percent },
            })
            .collect(),
        header_rule: headers().any(|name| !is_tag(name)) || paths.iter().any(sets_headers),
        path_rule: paths.iter().any(|path| !path.path.is_empty()),
        tag_header: headers().any(is_tag),
        https_only: false,
        wish: backend::wish(ingress.metadata.annotations.as_ref()),
    }
}

/// Headers that a Route always sets, and that only the way through a gateway needs.
fn is_routine(name: &str) -> bool {
    [header::TAG, header::DEFAULT_ROUTE]
        .iter()
        .any(|routine| name.eq_ignore_ascii_case(routine))
}
