// SPDX-License-Identifier: Apache-2.0
//! DomainMapping: a domain of the user's own, by its name; control-plane spec 1.4.
//!
//! Depends on: address.

mod defaults;
pub mod desired;
pub mod reconcile;
pub mod status;
pub mod target;
mod validation;

use serde::{Deserialize, Serialize};

use crate::address::Addressable;
use crate::condition::Observed;
use crate::json::{is_empty, or_default};
use crate::kind::Kind;
use crate::object::{Object, Spec};

/// A domain of the user's own: the object's name.
pub type DomainMapping = Object<DomainMappingSpec, DomainMappingStatus>;

/// Where requests for the domain go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DomainMappingSpec {
    /// What serves the domain.
    #[serde(rename = "ref", default, deserialize_with = "or_default")]
    pub reference: Reference,
    /// A certificate of the user's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<SecretTls>,
}

impl Spec for DomainMappingSpec {
    const KIND: Kind = Kind::DomainMapping;
}

/// An object of another kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// Its kind.
    #[serde(default, deserialize_with = "or_default")]
    pub kind: String,
    /// Its namespace; empty: that of the object which refers.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub namespace: String,
    /// Its name.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// Its group and version.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub api_version: String,
    /// Its group alone; not allowed here.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub group: String,
    /// Which of its addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// A certificate in a Secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretTls {
    /// The name of the Secret in the same namespace.
    #[serde(default, deserialize_with = "or_default")]
    pub secret_name: String,
}

/// Where the domain can be reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DomainMappingStatus {
    /// Generation and conditions.
    #[serde(flatten)]
    pub observed: Observed,
    /// Where it can be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The same, as an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Addressable>,
}
