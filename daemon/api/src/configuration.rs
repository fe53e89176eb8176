// SPDX-License-Identifier: Apache-2.0
//! Configuration: the template of Revisions; control-plane spec 1.3.
//!
//! Depends on: revision.

pub(crate) mod defaults;
pub mod desired;
pub mod status;
pub(crate) mod validation;

use serde::{Deserialize, Serialize};

use crate::condition::Observed;
use crate::json::{is_empty, or_default};
use crate::kind::Kind;
use crate::object::{Object, Spec};
use crate::revision::RevisionTemplateSpec;

/// The template of Revisions.
pub type Configuration = Object<ConfigurationSpec, ConfigurationStatus>;

/// What Revisions are made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationSpec {
    /// What every Revision is made from.
    #[serde(default, deserialize_with = "or_default")]
    pub template: RevisionTemplateSpec,
}

impl Spec for ConfigurationSpec {
    const KIND: Kind = Kind::Configuration;
}

/// Which Revisions it made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationStatus {
    /// Generation and conditions.
    #[serde(flatten)]
    pub observed: Observed,
    /// The newest Revision that became ready.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub latest_ready_revision_name: String,
    /// The newest Revision.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub latest_created_revision_name: String,
}
