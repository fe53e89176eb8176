// SPDX-License-Identifier: Apache-2.0
//! Service: a template and its traffic in one object; control-plane spec 1.3.
//!
//! Depends on: configuration, revision, route.

mod defaults;
pub mod desired;
pub mod status;
mod validation;

use serde::{Deserialize, Serialize};

use crate::address::Addressable;
use crate::condition::Observed;
use crate::json::{is_empty, or_default};
use crate::kind::Kind;
use crate::object::{Object, Spec};
use crate::revision::RevisionTemplateSpec;
use crate::route::TrafficTarget;

/// What users write.
pub type Service = Object<ServiceSpec, ServiceStatus>;

/// A Configuration's and a Route's spec in one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSpec {
    /// What every Revision is made from.
    #[serde(default, deserialize_with = "or_default")]
    pub template: RevisionTemplateSpec,
    /// Who gets which share.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub traffic: Vec<TrafficTarget>,
}

impl Spec for ServiceSpec {
    const KIND: Kind = Kind::Service;
}

/// The state of the Configuration and the Route together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Generation and conditions.
    #[serde(flatten)]
    pub observed: Observed,
    /// The newest Revision that became ready.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub latest_ready_revision_name: String,
    /// The newest Revision.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub latest_created_revision_name: String,
    /// Where it can be reached from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Where it can be reached from inside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Addressable>,
    /// Where the traffic goes now.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub traffic: Vec<TrafficTarget>,
}
