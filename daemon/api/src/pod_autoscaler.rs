// SPDX-License-Identifier: Apache-2.0
//! PodAutoscaler: the scaling of one Revision; control-plane spec 1.5.
//!
//! Depends on: k8s-openapi.

mod defaults;
pub mod desired;
pub mod status;
mod validation;

use k8s_openapi::api::core::v1::ObjectReference;
use serde::{Deserialize, Serialize};

use crate::condition::Observed;
use crate::json::{is_empty, or_default};
use crate::kind::Kind;
use crate::object::{Object, Spec};

/// The scaling of one Revision.
pub type PodAutoscaler = Object<PodAutoscalerSpec, PodAutoscalerStatus>;

/// What is scaled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodAutoscalerSpec {
    /// Requests at once in one pod; 0: no limit.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub container_concurrency: i64,
    /// The Deployment that is scaled.
    #[serde(default, deserialize_with = "or_default")]
    pub scale_target_ref: ObjectReference,
    /// `Reachable`, `Unreachable`, or empty: not known.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub reachability: String,
    /// `http1` or `h2c`.
    #[serde(default, deserialize_with = "or_default")]
    pub protocol_type: String,
}

impl Spec for PodAutoscalerSpec {
    const KIND: Kind = Kind::PodAutoscaler;
}

/// How it is scaled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodAutoscalerStatus {
    /// Generation and conditions.
    #[serde(flatten)]
    pub observed: Observed,
    /// The Service in front of its pods or of the activators; written even when empty.
    #[serde(default, deserialize_with = "or_default")]
    pub service_name: String,
    /// The Service in front of its pods; written even when empty.
    #[serde(default, deserialize_with = "or_default")]
    pub metrics_service_name: String,
    /// Pods that are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_scale: Option<i32>,
    /// Pods that are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual_scale: Option<i32>,
}
