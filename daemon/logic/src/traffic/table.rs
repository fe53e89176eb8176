// SPDX-License-Identifier: Apache-2.0
//! The route table: host, path and headers to a split; one table a listener (public, private).
//!
//! Problem: a gateway serves every route of the cluster, so finding one must cost the same with ten routes and with
//! a hundred thousand, and must not allocate.
//! Mechanism: a hash by host leads to the path rules of that host, which are tried in their listed order; the first whose
//! prefix (literal, not by segment) and conditions all match wins (control-plane spec 5.2, "Matching"). A host with many
//! path rules has an `index` over them. Built once from all rules, never changed: a new state is a new table.
//! Invariants: the answer is that of trying all rules one by one; a host belongs to one owner.
//! Depends on: condition, host, split.

mod index;
mod rule;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use rule::{PathRule, Request, Rule};

use super::host::Host;
use super::split::Split;
use index::Index;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// Below that many path rules a scan is faster than the index.
const SCANNED: usize = 8;

/// Immutable routes of one listener.
#[derive(Debug)]
pub struct Table<D> {
    hosts: HashMap<Box<str>, Paths<D>>,
}

/// A rule, or a host of a rule, that is not in the table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another owner's rule came first.
    #[error("host {host:?} of {owner} belongs to {holder} already")]
    Taken {
        /// The host, normalised.
        host: String,
        /// Whose rule is refused.
        owner: String,
        /// Whose rule holds the host.
        holder: String,
    },
    /// It can be no host: empty, too long or not ASCII.
    #[error("{host:?} of {owner} is no host")]
    NoHost {
        /// The host as it was given.
        host: String,
        /// Whose rule is refused.
        owner: String,
    },
}

#[derive(Debug)]
struct Paths<D> {
    /// In listed order.
    rules: Box<[Arc<PathRule<D>>]>,
    index: Option<Box<Index>>,
}

/// A host while the table is being built.
struct Claim<D> {
    owner: Arc<str>,
    rules: Vec<Arc<PathRule<D>>>,
    /// The last rule that added its paths; a host named twice by one rule counts once.
    last: usize,
}

impl<D> Table<D> {
    /// A table of these rules, and what did not get in. The first owner of a host keeps it; further rules of the same
    /// owner for that host are tried after its earlier ones.
    #[must_use]
    pub fn build(rules: impl IntoIterator<Item = Rule<D>>) -> (Self, Vec<Refused>) {
        let mut claims = HashMap::new();
        let mut refused = Vec::new();
        for (number, rule) in rules.into_iter().enumerate() {
            let owner: Arc<str> = rule.owner.into();
            let paths: Vec<_> = rule.paths.into_iter().map(Arc::new).collect();
            for host in rule.hosts {
                if let Err(reason) = claim(&mut claims, &host, &owner, &paths, number) {
                    refused.push(reason);
                }
            }
        }
        let hosts = claims
            .into_iter()
            .map(|(host, claim)| (host, Paths::new(claim.rules)))
            .collect();
        (Self { hosts }, refused)
    }

    /// The split that this request is to be routed by; none is a 404.
    #[must_use]
    pub fn find(&self, request: &Request<'_>) -> Option<&Split<D>> {
        let host = Host::of(request.host)?;
        let paths = self.hosts.get(host.as_str())?;
        paths.find(request).map(|rule| &rule.split)
    }

    /// Number of hosts.
    #[must_use]
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }
}

fn claim<D>(
    claims: &mut HashMap<Box<str>, Claim<D>>,
    host: &str,
    owner: &Arc<str>,
    paths: &[Arc<PathRule<D>>],
    number: usize,
) -> Result<(), Refused> {
    let Some(name) = Host::of(host) else {
        return Err(Refused::NoHost {
            host: host.to_owned(),
            owner: (**owner).to_owned(),
        });
    };
    match claims.entry(name.as_str().into()) {
        Entry::Vacant(free) => {
            free.insert(Claim {
                owner: Arc::clone(owner),
                rules: paths.to_vec(),
                last: number,
            });
        }
        Entry::Occupied(mut held) if held.get().owner == *owner => {
            let held = held.get_mut();
            if held.last != number {
                held.rules.extend_from_slice(paths);
                held.last = number;
            }
        }
        Entry::Occupied(held) => {
            let holder = (*held.get().owner).to_owned();
            return Err(Refused::Taken {
                host: name.as_str().to_owned(),
                owner: (**owner).to_owned(),
                holder,
            });
        }
    }
    Ok(())
}

impl<D> Paths<D> {
    fn new(rules: Vec<Arc<PathRule<D>>>) -> Self {
        let index = (rules.len() > SCANNED).then(|| Box::new(Index::over(rules.iter().map(|rule| &**rule))));
        Self {
            rules: rules.into(),
            index,
        }
    }

    fn find(&self, request: &Request<'_>) -> Option<&PathRule<D>> {
        let matches = |rule: &&Arc<PathRule<D>>| rule.matches(request);
        match &self.index {
            None => self.rules.iter().find(matches).map(|rule| &**rule),
            Some(index) => {
                let is_match = |place: usize| self.rules.get(place).is_some_and(|rule| rule.matches(request));
                self.rules.get(index.first(request, &is_match)?).map(|rule| &**rule)
            }
        }
    }
}
