// SPDX-License-Identifier: Apache-2.0
//! config-domain: under which domain a Route stands (data-plane spec 6).
//!
//! Depends on: selector, table, yaml.

use super::problem::Problems;
use super::selector::{self, Labels};
use super::table::{Data, Reading};
use super::yaml::{self, Object, YamlError};
use std::collections::BTreeMap;

/// The settings of config-domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// By domain; there is always one for every route.
    pub domains: BTreeMap<String, DomainConfig>,
    /// The domain of routes that only the cluster sees.
    pub cluster_local: String,
}

/// For which routes a domain is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainConfig {
    /// Labels a route must have.
    pub selector: Labels,
    /// `wildcard` or as written.
    pub kind: String,
}

/// The cluster's domain where none is known.
const CLUSTER_DOMAIN: &str = "cluster.local";
const WILDCARD: &str = "wildcard";
const VISIBILITY: &str = "networking.knative.dev/visibility";

impl Default for Domain {
    fn default() -> Self {
        Self::with_default(BTreeMap::new(), CLUSTER_DOMAIN)
    }
}

impl Domain {
    /// Reads the map, in a cluster whose domain is `cluster.local`.
    ///
    /// # Errors
    /// Every problem of it.
    pub fn parse(data: &Data) -> Result<Self, Problems> {
        Self::parse_in(data, CLUSTER_DOMAIN)
    }

    /// Reads the map, in a cluster with this domain.
    ///
    /// # Errors
    /// Every problem of it.
    pub fn parse_in(data: &Data, cluster_domain: &str) -> Result<Self, Problems> {
        let mut reading = Reading::of(data);
        let mut domains = BTreeMap::new();
        for (domain, text) in data.iter().filter(|(key, _)| *key != "_example") {
            match DomainConfig::parse(text) {
                Ok(config) => drop(domains.insert(domain.clone(), config)),
                Err(error) => reading.add(domain, error.to_string()),
            }
        }
        reading.finish(Self::with_default(domains, cluster_domain))
    }

    /// The keys with a fixed name, in their current spelling.
    #[must_use]
    pub fn keys() -> Vec<&'static str> {
        Vec::new()
    }

    /// Whether the map has such a key: each key is a domain.
    #[must_use]
    pub fn knows(_key: &str) -> bool {
        true
    }

    /// The domain of a route with these labels.
    #[must_use]
    pub fn of(&self, labels: &BTreeMap<String, String>) -> &str {
        if labels
            .get(VISIBILITY)
            .is_some_and(|visibility| visibility == "cluster-local")
        {
            return &self.cluster_local;
        }
        let selectors = self
            .domains
            .iter()
            .map(|(domain, config)| (domain.as_str(), &config.selector));
        selector::most_specific(selectors, labels).unwrap_or(&self.cluster_local)
    }

    fn with_default(mut domains: BTreeMap<String, DomainConfig>, cluster_domain: &str) -> Self {
        let cluster_local = format!("svc.{cluster_domain}");
        if domains.values().all(|config| !config.selector.0.is_empty()) {
            domains.insert(cluster_local.clone(), DomainConfig::wildcard());
        }
        Self { domains, cluster_local }
    }
}

impl DomainConfig {
    fn wildcard() -> Self {
        Self {
            selector: Labels::default(),
            kind: WILDCARD.to_owned(),
        }
    }

    fn parse(text: &str) -> Result<Self, YamlError> {
        let document = yaml::document(text)?;
        let object = Object::of(&document, "config.domainInternalConfig")?;
        let selector = object.texts("selector")?;
        let kind = object.text("type")?.unwrap_or_default();
        Ok(if selector.is_empty() {
            Self::wildcard()
        } else {
            Self {
                selector: Labels(selector),
                kind,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, String> {
        entries
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn the_most_specific_domain_wins_then_the_smallest() {
        let domain = Domain::parse(&map([
            ("b.com", ""),
            ("a.com", ""),
            ("prod.com", "selector: {env: prod}"),
            ("shop.com", "selector: {env: prod, app: shop}"),
        ]))
        .unwrap();
        assert_eq!(domain.of(&map([])), "a.com");
        assert_eq!(domain.of(&map([("env", "prod")])), "prod.com");
        assert_eq!(domain.of(&map([("env", "prod"), ("app", "shop")])), "shop.com");
        assert_eq!(domain.of(&map([(VISIBILITY, "cluster-local")])), "svc.cluster.local");
    }

    #[test]
    fn every_wrong_domain_is_reported() {
        let problems = Domain::parse(&map([("a.com", "5"), ("b.com", ""), ("c.com", "selector: 5")])).unwrap_err();
        let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, ["a.com", "c.com"]);
    }
}
