// SPDX-License-Identifier: Apache-2.0
//! ClusterDomainClaim: the namespace that may use the domain of its name; control-plane spec 1.6.
//!
//! Depends on: nothing but serde.

use serde::{Deserialize, Serialize};

use crate::json::or_default;
use crate::kind::Kind;
use crate::object::{NoStatus, Object, Spec};

/// The namespace that may use a domain: the object's name.
pub type ClusterDomainClaim = Object<ClusterDomainClaimSpec, NoStatus>;

/// Who may use the domain.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterDomainClaimSpec {
    /// The namespace that may use it.
    #[serde(default, deserialize_with = "or_default")]
    pub namespace: String,
}

impl Spec for ClusterDomainClaimSpec {
    const KIND: Kind = Kind::ClusterDomainClaim;
}
