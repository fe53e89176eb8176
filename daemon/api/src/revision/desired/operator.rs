// SPDX-License-Identifier: Apache-2.0
//! What the operator's ConfigMaps have to say about pods.
//!
//! Depends on: logic's settings.

use logic::settings;

/// The operator's settings that a Deployment depends on.
#[derive(Clone, Copy, Debug)]
pub struct Operator<'a> {
    /// Initial scale.
    pub autoscaler: &'a settings::Autoscaler,
    /// Service links.
    pub defaults: &'a settings::Defaults,
    /// Progress deadline, affinity, runtime classes.
    pub deployment: &'a settings::Deployment,
    /// Probes of several containers.
    pub features: &'a settings::Features,
    /// Collection of `/var/log`.
    pub observability: &'a settings::Observability,
}
