// SPDX-License-Identifier: Apache-2.0
//! config-tracing: nothing; its keys are in config-observability now (data-plane spec 6).
//!
//! Depends on: table.

use super::problem::Problems;
use super::table::Data;

/// The settings of config-tracing: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegacyTracing;

impl LegacyTracing {
    /// Reads nothing.
    ///
    /// # Errors
    /// None.
    pub fn parse(_: &Data) -> Result<Self, Problems> {
        Ok(Self)
    }

    /// The keys with a fixed name, in their current spelling.
    #[must_use]
    pub fn keys() -> Vec<&'static str> {
        Vec::new()
    }

    /// Whether the map has such a key: never.
    #[must_use]
    pub fn knows(_key: &str) -> bool {
        false
    }
}
