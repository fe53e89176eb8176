// SPDX-License-Identifier: Apache-2.0
//! Which bucket owns a revision's autoscaling (data-plane spec 1.16).
//!
//! Mechanism: one Lease a bucket; the owner is the one bucket that the consistent choice picks for the revision.
//! Invariants: names and choice are Knative's, so that both find the same owner.
//! Depends on: limiter (its `subset`).

use crate::limiter::subset::choose_subset;

/// The most buckets there may be: `buckets` of config-leader-election.
pub const MOST: u8 = 10;

/// The buckets of one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets {
    names: Vec<String>,
}

impl Buckets {
    /// So many buckets, at least one and at most [`MOST`].
    pub fn new(count: u8) -> Self {
        let count = count.clamp(1, MOST);
        let names = (0..count).map(|ordinal| format!("autoscaler-bucket-{ordinal:02}-of-{count:02}"));
        Self { names: names.collect() }
    }

    /// The names of their Leases.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The bucket that owns a revision.
    pub fn owner(&self, namespace: &str, revision: &str) -> String {
        let mut chosen = choose_subset(&self.names, 1, &format!("{namespace}/{revision}"));
        chosen.pop().unwrap_or_default()
    }
}

/// Pod name and address of a Lease's holder, written `<pod>_<address>`.
pub fn holder(identity: &str) -> Option<(&str, &str)> {
    identity
        .split_once('_')
        .filter(|(pod, address)| !pod.is_empty() && !address.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_knatives() {
        let buckets = Buckets::new(3);
        assert_eq!(buckets.owner("default", "hello-00001"), "autoscaler-bucket-00-of-03");
        assert_eq!(buckets.owner("default", "world-00007"), "autoscaler-bucket-02-of-03");
    }

    #[test]
    fn there_is_at_least_one_bucket_and_at_most_ten() {
        assert_eq!(Buckets::new(0).names(), ["autoscaler-bucket-00-of-01"]);
        assert_eq!(Buckets::new(99).names().len(), 10);
    }

    #[test]
    fn a_holder_is_split_at_the_first_underscore() {
        assert_eq!(holder("autoscaler-0_10.0.0.7"), Some(("autoscaler-0", "10.0.0.7")));
        assert_eq!(holder("autoscaler-0"), None);
        assert_eq!(holder("_10.0.0.7"), None);
    }
}
