// SPDX-License-Identifier: Apache-2.0
//! What happens to plain HTTP: control-plane spec 4.7, httpOption.
//!
//! Depends on: names, `logic::settings`.

use std::collections::BTreeMap;

use logic::settings::network::HttpProtocol;
use thiserror::Error;

use crate::names::{first, networking};

/// The annotation asks for something that does not exist; `disabled` cannot be asked for by an object.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("incorrect http-protocol annotation: {0}")]
pub struct WrongProtocol(String);

/// The option of an Ingress: as the object's annotation says, else as the cluster does.
///
/// # Errors
/// The annotation says neither `enabled` nor `redirected`, in any case.
pub fn http_option(
    annotations: Option<&BTreeMap<String, String>>,
    default: HttpProtocol,
) -> Result<&'static str, WrongProtocol> {
    let asked = annotations.and_then(|annotations| first(&networking::HTTP_PROTOCOL, annotations));
    let asked = asked.map(|(_, value)| value.to_lowercase()).unwrap_or_default();
    match (asked.as_str(), default) {
        ("enabled", _) | ("", HttpProtocol::Enabled) => Ok("Enabled"),
        ("redirected", _) | ("", HttpProtocol::Redirected) => Ok("Redirected"),
        ("", HttpProtocol::Disabled) => Ok(""),
        _ => Err(WrongProtocol(asked)),
    }
}

/// The class of an object's Ingress: as its annotation says, else the cluster's.
#[must_use]
pub fn ingress_class<'a>(annotations: Option<&'a BTreeMap<String, String>>, default: &'a str) -> &'a str {
    class(&networking::INGRESS_CLASS, annotations, default)
}

/// The class of an object's Certificates: as its annotation says, else the cluster's.
#[must_use]
pub fn certificate_class<'a>(annotations: Option<&'a BTreeMap<String, String>>, default: &'a str) -> &'a str {
    class(&networking::CERTIFICATE_CLASS, annotations, default)
}

fn class<'a>(keys: &[&'static str], annotations: Option<&'a BTreeMap<String, String>>, default: &'a str) -> &'a str {
    let asked = annotations.and_then(|annotations| first(keys, annotations));
    asked
        .map(|(_, class)| class)
        .filter(|class| !class.is_empty())
        .unwrap_or(default)
}
