// SPDX-License-Identifier: Apache-2.0
//! The Ingress of a Route: control-plane spec 4.7, Ingress.
//!
//! Problem: one object tells the gateway all about a Route: hosts, shares, tags, certificates, challenges.
//! Mechanism: for the Route and each tag, in order, a rule inside the cluster and, if it is seen outside, one outside.
//! Invariants: the shares of a path sum to 100 when those of the group do; hosts are unique; the same input gives the
//! same text, since the text is hashed.
//! Depends on: naming, targets, certificates, `logic::traffic`, ingress (its types).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use logic::traffic::rollout::{ConfigurationRollout, Rollout};

use super::Route;
use super::naming::{Naming, NamingError, Visibility};
use super::targets::{DEFAULT_GROUP, Protocol, RevisionTarget, Traffic};
use crate::certificate::Http01Challenge;
use crate::child_name::child_name;
use crate::ingress::{
    HeaderMatch, HttpIngressPath, HttpIngressRule, Ingress, IngressBackendSplit, IngressRule, IngressSpec, IngressTls,
    annotations, challenge,
};
use crate::names::{header, networking, serving};

/// What the programme is made from.
#[derive(Clone, Copy, Debug)]
pub struct Programme<'a> {
    /// The Route.
    pub route: &'a Route,
    /// How hosts are named.
    pub naming: Naming<'a>,
    /// Where the traffic goes.
    pub traffic: &'a Traffic,
    /// Who can reach which tag; one that is not named is reached from outside.
    pub visibilities: &'a BTreeMap<String, Visibility>,
    /// The shares of the Revisions of the Configurations that are followed.
    pub rollout: &'a Rollout,
    /// Certificates that are there.
    pub tls: &'a [IngressTls],
    /// Challenges that must be answered.
    pub challenges: &'a [Http01Challenge],
    /// The class of the Ingress.
    pub class: &'a str,
    /// What happens to plain HTTP.
    pub http_option: &'a str,
    /// Whether a header may choose the tag.
    pub routes_by_header: bool,
    /// Whether the system's own connections use TLS.
    pub is_system_internal_tls: bool,
}

impl Programme<'_> {
    /// The Ingress.
    ///
    /// # Errors
    /// The Route has no host.
    pub fn ingress(&self) -> Result<Ingress, NamingError> {
        let route = self.route;
        let mut labels = route.metadata.labels.clone().unwrap_or_default();
        labels.insert(serving::ROUTE.to_owned(), route.name().to_owned());
        labels.insert(serving::ROUTE_NAMESPACE.to_owned(), route.namespace().to_owned());
        Ok(Ingress {
            metadata: ObjectMeta {
                name: Some(ingress_name(route)),
                namespace: route.metadata.namespace.clone(),
                labels: Some(labels),
                annotations: Some(self.annotations()?),
                owner_references: Some(vec![route.controller_reference()]),
                ..ObjectMeta::default()
            },
            spec: IngressSpec {
                tls: self.tls.to_vec(),
                rules: self.rules()?,
                http_option: self.http_option.to_owned(),
            },
            ..Ingress::default()
        })
    }

    fn annotations(&self) -> Result<BTreeMap<String, String>, NamingError> {
        let [class, _] = networking::INGRESS_CLASS;
        let own = BTreeMap::from([
            (class.to_owned(), self.class.to_owned()),
            (networking::ROLLOUT.to_owned(), self.rollout.to_text()),
        ]);
        let mut annotations = annotations::with_handed_on(own, self.route.metadata.annotations.as_ref());
        let hosts = self.hosts_of_tags()?;
        if !hosts.is_empty() {
            // A map of texts always has a JSON form.
            let text = serde_json::to_string(&hosts).unwrap_or_default();
            annotations.insert(networking::TAG_TO_HOST.to_owned(), text);
        }
        Ok(annotations)
    }

    /// The full hosts of every tag, the one inside the cluster first.
    fn hosts_of_tags(&self) -> Result<BTreeMap<&str, Vec<String>>, NamingError> {
        self.tags()
            .map(|tag| {
                let hosts = self
                    .seen(tag)
                    .iter()
                    .map(|seen| self.naming.host(self.route, tag, *seen));
                Ok((tag, hosts.collect::<Result<_, _>>()?))
            })
            .collect()
    }

    fn rules(&self) -> Result<Vec<IngressRule>, NamingError> {
        let mut rules = Vec::new();
        for (tag, targets) in &self.traffic.groups {
            for visibility in self.seen(tag) {
                let hosts = self.naming.hosts(self.route, tag, *visibility)?;
                rules.extend(self.rules_for(tag, targets, hosts, *visibility));
            }
        }
        Ok(rules)
    }

    /// Inside the cluster one rule for all forms of the host, outside one a host, with its challenges.
    fn rules_for(
        &self,
        tag: &str,
        targets: &[RevisionTarget],
        hosts: Vec<String>,
        visibility: Visibility,
    ) -> Vec<IngressRule> {
        let paths = self.paths(tag, targets);
        let rule = |hosts: Vec<String>, paths: Vec<HttpIngressPath>| IngressRule {
            hosts,
            visibility: visibility.text().to_owned(),
            http: Some(HttpIngressRule { paths: paths.into() }),
        };
        if visibility == Visibility::ClusterLocal {
            return vec![rule(hosts, paths)];
        }
        hosts
            .into_iter()
            .map(|host| {
                let mut all = challenge::paths_for(self.challenges, &host);
                all.extend(paths.iter().cloned());
                rule(vec![host], all)
            })
            .collect()
    }

    fn paths(&self, tag: &str, targets: &[RevisionTarget]) -> Vec<HttpIngressPath> {
        let mut path = self.path(tag, targets);
        if !self.routes_by_header {
            return vec![path];
        }
        if tag != DEFAULT_GROUP {
            path.append_headers.insert(header::TAG.to_owned(), tag.to_owned());
            return vec![path];
        }
        path.append_headers
            .insert(header::DEFAULT_ROUTE.to_owned(), "true".to_owned());
        let mut paths: Vec<_> = self
            .traffic
            .groups
            .iter()
            .filter(|(tag, _)| *tag != DEFAULT_GROUP)
            .map(|(tag, targets)| self.path_by_header(tag, targets))
            .collect();
        paths.push(path);
        paths
    }

    fn path_by_header(&self, tag: &str, targets: &[RevisionTarget]) -> HttpIngressPath {
        let exact = tag.to_owned();
        HttpIngressPath {
            headers: BTreeMap::from([(header::TAG.to_owned(), HeaderMatch { exact })]),
            ..self.path(tag, targets)
        }
    }

    fn path(&self, tag: &str, targets: &[RevisionTarget]) -> HttpIngressPath {
        let splits = targets
            .iter()
            .filter(|target| target.percent != 0)
            .flat_map(|target| self.splits(target, rolling(self.rollout, tag, target)));
        HttpIngressPath {
            splits: splits.collect(),
            ..HttpIngressPath::default()
        }
    }

    /// One backend, or one a Revision while they change; all get the port of the newest.
    fn splits(&self, target: &RevisionTarget, rolling: Option<&ConfigurationRollout>) -> Vec<IngressBackendSplit> {
        match rolling {
            None => vec![self.split(target, &target.revision, target.percent)],
            Some(rolling) => rolling
                .revisions
                .iter()
                .map(|revision| self.split(target, &revision.revision_name, revision.percent))
                .collect(),
        }
    }

    fn split(&self, target: &RevisionTarget, revision: &str, percent: i64) -> IngressBackendSplit {
        let namespace = self.route.namespace();
        IngressBackendSplit {
            service_namespace: namespace.to_owned(),
            service_name: revision.to_owned(),
            service_port: IntOrString::Int(match (self.is_system_internal_tls, target.protocol) {
                (true, _) => 443,
                (false, Protocol::Http1) => 80,
                (false, Protocol::H2c) => 81,
            }),
            percent,
            append_headers: BTreeMap::from([
                (header::REVISION.to_owned(), revision.to_owned()),
                (header::NAMESPACE.to_owned(), namespace.to_owned()),
            ]),
        }
    }

    fn tags(&self) -> impl Iterator<Item = &str> {
        let groups = self.traffic.groups.keys().map(String::as_str);
        groups.filter(|tag| *tag != DEFAULT_GROUP)
    }

    /// From where a tag is seen.
    fn seen(&self, tag: &str) -> &'static [Visibility] {
        match self.visibilities.get(tag) {
            Some(Visibility::ClusterLocal) => &[Visibility::ClusterLocal],
            _ => &[Visibility::ClusterLocal, Visibility::ExternalIp],
        }
    }
}

/// The name of a Route's Ingress.
#[must_use]
pub fn ingress_name(route: &Route) -> String {
    child_name(route.name(), "")
}

/// The rollout that shares a target among several Revisions, if one does.
fn rolling<'a>(rollout: &'a Rollout, tag: &'a str, target: &RevisionTarget) -> Option<&'a ConfigurationRollout> {
    if !target.follows_latest() {
        return None;
    }
    rollout
        .of_tag(tag)
        .find(|one| one.configuration_name == target.configuration)
        .filter(|one| !one.is_done())
}

#[cfg(test)]
mod tests;
