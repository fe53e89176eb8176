// SPDX-License-Identifier: Apache-2.0
//! On whose behalf, on which occasion and under which settings an object is looked at.
//!
//! Depends on: logic (settings).

use logic::settings::{Autoscaler, Defaults, Features};

use crate::names::product;

/// The ConfigMaps that defaulting and validation read (control-plane spec 2.1).
#[derive(Clone, Debug)]
pub struct Settings {
    /// config-defaults.
    pub defaults: Defaults,
    /// config-features.
    pub features: Features,
    /// config-autoscaler.
    pub autoscaler: Autoscaler,
    /// The DNS domain of the cluster.
    pub cluster_domain: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            defaults: Defaults::default(),
            features: Features::default(),
            autoscaler: Autoscaler::default(),
            cluster_domain: product::CLUSTER_DOMAIN.to_owned(),
        }
    }
}

/// Why an object is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion<'a> {
    /// A user creates it.
    Create {
        /// Who.
        user: &'a str,
    },
    /// A user changes it.
    Update {
        /// Who.
        user: &'a str,
        /// Only its status can change.
        of_status: bool,
    },
    /// A controller fills in what is absent before it acts; nobody asked.
    Reconcile,
}

/// The circumstances.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The settings of the moment.
    pub settings: &'a Settings,
    /// The occasion.
    pub occasion: Occasion<'a>,
}

impl Context<'_> {
    /// Whether the object is new.
    #[must_use]
    pub fn is_create(&self) -> bool {
        matches!(self.occasion, Occasion::Create { .. })
    }

    /// Whether only the status can change.
    #[must_use]
    pub fn is_status_update(&self) -> bool {
        matches!(self.occasion, Occasion::Update { of_status: true, .. })
    }
}
