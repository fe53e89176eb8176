// SPDX-License-Identifier: Apache-2.0
//! Route: which Revisions serve which share of the traffic; control-plane spec 1.3.
//!
//! Depends on: address.

pub mod action;
pub mod certificates;
pub(crate) mod defaults;
pub mod effective;
#[cfg(test)]
mod fixture;
pub mod naming;
pub mod placeholder;
pub mod programme;
pub mod reconcile;
pub mod status;
pub mod targets;
pub(crate) mod validation;

use serde::{Deserialize, Serialize};

use crate::address::Addressable;
use crate::condition::Observed;
use crate::json::{is_empty, or_default};
use crate::kind::Kind;
use crate::object::{Object, Spec};

/// Which Revisions serve which share of the traffic.
pub type Route = Object<RouteSpec, RouteStatus>;

/// How the traffic shall be shared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteSpec {
    /// Who gets which share.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub traffic: Vec<TrafficTarget>,
}

impl Spec for RouteSpec {
    const KIND: Kind = Kind::Route;
}

/// One share of the traffic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficTarget {
    /// A name of its own in front of the host.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub tag: String,
    /// The Revision that is pinned.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub revision_name: String,
    /// The Configuration whose latest ready Revision is followed.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub configuration_name: String,
    /// Whether the latest ready Revision is followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_revision: Option<bool>,
    /// Its share of the requests without a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<i64>,
    /// Where the tag can be reached; only in a status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// How the traffic is shared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteStatus {
    /// Generation and conditions.
    #[serde(flatten)]
    pub observed: Observed,
    /// Where it can be reached from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Where it can be reached from inside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Addressable>,
    /// Where the traffic goes now, by name of Revision.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub traffic: Vec<TrafficTarget>,
}
