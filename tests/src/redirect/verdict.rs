// SPDX-License-Identifier: Apache-2.0
//! Who may have answered a connection that began and stood at known times.
//!
//! Problem: "no connect() that began after the acknowledgement reaches the old side" must be judged connection by
//! connection.
//! Mechanism: a change takes effect somewhere between the call's begin and its return. A connection may meet what
//! held when it began, and every change whose call overlaps it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use kernel::monotonic;

use super::dial::Attempt;

/// What held when.
#[derive(Clone, Debug, Default)]
pub struct Epochs(Vec<Epoch>);

#[derive(Clone, Debug)]
struct Epoch {
    called: u64,
    returned: u64,
    allowed: BTreeSet<String>,
}

/// A storm that was judged.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// Connections.
    pub all: usize,
    /// Of these, such as only one epoch could answer: the others prove nothing about order.
    pub strict: usize,
    /// By who answered.
    pub by_name: BTreeMap<String, usize>,
}

impl Judged {
    /// Adds another storm.
    pub fn add(&mut self, other: Self) {
        self.all += other.all;
        self.strict += other.strict;
        for (name, count) in other.by_name {
            *self.by_name.entry(name).or_default() += count;
        }
    }
}

impl Epochs {
    /// Before the storm began.
    pub fn starting_with(allowed: &[&str]) -> Self {
        let mut epochs = Self::default();
        epochs.push(0, 0, allowed);
        epochs
    }

    /// A change, and who may answer from then on.
    pub fn change(&mut self, allowed: &[&str], change: impl FnOnce() -> Result<()>) -> Result<()> {
        let called = monotonic();
        change()?;
        self.push(called, monotonic(), allowed);
        Ok(())
    }

    /// How many changes.
    pub fn changes(&self) -> usize {
        self.0.len() - 1
    }

    fn push(&mut self, called: u64, returned: u64, allowed: &[&str]) {
        let allowed = allowed.iter().map(|name| (*name).to_owned()).collect();
        self.0.push(Epoch {
            called,
            returned,
            allowed,
        });
    }

    /// Every connection was answered, and by somebody who was allowed to.
    pub fn judge(&self, attempts: &[Attempt]) -> Result<Judged> {
        let mut judged = Judged::default();
        for attempt in attempts {
            let last = self
                .0
                .partition_point(|epoch| epoch.returned <= attempt.began)
                .saturating_sub(1);
            let end = self.0.partition_point(|epoch| epoch.called <= attempt.connected);
            let possible = &self.0[last..end.max(last + 1)];
            let allowed = possible.iter().any(|epoch| epoch.allowed.contains(&attempt.answer));
            ensure!(
                allowed,
                "a connection begun at {} and standing at {} was answered by {:?}; then held: {possible:?}",
                attempt.began,
                attempt.connected,
                attempt.answer
            );
            judged.all += 1;
            judged.strict += usize::from(possible.len() == 1);
            *judged.by_name.entry(attempt.answer.clone()).or_default() += 1;
        }
        Ok(judged)
    }
}
