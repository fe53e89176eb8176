// SPDX-License-Identifier: Apache-2.0
//! config-leader-election: leases and buckets (data-plane spec 6).
//!
//! Depends on: go, table.

use super::problem::Problems;
use super::table::{self, Check, Data, Key, Reader, Reading, check, key, old};
use crate::go::span::Span;
use std::collections::BTreeMap;

/// The settings of config-leader-election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderElection {
    /// Into how many parts the work is divided.
    pub buckets: u32,
    /// How long a lease holds without being renewed.
    pub lease_duration: Span,
    /// How long a leader tries to renew before it gives up.
    pub renew_deadline: Span,
    /// How long to wait between two tries.
    pub retry_period: Span,
    /// Other prefixes of lease names, by component and reconciler.
    pub lease_prefixes: BTreeMap<String, String>,
}

/// The most buckets.
const BUCKETS_MAX: u32 = 10;
/// What the keys of `lease_prefixes` start with.
const PREFIX: &str = "map-lease-prefix";

impl Default for LeaderElection {
    fn default() -> Self {
        Self {
            buckets: 1,
            lease_duration: Span::from_secs(60),
            renew_deadline: Span::from_secs(40),
            retry_period: Span::from_secs(10),
            lease_prefixes: BTreeMap::new(),
        }
    }
}

impl LeaderElection {
    /// Reads the map.
    ///
    /// # Errors
    /// Every problem of it.
    pub fn parse(data: &Data) -> Result<Self, Problems> {
        let mut settings = Self {
            lease_prefixes: prefixes(data),
            ..Self::default()
        };
        let mut reading = Reading::of(data);
        reading.read(KEYS, &mut settings);
        reading.check(CHECKS, &settings);
        reading.finish(settings)
    }

    /// The keys with a fixed name, in their current spelling.
    #[must_use]
    pub fn keys() -> Vec<&'static str> {
        table::names(KEYS).collect()
    }

    /// Whether the map has such a key.
    #[must_use]
    pub fn knows(key: &str) -> bool {
        table::knows(KEYS, key) || prefixed(key).is_some()
    }
}

const KEYS: &[Key<LeaderElection>] = &[
    old(
        "leaseDuration",
        "lease-duration",
        Reader::Span(|s| &mut s.lease_duration),
    ),
    old(
        "renewDeadline",
        "renew-deadline",
        Reader::Span(|s| &mut s.renew_deadline),
    ),
    old("retryPeriod", "retry-period", Reader::Span(|s| &mut s.retry_period)),
    key("lease-duration", Reader::Span(|s| &mut s.lease_duration)),
    key("renew-deadline", Reader::Span(|s| &mut s.renew_deadline)),
    key("retry-period", Reader::Span(|s| &mut s.retry_period)),
    key("buckets", Reader::Uint32(|s| &mut s.buckets)),
];

const CHECKS: &[Check<LeaderElection>] = &[check(&["buckets"], |s| {
    let value = s.buckets;
    (!(1..=BUCKETS_MAX).contains(&value))
        .then(|| format!("buckets: value must be between 1 <= {value} <= {BUCKETS_MAX}"))
})];

fn prefixes(data: &Data) -> BTreeMap<String, String> {
    data.iter()
        .filter_map(|(key, value)| Some((prefixed(key)?.to_owned(), value.clone())))
        .collect()
}

/// What follows the prefix and one character more, which nobody looks at.
fn prefixed(key: &str) -> Option<&str> {
    let mut rest = key.strip_prefix(PREFIX)?.chars();
    rest.next()?;
    Some(rest.as_str()).filter(|name| !name.is_empty())
}
