// SPDX-License-Identifier: Apache-2.0
//! The hash by which a gateway says which version of an Ingress it has: control-plane spec 5.3.
//!
//! Problem: whoever waits for a gateway must recognise the version that it wrote, and Knative's tests compute the hash
//! themselves.
//! Mechanism: SHA-256 over the JSON text of the spec as Go writes it, then namespace and name; beside every path a twin
//! that answers with the hash.
//! Invariants: the text is Knative's byte for byte; what makes it panic there is an error here.
//! Depends on: ingress (its types), names, sha2.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{HeaderMatch, HttpIngressPath, Ingress, IngressRule, IngressSpec};
use crate::names::header::NETWORK_HASH;

/// The value of the hash header that a probe sends.
pub const HASH_OVERRIDE: &str = "override";

/// Why an Ingress cannot be probed for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProbeError {
    /// A rule says nothing about HTTP; Knative prints the rule as Go does.
    #[error("rule is missing HTTP block: {{Hosts:[{hosts}] Visibility:{visibility} HTTP:<nil>}}")]
    NoHttp {
        /// The hosts of the rule, with spaces between.
        hosts: String,
        /// Its visibility.
        visibility: String,
    },
    /// The spec cannot be written as JSON.
    #[error("failed to compute the hash of the Ingress: failed to serialize Ingress: {0}")]
    NotJson(String),
}

/// The bytes of a spec that are hashed: compact JSON in Knative's order of keys, escaped as Go escapes.
///
/// # Errors
/// When the spec cannot be written as JSON; no spec that was read from JSON is such.
pub fn hashed_text(spec: &IngressSpec) -> Result<String, ProbeError> {
    let text = serde_json::to_string(spec).map_err(|error| ProbeError::NotJson(error.to_string()))?;
    Ok(escaped_as_go(&text))
}

/// The hash that a gateway with this version of the Ingress answers, in lower-case hexadecimal.
///
/// # Errors
/// As [`hashed_text`].
pub fn hash(ingress: &Ingress) -> Result<String, ProbeError> {
    let digest = Sha256::new()
        .chain_update(hashed_text(&ingress.spec)?)
        .chain_update(ingress.namespace())
        .chain_update(ingress.name())
        .finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The Ingress with a twin before its paths that answers probes, and the hash it answers.
///
/// # Errors
/// When a rule has no HTTP part, and as [`hashed_text`].
pub fn with_probe(ingress: &Ingress) -> Result<(Ingress, String), ProbeError> {
    let hash = hash(ingress)?;
    let mut probed = ingress.clone();
    for rule in &mut probed.spec.rules {
        let Some(http) = &mut rule.http else {
            return Err(without_http(rule));
        };
        let twins = http.paths.iter().map(|path| answering(path, &hash));
        http.paths = twins.chain(http.paths.iter().cloned()).collect();
    }
    Ok((probed, hash))
}

fn answering(path: &HttpIngressPath, hash: &str) -> HttpIngressPath {
    let asked = HeaderMatch {
        exact: HASH_OVERRIDE.to_owned(),
    };
    let mut twin = path.clone();
    twin.headers.insert(NETWORK_HASH.to_owned(), asked);
    twin.append_headers
        .extend(BTreeMap::from([(NETWORK_HASH.to_owned(), hash.to_owned())]));
    twin
}

fn without_http(rule: &IngressRule) -> ProbeError {
    ProbeError::NoHttp {
        hosts: rule.hosts.join(" "),
        visibility: rule.visibility.clone(),
    }
}

/// Go escapes five characters more than JSON asks for; outside of texts they do not occur.
fn escaped_as_go(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
