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

use super::host::{self, Hashed, Key};
use super::split::Split;
use index::Index;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Below that many path rules a scan is faster than the index.
const SCANNED: usize = 8;

/// Immutable routes of one listener.
#[derive(Debug)]
pub struct Table<D> {
    key: Key,
    /// By the hash of the host; the key is one under which no two hosts have the same.
    hosts: HashMap<u64, Held<D>, Hashed>,
}

#[derive(Debug)]
struct Held<D> {
    /// In lower case.
    host: Box<str>,
    paths: Paths<D>,
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

/// The path rules of one host; most have one, which is found without a further step in memory.
#[derive(Debug)]
enum Paths<D> {
    One(Arc<PathRule<D>>),
    Many(Box<Many<D>>),
}

#[derive(Debug)]
struct Many<D> {
    /// In listed order.
    rules: Vec<Arc<PathRule<D>>>,
    index: Option<Index>,
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
        (Self::of(claims), refused)
    }

    fn of(claims: HashMap<Box<str>, Claim<D>>) -> Self {
        // With 64 bits the first key nearly always does.
        let parts = |key: &Key| claims.keys().map(|host| key.hash(host)).collect::<HashSet<_>>().len() == claims.len();
        let key = std::iter::repeat_with(Key::random)
            .find(parts)
            .unwrap_or_else(Key::random);
        let held = |(host, claim): (Box<str>, Claim<D>)| {
            (
                key.hash(&host),
                Held {
                    host,
                    paths: Paths::new(claim.rules),
                },
            )
        };
        Self {
            hosts: claims.into_iter().map(held).collect(),
            key,
        }
    }

    /// The split that this request is to be routed by; none is a 404.
    #[must_use]
    pub fn find(&self, request: &Request<'_>) -> Option<&Split<D>> {
        let name = host::name(request.host);
        let held = self.hosts.get(&self.key.hash(name))?;
        // Nearly every client sends small letters, and comparing bytes is much quicker.
        if *held.host != *name && !held.host.eq_ignore_ascii_case(name) {
            return None;
        }
        held.paths.find(request).map(|rule| &rule.split)
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
    let Some(name) = host::routable(host) else {
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
                host: name,
                owner: (**owner).to_owned(),
                holder,
            });
        }
    }
    Ok(())
}

impl<D> Paths<D> {
    fn new(mut rules: Vec<Arc<PathRule<D>>>) -> Self {
        if rules.len() == 1
            && let Some(only) = rules.pop()
        {
            return Self::One(only);
        }
        let index = (rules.len() > SCANNED).then(|| Index::over(rules.iter().map(|rule| &**rule)));
        Self::Many(Box::new(Many { rules, index }))
    }

    fn find(&self, request: &Request<'_>) -> Option<&PathRule<D>> {
        match self {
            Self::One(only) => only.matches(request).then_some(only),
            Self::Many(many) => many.find(request),
        }
    }
}

impl<D> Many<D> {
    fn find(&self, request: &Request<'_>) -> Option<&PathRule<D>> {
        let is_match = |place: usize| self.rules.get(place).is_some_and(|rule| rule.matches(request));
        let place = match &self.index {
            None => (0..self.rules.len()).find(|place| is_match(*place)),
            Some(index) => index.first(request, &is_match),
        };
        self.rules.get(place?).map(|rule| &**rule)
    }
}
