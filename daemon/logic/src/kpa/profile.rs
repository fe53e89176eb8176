// SPDX-License-Identifier: Apache-2.0
//! Sets of settings with a name, to be compared (`sluice simulate --compare profile=default,articles`).
//!
//! Problem: articles about Knative quote other defaults than it has, and people tune by them.
//! Mechanism: the defaults, and the defaults with the figures of the articles.
//! Depends on: config.

use crate::kpa::config::Config;
use std::time::Duration;

/// A set of settings with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// What Knative does when nothing is set.
    #[default]
    Knative,
    /// What articles say it does: slower up, much slower down.
    Articles,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 2] = [Self::Knative, Self::Articles];

    /// What a person calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Knative => "default",
            Self::Articles => "articles",
        }
    }

    /// The profile of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// Its settings.
    pub fn config(self) -> Config {
        match self {
            Self::Knative => Config::default(),
            Self::Articles => Config {
                scale_down_delay: Duration::from_secs(300),
                target_burst_capacity: 200.0,
                max_scale_up_rate: 10.0,
                ..Config::default()
            },
        }
    }
}
