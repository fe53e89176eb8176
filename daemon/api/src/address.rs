// SPDX-License-Identifier: Apache-2.0
//! Where something can be reached: control-plane spec 1.2.
//!
//! Depends on: serde.

use serde::{Deserialize, Serialize};

/// What can be addressed by a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addressable {
    /// Which address, when there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The URL as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Who signs its certificate, in PEM.
    #[serde(rename = "CACerts", default, skip_serializing_if = "Option::is_none")]
    pub ca_certs: Option<String>,
    /// Whom its tokens must name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}
