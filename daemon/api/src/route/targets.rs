// SPDX-License-Identifier: Apache-2.0
//! Which Revisions the traffic of a Route means: control-plane spec 4.7, traffic resolution.
//!
//! Problem: a Route names Configurations and Revisions that may be missing, not ready, or another Service's.
//! Mechanism: every target is looked at, so that all that must be watched is known; then it has a Revision, or the last
//! hard failure (else the first soft one) is the answer.
//! Invariants: the group "" has every target, a group of a tag those of the tag; within a group a Revision stands once;
//! a group with one entry gives it all.
//! Depends on: configuration, revision, route (its types, status), conditions.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Route, RouteStatus, TrafficTarget};
use crate::condition::ConditionStatus;
use crate::conditions::{self, Conditioned, READY};
use crate::configuration::Configuration;
use crate::kind::Kind;
use crate::names::serving;
use crate::revision::Revision;

/// The group of the traffic without a tag.
pub const DEFAULT_GROUP: &str = "";

/// What a Route may refer to, by name, in its namespace.
#[derive(Clone, Copy, Debug)]
pub struct Targets<'a> {
    /// Every Configuration that exists.
    pub configurations: &'a BTreeMap<String, Configuration>,
    /// Every Revision that exists.
    pub revisions: &'a BTreeMap<String, Revision>,
}

/// An object that a Route refers to, whether it exists or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Configuration or Revision.
    pub kind: Kind,
    /// Its name, in the namespace of the Route.
    pub name: String,
}

/// What a Revision speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS.
    H2c,
}

/// A share of the traffic, down to the Revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionTarget {
    /// The tag; empty: none.
    pub tag: String,
    /// The Revision.
    pub revision: String,
    /// The Configuration it is of; empty: not known.
    pub configuration: String,
    /// Whether the latest ready Revision is followed, as the spec says it.
    pub latest_revision: Option<bool>,
    /// The share; absent counts as nothing.
    pub percent: i64,
    /// What the Revision speaks.
    pub protocol: Protocol,
}

impl RevisionTarget {
    /// Whether the latest ready Revision is followed.
    #[must_use]
    pub fn follows_latest(&self) -> bool {
        self.latest_revision == Some(true)
    }
}

/// The traffic of a Route, down to the Revisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// By tag; what [`DEFAULT_GROUP`] names is what requests without a tag get.
    pub groups: BTreeMap<String, Vec<RevisionTarget>>,
    /// In the order of the spec.
    pub targets: Vec<RevisionTarget>,
}

/// Why the traffic cannot be given to Revisions yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadTarget {
    /// It does not exist.
    Missing(Reference),
    /// A Configuration has no ready Revision, for good or still.
    UnreadyConfiguration {
        /// Its name.
        name: String,
        /// Whether it failed.
        has_failed: bool,
    },
    /// A Revision is not ready, for good or still.
    UnreadyRevision {
        /// Its name.
        name: String,
        /// Whether it failed.
        has_failed: bool,
    },
    /// A Revision belongs to another Service.
    NotOwned {
        /// Its name.
        revision: String,
        /// The Service it belongs to; empty: none.
        owner: String,
        /// The Service of the Route.
        service: String,
    },
}

impl BadTarget {
    /// Whether it will not mend by waiting.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Missing(_) | Self::NotOwned { .. } => true,
            Self::UnreadyConfiguration { has_failed, .. } | Self::UnreadyRevision { has_failed, .. } => *has_failed,
        }
    }

    /// Tells the Route's status.
    pub fn mark(&self, status: &mut RouteStatus, now: &Time) {
        match self {
            Self::Missing(Reference { kind, name }) => status.mark_missing_traffic_target(kind.name(), name, now),
            Self::UnreadyConfiguration { name, has_failed: true } => status.mark_configuration_failed(name, now),
            Self::UnreadyConfiguration { name, .. } => status.mark_configuration_not_ready(name, now),
            Self::UnreadyRevision { name, has_failed: true } => status.mark_revision_failed(name, now),
            Self::UnreadyRevision { name, .. } => status.mark_revision_not_ready(name, now),
            Self::NotOwned {
                revision,
                owner,
                service,
            } => status.mark_revision_not_owned(revision, service, owner, now),
        }
    }
}

/// The traffic of a Route, and what it depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The traffic, or the target that stands in the way.
    pub traffic: Result<Traffic, BadTarget>,
    /// What must be watched, missing objects too.
    pub references: BTreeSet<Reference>,
}

/// Gives every target of the Route its Revision.
#[must_use]
pub fn resolve(route: &Route, among: Targets<'_>) -> Resolved {
    let mut resolver = Resolver {
        among,
        service: route.label(serving::SERVICE).unwrap_or_default(),
        references: BTreeSet::new(),
    };
    let mut targets = Vec::new();
    let mut bad: Option<BadTarget> = None;
    for target in &route.spec.traffic {
        match resolver.target(target) {
            Ok(found) => targets.extend(found),
            Err(error) if bad.is_none() || error.is_failure() => bad = Some(error),
            Err(_) => {}
        }
    }
    Resolved {
        traffic: bad.map_or_else(|| Ok(grouped(&targets)), Err),
        references: resolver.references,
    }
}

struct Resolver<'a> {
    among: Targets<'a>,
    service: &'a str,
    references: BTreeSet<Reference>,
}

impl<'a> Resolver<'a> {
    /// A target that names neither kind is nothing.
    fn target(&mut self, target: &TrafficTarget) -> Result<Option<RevisionTarget>, BadTarget> {
        if !target.revision_name.is_empty() {
            return self.pinned(target).map(Some);
        }
        if !target.configuration_name.is_empty() {
            return self.latest(target).map(Some);
        }
        Ok(None)
    }

    fn latest(&mut self, target: &TrafficTarget) -> Result<RevisionTarget, BadTarget> {
        let configuration = self.configuration(&target.configuration_name)?;
        let latest = &configuration.status.latest_ready_revision_name;
        if latest.is_empty() {
            return Err(BadTarget::UnreadyConfiguration {
                name: configuration.name().to_owned(),
                has_failed: is_false(&configuration.status),
            });
        }
        let revision = self.revision(latest)?;
        Ok(flattened(target, revision, &target.configuration_name))
    }

    fn pinned(&mut self, target: &TrafficTarget) -> Result<RevisionTarget, BadTarget> {
        let revision = self.revision(&target.revision_name)?;
        self.check_owner(revision)?;
        if !revision.is_ready() {
            return Err(BadTarget::UnreadyRevision {
                name: revision.name().to_owned(),
                has_failed: is_false(&revision.status),
            });
        }
        let configuration = match revision.label(serving::CONFIGURATION) {
            Some(name) => {
                self.configuration(name)?;
                name
            }
            None => &target.configuration_name,
        };
        Ok(flattened(target, revision, configuration))
    }

    /// A Route of a Service may pin that Service's Revisions only.
    fn check_owner(&self, revision: &Revision) -> Result<(), BadTarget> {
        let owner = revision.label(serving::SERVICE).unwrap_or_default();
        if self.service.is_empty() || owner == self.service {
            return Ok(());
        }
        Err(BadTarget::NotOwned {
            revision: revision.name().to_owned(),
            owner: owner.to_owned(),
            service: self.service.to_owned(),
        })
    }

    fn configuration(&mut self, name: &str) -> Result<&'a Configuration, BadTarget> {
        let reference = self.referred(Kind::Configuration, name);
        self.among.configurations.get(name).ok_or(BadTarget::Missing(reference))
    }

    fn revision(&mut self, name: &str) -> Result<&'a Revision, BadTarget> {
        let reference = self.referred(Kind::Revision, name);
        self.among.revisions.get(name).ok_or(BadTarget::Missing(reference))
    }

    fn referred(&mut self, kind: Kind, name: &str) -> Reference {
        let reference = Reference {
            kind,
            name: name.to_owned(),
        };
        self.references.insert(reference.clone());
        reference
    }
}

fn is_false<T: Conditioned>(status: &T) -> bool {
    conditions::is(status.condition(READY), ConditionStatus::False)
}

fn flattened(target: &TrafficTarget, revision: &Revision, configuration: &str) -> RevisionTarget {
    RevisionTarget {
        tag: target.tag.clone(),
        revision: revision.name().to_owned(),
        configuration: configuration.to_owned(),
        latest_revision: target.latest_revision,
        percent: target.percent.unwrap_or_default(),
        protocol: protocol_of(revision),
    }
}

/// What the container that serves speaks: the only one, or the first with a port.
fn protocol_of(revision: &Revision) -> Protocol {
    let containers = &revision.spec.pod.containers;
    let ports_of = |container: &'_ k8s_openapi::api::core::v1::Container| container.ports.clone().unwrap_or_default();
    let ports = match containers.as_slice() {
        [only] => ports_of(only),
        several => several
            .iter()
            .map(ports_of)
            .find(|ports| !ports.is_empty())
            .unwrap_or_default(),
    };
    match ports.first().and_then(|port| port.name.as_deref()) {
        Some("h2c") => Protocol::H2c,
        _ => Protocol::Http1,
    }
}

fn grouped(targets: &[RevisionTarget]) -> Traffic {
    let mut traffic = Traffic::default();
    for target in targets {
        add_to(&mut traffic.targets, target, |known| {
            (&known.tag, &known.revision, known.latest_revision)
                == (&target.tag, &target.revision, target.latest_revision)
        });
        for group in BTreeSet::from([DEFAULT_GROUP, &target.tag]) {
            let group = traffic.groups.entry(group.to_owned()).or_default();
            add_to(group, target, |known| known.revision == target.revision);
        }
    }
    for group in traffic.groups.values_mut() {
        if let [only] = group.as_mut_slice() {
            only.percent = 100;
        }
    }
    traffic
}

/// Adds a target to the one that is the same, or to the end.
fn add_to(list: &mut Vec<RevisionTarget>, target: &RevisionTarget, is_same: impl Fn(&RevisionTarget) -> bool) {
    match list.iter_mut().find(|known| is_same(known)) {
        Some(known) => known.percent = known.percent.saturating_add(target.percent),
        None => list.push(target.clone()),
    }
}

#[cfg(test)]
mod tests;
