// SPDX-License-Identifier: Apache-2.0
//! The hosts of a Route: control-plane spec 4.7, hosts and visibility.
//!
//! Problem: templates, labels, tags and visibility together decide under which hosts a Route is known.
//! Mechanism: the tag template gives a label, the domain template a host; inside the cluster the default template holds.
//! Invariants: every host that is returned is a fully qualified name; texts of errors are Knative's.
//! Depends on: route (its types), `logic::settings`, `logic::syntax`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use logic::go::print::quoted;
use logic::settings::network::RouteHost;
use logic::settings::{Domain, Network};
use thiserror::Error;

use super::Route;
use super::placeholder;
use super::targets::DEFAULT_GROUP;
use crate::ingress::{hosts, visibility};
use crate::names::networking;
use logic::syntax;

/// Why a Route has no host.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NamingError {
    /// A template cannot be rendered over this Route.
    #[error("domain name error: error executing the {which}: {reason}")]
    Template {
        /// `DomainTemplate` or `TagTemplate`.
        which: &'static str,
        /// What the template says.
        reason: String,
    },
    /// What was rendered is no host.
    #[error("domain name error: invalid domain name {}: {reason}", quoted(.host))]
    Invalid {
        /// What was rendered.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Who can reach a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody.
    ExternalIp,
    /// The cluster.
    ClusterLocal,
}

impl Visibility {
    /// As an Ingress says it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::ExternalIp => visibility::EXTERNAL_IP,
            Self::ClusterLocal => visibility::CLUSTER_LOCAL,
        }
    }
}

/// The settings that name hosts.
#[derive(Clone, Copy, Debug)]
pub struct Naming<'a> {
    /// config-network.
    pub network: &'a Network,
    /// config-domain.
    pub domain: &'a Domain,
    /// The domain of the cluster.
    pub cluster_domain: &'a str,
}

impl Naming<'_> {
    /// The first label of a tag's hosts, which is also the name of its Service.
    ///
    /// # Errors
    /// The tag template cannot be rendered.
    pub fn label(&self, route: &Route, tag: &str) -> Result<String, NamingError> {
        if tag == DEFAULT_GROUP {
            return Ok(route.name().to_owned());
        }
        self.network
            .tag_host(route.name(), tag)
            .map_err(|error| NamingError::Template {
                which: "TagTemplate",
                reason: error.to_string(),
            })
    }

    /// The host of a tag as it is seen with this visibility.
    ///
    /// # Errors
    /// A template cannot be rendered, or what it gives is no host.
    pub fn host(&self, route: &Route, tag: &str, visibility: Visibility) -> Result<String, NamingError> {
        let label = self.label(route, tag)?;
        let mut metadata = route.metadata.clone();
        let labels = metadata.labels.get_or_insert_default();
        match visibility {
            Visibility::ClusterLocal => {
                labels.insert(networking::VISIBILITY.to_owned(), networking::CLUSTER_LOCAL.to_owned());
            }
            Visibility::ExternalIp => {
                labels.remove(networking::VISIBILITY);
            }
        }
        self.host_of(&metadata, &label)
    }

    /// The host of `label` for an object with exactly these labels.
    ///
    /// # Errors
    /// As [`Self::host`].
    pub fn host_of(&self, metadata: &ObjectMeta, label: &str) -> Result<String, NamingError> {
        let labels = metadata.labels.clone().unwrap_or_default();
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let domain = self.domain.of(&labels);
        let host = match is_cluster_local(&labels) {
            true => format!("{label}.{namespace}.{domain}"),
            false => self.rendered(&RouteHost {
                name: label,
                namespace,
                domain,
                annotations: metadata.annotations.as_ref(),
                labels: Some(&labels),
            })?,
        };
        match syntax::domain_name(&host) {
            None => Ok(host),
            Some(why) => {
                let reason = format!("url: {why}");
                Err(NamingError::Invalid { host, reason })
            }
        }
    }

    fn rendered(&self, values: &RouteHost<'_>) -> Result<String, NamingError> {
        self.network.host(values).map_err(|error| NamingError::Template {
            which: "DomainTemplate",
            reason: error.to_string(),
        })
    }

    /// Every host of a tag as it is seen with this visibility, sorted: inside the cluster a host has shorter forms too.
    ///
    /// # Errors
    /// As [`Self::host`].
    pub fn hosts(&self, route: &Route, tag: &str, visibility: Visibility) -> Result<Vec<String>, NamingError> {
        let host = self.host(route, tag, visibility)?;
        Ok(match visibility {
            Visibility::ClusterLocal => hosts::expanded(&host, self.cluster_domain),
            Visibility::ExternalIp => vec![host],
        })
    }

    /// The host of the Route's own Service.
    #[must_use]
    pub fn service_host(&self, route: &Route) -> String {
        format!("{}.{}.{}", route.name(), route.namespace(), self.domain.cluster_local)
    }

    /// Who can reach the tags: the Route's domain says it for all, the label of a placeholder Service for its tag.
    ///
    /// # Errors
    /// The tag template cannot be rendered.
    pub fn visibilities(
        &self,
        route: &Route,
        services: &BTreeMap<String, Service>,
    ) -> Result<BTreeMap<String, Visibility>, NamingError> {
        let labels = route.metadata.labels.clone().unwrap_or_default();
        let is_local = self.domain.of(&labels) == self.domain.cluster_local;
        let tags = route.spec.traffic.iter().map(|target| target.tag.as_str());
        std::iter::once(DEFAULT_GROUP)
            .chain(tags)
            .map(|tag| {
                let service = services.get(&self.label(route, tag)?);
                let is_local = is_local || service.is_some_and(|service| placeholder::is_private_to(service, route));
                let visibility = match is_local {
                    true => Visibility::ClusterLocal,
                    false => Visibility::ExternalIp,
                };
                Ok((tag.to_owned(), visibility))
            })
            .collect()
    }
}

fn is_cluster_local(labels: &BTreeMap<String, String>) -> bool {
    labels.get(networking::VISIBILITY).map(String::as_str) == Some(networking::CLUSTER_LOCAL)
}

#[cfg(test)]
mod tests;
