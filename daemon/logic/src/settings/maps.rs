// SPDX-License-Identifier: Apache-2.0
//! Every ConfigMap there is, by name: what the admission of one asks.
//!
//! Depends on: every map, example.

use super::example::{self, CHECKSUM_ANNOTATION, EXAMPLE};
use super::problem::Problems;
use super::table::Data;
use super::{autoscaler, certmanager, defaults, deployment, domain, features, gc, leader_election, logging, network};
use super::{observability, tracing};
use std::collections::BTreeMap;

/// One of the ConfigMaps.
#[derive(Clone, Copy, Debug)]
pub struct ConfigMap {
    /// Its name.
    pub name: &'static str,
    /// Whether it would be accepted.
    pub check: fn(&Data) -> Result<(), Problems>,
    /// Whether it has such a key, in any spelling; `_example` is none.
    pub knows: fn(&str) -> bool,
    /// Its keys with a fixed name, in their current spelling.
    pub keys: fn() -> Vec<&'static str>,
}

macro_rules! config_maps {
    ($($name:literal => $settings:path;)*) => {
        /// All of them.
        pub const CONFIG_MAPS: &[ConfigMap] = &[$(ConfigMap {
            name: $name,
            check: |data| <$settings>::parse(data).map(drop),
            knows: <$settings>::knows,
            keys: <$settings>::keys,
        },)*];
    };
}

config_maps! {
    "config-autoscaler" => autoscaler::Autoscaler;
    "config-certmanager" => certmanager::CertManager;
    "config-defaults" => defaults::Defaults;
    "config-deployment" => deployment::Deployment;
    "config-domain" => domain::Domain;
    "config-features" => features::Features;
    "config-gc" => gc::Gc;
    "config-leader-election" => leader_election::LeaderElection;
    "config-logging" => logging::Logging;
    "config-network" => network::Network;
    "config-observability" => observability::Observability;
    "config-tracing" => tracing::LegacyTracing;
}

/// Whether a ConfigMap would be admitted; one of another name is.
///
/// # Errors
/// A changed `_example`, or every problem of its settings.
pub fn admit(name: &str, annotations: &BTreeMap<String, String>, data: &Data) -> Result<(), Problems> {
    let Some(map) = CONFIG_MAPS.iter().find(|map| map.name == name) else {
        return Ok(());
    };
    let documented = data.get(EXAMPLE).map(|text| example::checksum(text));
    let annotated = annotations.get(CHECKSUM_ANNOTATION);
    match (documented, annotated) {
        (Some(actual), Some(wanted)) if actual != *wanted => Err(Problems::one(EXAMPLE, example::changed())),
        _ => (map.check)(data),
    }
}

/// Keys that no map of this name has: most likely misspelt.
#[must_use]
pub fn unknown_keys<'a>(name: &str, data: &'a Data) -> Vec<&'a str> {
    let map = CONFIG_MAPS.iter().find(|map| map.name == name);
    let is_unknown = |key: &&str| *key != EXAMPLE && map.is_some_and(|map| !(map.knows)(key));
    data.keys().map(String::as_str).filter(is_unknown).collect()
}

#[cfg(test)]
mod tests;
