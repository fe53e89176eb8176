// SPDX-License-Identifier: Apache-2.0
//! One line of `sluice top`: a server and its figures, ready to be shown.
//!
//! Invariants: what could not be asked is `None`.
//! Depends on: `figures`, kernel (`Hook`).

use kernel::Hook;

use crate::top::figures::Figures;

/// A server at one time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading {
    /// How the user named it, with the port.
    pub(crate) name: String,
    pub(crate) cgroup: String,
    /// The namespace's cookie.
    pub(crate) netns: Option<u64>,
    pub(crate) port: u16,
    /// `exact` or `connections`.
    pub(crate) tier: String,
    pub(crate) figures: Figures,
    /// Connections without state: older than the attachment.
    pub(crate) unaccounted: Option<u64>,
    pub(crate) is_listening: Option<bool>,
    /// Whether its cgroup is still there.
    pub(crate) is_there: bool,
    /// Places from which the programs that count it are gone.
    pub(crate) lost: Option<Vec<Hook>>,
    /// Whether another `sluice` counts.
    pub(crate) is_read_only: bool,
}
