// SPDX-License-Identifier: Apache-2.0
//! config-certmanager: who issues certificates (data-plane spec 6).
//!
//! Depends on: table, yaml.

use super::problem::Problems;
use super::table::{self, Data, Key, Reader, Reading, key};
use super::yaml::{self, Object, YamlError};

/// The settings of config-certmanager.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertManager {
    /// For external hosts.
    pub issuer: Issuer,
    /// For hosts inside the cluster.
    pub cluster_local_issuer: Issuer,
    /// For traffic between components.
    pub system_internal_issuer: Issuer,
}

/// A reference to an issuer of cert-manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Its API group; empty is cert-manager's own.
    pub group: String,
    /// `ClusterIssuer` or `Issuer`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

impl Default for Issuer {
    fn default() -> Self {
        Self {
            group: String::new(),
            kind: "ClusterIssuer".to_owned(),
            name: "knative-selfsigned-issuer".to_owned(),
        }
    }
}

impl CertManager {
    /// Reads the map.
    ///
    /// # Errors
    /// Every problem of it.
    pub fn parse(data: &Data) -> Result<Self, Problems> {
        let mut settings = Self::default();
        let mut reading = Reading::of(data);
        reading.read(KEYS, &mut settings);
        reading.finish(settings)
    }

    /// The keys with a fixed name, in their current spelling.
    #[must_use]
    pub fn keys() -> Vec<&'static str> {
        table::names(KEYS).collect()
    }

    /// Whether the map has such a key.
    #[must_use]
    pub fn knows(key: &str) -> bool {
        table::knows(KEYS, key)
    }
}

const KEYS: &[Key<CertManager>] = &[
    key("issuerRef", Reader::Own(|s, text| issuer(&mut s.issuer, text))),
    key(
        "clusterLocalIssuerRef",
        Reader::Own(|s, text| issuer(&mut s.cluster_local_issuer, text)),
    ),
    key(
        "systemInternalIssuerRef",
        Reader::Own(|s, text| issuer(&mut s.system_internal_issuer, text)),
    ),
];

fn issuer(field: &mut Issuer, text: &str) -> Result<(), String> {
    merge(field, text).map_err(|error| error.to_string())
}

/// What the text does not name stays.
fn merge(field: &mut Issuer, text: &str) -> Result<(), YamlError> {
    let document = yaml::document(text)?;
    let object = Object::of(&document, "v1.ObjectReference")?;
    for (name, target) in [
        ("group", &mut field.group),
        ("kind", &mut field.kind),
        ("name", &mut field.name),
    ] {
        if let Some(text) = object.text(name)? {
            *target = text;
        }
    }
    Ok(())
}
