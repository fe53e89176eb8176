// SPDX-License-Identifier: Apache-2.0
//! Ingress ("KIngress"): the programming of the gateway; control-plane spec 1.6 and 5.
//!
//! Invariants: fields stand in the order in which Knative writes them, and `paths` and `splits` are written even when
//! empty (`list`): the text of the spec is hashed (5.3).
//! Depends on: k8s-openapi.

pub mod annotations;
pub mod challenge;
mod defaults;
pub mod hosts;
pub mod http_option;
pub mod list;
pub mod probe;
pub mod status;
mod validation;
pub mod visibility;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Serialize};

use crate::condition::Observed;
use crate::json::{is_empty, or_default};
use crate::kind::Kind;
use crate::object::{Object, Spec};

use list::List;

/// The programming of the gateway for one Route or DomainMapping.
pub type Ingress = Object<IngressSpec, IngressStatus>;

/// Which requests go where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressSpec {
    /// Certificates, by host.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub tls: Vec<IngressTls>,
    /// What is done with the requests for a host.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub rules: Vec<IngressRule>,
    /// `Enabled`, `Redirected` to https, or empty: as Enabled.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub http_option: String,
}

impl Spec for IngressSpec {
    const KIND: Kind = Kind::Ingress;
}

/// A certificate for some hosts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressTls {
    /// The hosts it is shown for.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub hosts: Vec<String>,
    /// The Secret that holds it.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub secret_name: String,
    /// The namespace of that Secret.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub secret_namespace: String,
}

/// What is done with the requests for some hosts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressRule {
    /// The hosts, without a port.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub hosts: Vec<String>,
    /// `ExternalIP`, `ClusterLocal`, or empty: as ExternalIP.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub visibility: String,
    /// The paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpIngressRule>,
}

/// The paths of a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpIngressRule {
    /// The first that matches is taken.
    #[serde(default)]
    pub paths: List<HttpIngressPath>,
}

/// Where matching requests go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpIngressPath {
    /// What the path begins with; empty: all.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub path: String,
    /// The Host that the backend sees; empty: the one of the request.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub rewrite_host: String,
    /// All must match.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub headers: BTreeMap<String, HeaderMatch>,
    /// The backends and their shares.
    #[serde(default)]
    pub splits: List<IngressBackendSplit>,
    /// Set before the request goes on.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub append_headers: BTreeMap<String, String>,
}

/// What a header must be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeaderMatch {
    /// The whole value.
    #[serde(default, deserialize_with = "or_default")]
    pub exact: String,
}

/// A backend and its share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressBackendSplit {
    /// The namespace of the Service.
    #[serde(default, deserialize_with = "or_default")]
    pub service_namespace: String,
    /// The name of the Service.
    #[serde(default, deserialize_with = "or_default")]
    pub service_name: String,
    /// The port of the Service, by number or name.
    #[serde(default, deserialize_with = "or_default")]
    pub service_port: IntOrString,
    /// Its share; 0 beside no other backend: all.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub percent: i64,
    /// Set before the request goes to this backend.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub append_headers: BTreeMap<String, String>,
}

/// Where the gateway is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressStatus {
    /// Generation and conditions.
    #[serde(flatten)]
    pub observed: Observed,
    /// For requests from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_load_balancer: Option<LoadBalancerStatus>,
    /// For requests from inside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_load_balancer: Option<LoadBalancerStatus>,
}

/// The addresses of a gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerStatus {
    /// Exactly one is usable.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub ingress: Vec<LoadBalancerIngress>,
}

/// One address of a gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerIngress {
    /// An IP address.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub ip: String,
    /// A name in the public DNS.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub domain: String,
    /// A name in the cluster's DNS.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub domain_internal: String,
    /// Whether it is reached by the Service's own address.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub mesh_only: bool,
}
