// SPDX-License-Identifier: Apache-2.0
//! Image: an image that is worth having on every node; control-plane spec 1.7.
//!
//! Depends on: k8s-openapi.

use k8s_openapi::api::core::v1::LocalObjectReference;
use serde::{Deserialize, Serialize};

use crate::condition::Observed;
use crate::json::{is_empty, or_default};
use crate::kind::Kind;
use crate::object::{Object, Spec};

/// An image that is worth having on every node.
pub type Image = Object<ImageSpec, ImageStatus>;

/// Which image, and how it is fetched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageSpec {
    /// The image, by digest where one is known.
    #[serde(default, deserialize_with = "or_default")]
    pub image: String,
    /// Whose pull secrets are used.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub service_account_name: String,
    /// The pull secrets.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
}

impl Spec for ImageSpec {
    const KIND: Kind = Kind::Image;
}

/// Nobody here reads it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageStatus {
    /// Generation and conditions.
    #[serde(flatten)]
    pub observed: Observed,
}
