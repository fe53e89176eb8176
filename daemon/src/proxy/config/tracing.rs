// SPDX-License-Identifier: Apache-2.0
//! What is traced.
//!
//! Depends on: serde.

use serde::Deserialize;

/// The section.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::proxy) struct Tracing {
    /// Of the requests whose clients do not say; 0 to 1.
    #[serde(default)]
    pub(in crate::proxy) sampling_rate: f64,
    /// Spans that are kept until they are fetched.
    #[serde(default = "ten_thousand")]
    pub(in crate::proxy) keep: usize,
}

fn ten_thousand() -> usize {
    10_000
}
