// SPDX-License-Identifier: Apache-2.0
//! The twelve kinds and what the API server calls them: control-plane spec 1.1.
//!
//! Depends on: names.

use crate::names::group;

/// A kind of object that Knative Serving defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// What users write: a template and its traffic.
    Service,
    /// The template; every change of it makes a Revision.
    Configuration,
    /// One immutable version of a workload.
    Revision,
    /// Which Revisions serve which share of the traffic.
    Route,
    /// A domain of the user's own for a Service.
    DomainMapping,
    /// The scaling of one Revision.
    PodAutoscaler,
    /// What is measured for a PodAutoscaler.
    Metric,
    /// The Services of one Revision.
    ServerlessService,
    /// The programming of the gateway: KIngress.
    Ingress,
    /// A TLS certificate that is wanted.
    Certificate,
    /// The namespace that may use a domain.
    ClusterDomainClaim,
    /// An image that is worth having on every node.
    Image,
}

impl Kind {
    /// Every kind, in the order of the specification's table.
    pub const ALL: [Self; 12] = [
        Self::Service,
        Self::Configuration,
        Self::Revision,
        Self::Route,
        Self::DomainMapping,
        Self::PodAutoscaler,
        Self::Metric,
        Self::Ingress,
        Self::ServerlessService,
        Self::Certificate,
        Self::ClusterDomainClaim,
        Self::Image,
    ];

    /// The name in the field `kind`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::Configuration => "Configuration",
            Self::Revision => "Revision",
            Self::Route => "Route",
            Self::DomainMapping => "DomainMapping",
            Self::PodAutoscaler => "PodAutoscaler",
            Self::Metric => "Metric",
            Self::ServerlessService => "ServerlessService",
            Self::Ingress => "Ingress",
            Self::Certificate => "Certificate",
            Self::ClusterDomainClaim => "ClusterDomainClaim",
            Self::Image => "Image",
        }
    }

    /// The API group.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::Service | Self::Configuration | Self::Revision | Self::Route | Self::DomainMapping => group::SERVING,
            Self::PodAutoscaler | Self::Metric => group::AUTOSCALING_INTERNAL,
            Self::ServerlessService | Self::Ingress | Self::Certificate | Self::ClusterDomainClaim => {
                group::NETWORKING_INTERNAL
            }
            Self::Image => group::CACHING_INTERNAL,
        }
    }

    /// The one version that is served and stored.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Self::Service | Self::Configuration | Self::Revision | Self::Route => "v1",
            Self::DomainMapping => "v1beta1",
            _ => "v1alpha1",
        }
    }

    /// Group and version, as the field `apiVersion` has them.
    #[must_use]
    pub fn api_version(self) -> String {
        format!("{}/{}", self.group(), self.version())
    }

    /// The plural, as URLs have it.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Service => "services",
            Self::Configuration => "configurations",
            Self::Revision => "revisions",
            Self::Route => "routes",
            Self::DomainMapping => "domainmappings",
            Self::PodAutoscaler => "podautoscalers",
            Self::Metric => "metrics",
            Self::ServerlessService => "serverlessservices",
            Self::Ingress => "ingresses",
            Self::Certificate => "certificates",
            Self::ClusterDomainClaim => "clusterdomainclaims",
            Self::Image => "images",
        }
    }

    /// Names for those who type.
    #[must_use]
    pub fn short_names(self) -> &'static [&'static str] {
        match self {
            Self::Service => &["kservice", "ksvc"],
            Self::Configuration => &["config", "cfg"],
            Self::Revision => &["rev"],
            Self::Route => &["rt"],
            Self::DomainMapping => &["dm"],
            Self::PodAutoscaler => &["kpa", "pa"],
            Self::ServerlessService => &["sks"],
            Self::Ingress => &["kingress", "king"],
            Self::Certificate => &["kcert"],
            Self::ClusterDomainClaim => &["cdc"],
            Self::Metric | Self::Image => &[],
        }
    }

    /// Whether its objects live in a namespace.
    #[must_use]
    pub fn is_namespaced(self) -> bool {
        self != Self::ClusterDomainClaim
    }

    /// The kind of an object that says so, if it is one of ours; the version must be the served one.
    #[must_use]
    pub fn find(api_version: &str, name: &str) -> Option<Self> {
        let (group, version) = api_version.split_once('/')?;
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name && kind.group() == group && kind.version() == version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_what_it_calls_itself() {
        for kind in Kind::ALL {
            assert_eq!(Kind::find(&kind.api_version(), kind.name()), Some(kind));
        }
    }

    #[test]
    fn kubernetes_own_service_is_none_of_ours() {
        assert_eq!(Kind::find("v1", "Service"), None);
    }
}
