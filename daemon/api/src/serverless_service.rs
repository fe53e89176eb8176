// SPDX-License-Identifier: Apache-2.0
//! ServerlessService: the Services of one Revision; control-plane spec 1.6.
//!
//! Depends on: k8s-openapi.

pub mod desired;
pub mod status;
mod validation;

use k8s_openapi::api::core::v1::ObjectReference;
use serde::{Deserialize, Serialize};

use crate::condition::Observed;
use crate::json::{is_empty, or_default};
use crate::kind::Kind;
use crate::object::{Object, Spec};

/// The Services of one Revision.
pub type ServerlessService = Object<ServerlessServiceSpec, ServerlessServiceStatus>;

/// Who is behind the public Service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerlessServiceSpec {
    /// `Serve`: the pods; `Proxy`: the activators.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub mode: String,
    /// The Deployment whose pods serve.
    #[serde(default, deserialize_with = "or_default")]
    pub object_ref: ObjectReference,
    /// `http1` or `h2c`.
    #[serde(default, deserialize_with = "or_default")]
    pub protocol_type: String,
    /// How many activators; 0: all.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub num_activators: i32,
}

impl Spec for ServerlessServiceSpec {
    const KIND: Kind = Kind::ServerlessService;
}

/// The names of the Services.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerlessServiceStatus {
    /// Generation and conditions.
    #[serde(flatten)]
    pub observed: Observed,
    /// The public Service.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub service_name: String,
    /// The private Service.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub private_service_name: String,
}
