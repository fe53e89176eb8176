// SPDX-License-Identifier: Apache-2.0
//! How far the gateways have what an Ingress asks for.
//!
//! Depends on: routes (its problems).

use super::routes::Problem;

/// How an Ingress stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The UID of the object.
    pub uid: String,
    /// The generation that was translated.
    pub generation: i64,
    /// The first version of the programme with all that this generation asks for.
    pub version: u64,
    /// What is not served, and why.
    pub problems: Vec<Problem>,
}
