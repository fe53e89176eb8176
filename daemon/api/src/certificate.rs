// SPDX-License-Identifier: Apache-2.0
//! Certificate: a TLS certificate that is wanted; control-plane spec 1.6.
//!
//! Depends on: k8s-openapi.

pub mod status;
mod validation;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Serialize};

use crate::condition::Observed;
use crate::json::{is_empty, or_default};
use crate::kind::Kind;
use crate::object::{Object, Spec};

/// A TLS certificate that is wanted.
pub type Certificate = Object<CertificateSpec, CertificateStatus>;

/// For which names, and where it shall be put.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSpec {
    /// The names it shall cover.
    #[serde(default, deserialize_with = "or_default")]
    pub dns_names: Vec<String>,
    /// The domain that the names belong to; empty: not said.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub domain: String,
    /// The Secret that shall hold it.
    #[serde(default, deserialize_with = "or_default")]
    pub secret_name: String,
}

impl Spec for CertificateSpec {
    const KIND: Kind = Kind::Certificate;
}

/// Whether it is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// Generation and conditions.
    #[serde(flatten)]
    pub observed: Observed,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Time>,
    /// What must be answered before it is issued.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub http01_challenges: Vec<Http01Challenge>,
}

/// One question of the issuer, and who answers it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Http01Challenge {
    /// The URL that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The Service that answers.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub service_name: String,
    /// Its namespace.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub service_namespace: String,
    /// Its port.
    #[serde(default, deserialize_with = "or_default")]
    pub service_port: IntOrString,
}
