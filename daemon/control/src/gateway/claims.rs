// SPDX-License-Identifier: Apache-2.0
//! Which Ingress has which host.
//!
//! Problem: two Ingresses may name one host, and gateways must agree on whose it is, in whatever order they heard of them.
//! Mechanism: the oldest claim holds, by time of creation, then by name.
//! Invariants: a change names everybody whose holdings it changed.
//! Depends on: key.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::key::Key;

/// A claim: when the Ingress was made, in nanoseconds of Unix time, and which it is.
type Claim = (i128, Key);

/// Who claims what.
#[derive(Debug, Default)]
pub(super) struct Claims {
    by_host: HashMap<String, BTreeSet<Claim>>,
    by_owner: BTreeMap<Key, (i128, BTreeSet<String>)>,
}

impl Claims {
    /// An Ingress made at that time claims these hosts and no others; the hosts that have another holder now, with the
    /// holder before.
    pub(super) fn set(&mut self, owner: &Key, created: i128, hosts: BTreeSet<String>) -> Vec<(String, Option<Key>)> {
        let (was_created, had) = self.by_owner.remove(owner).unwrap_or_default();
        let concerned: BTreeSet<String> = had.union(&hosts).cloned().collect();
        let before: Vec<_> = concerned.iter().map(|host| self.holder(host).cloned()).collect();
        for host in &had {
            if let Some(claims) = self.by_host.get_mut(host) {
                claims.remove(&(was_created, owner.clone()));
                if claims.is_empty() {
                    self.by_host.remove(host);
                }
            }
        }
        for host in &hosts {
            let claims = self.by_host.entry(host.clone()).or_default();
            claims.insert((created, owner.clone()));
        }
        if !hosts.is_empty() {
            self.by_owner.insert(owner.clone(), (created, hosts));
        }
        let moved = concerned.into_iter().zip(before);
        moved
            .filter(|(host, before)| self.holder(host) != before.as_ref())
            .collect()
    }

    /// Whose host it is.
    pub(super) fn holder(&self, host: &str) -> Option<&Key> {
        self.by_host.get(host)?.first().map(|(_, owner)| owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new("default", name)
    }

    fn hosts(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_oldest_claim_holds_in_whatever_order_they_came() {
        let mut claims = Claims::default();
        claims.set(&key("young"), 2, hosts(&["a", "b"]));
        let moved = claims.set(&key("old"), 1, hosts(&["a"]));
        assert_eq!(moved, [("a".to_owned(), Some(key("young")))]);
        assert_eq!(claims.holder("a"), Some(&key("old")));
        assert_eq!(claims.holder("b"), Some(&key("young")));
    }

    #[test]
    fn a_host_that_is_given_up_goes_to_the_next() {
        let mut claims = Claims::default();
        claims.set(&key("old"), 1, hosts(&["a"]));
        assert_eq!(claims.set(&key("young"), 2, hosts(&["a"])), []);
        let moved = claims.set(&key("old"), 1, hosts(&[]));
        assert_eq!(moved, [("a".to_owned(), Some(key("old")))]);
        assert_eq!(claims.holder("a"), Some(&key("young")));
        claims.set(&key("young"), 2, hosts(&[]));
        assert_eq!(claims.holder("a"), None);
    }
}
