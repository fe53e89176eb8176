// SPDX-License-Identifier: Apache-2.0
//! `differences.txt`: the cases in which Sluice differs on purpose.
//!
//! Invariants: one line a case, `topic case-name: reason`; a line without a reason is refused.
//! Depends on: nothing.

use crate::data::Case;
use anyhow::{Context, Result};
use std::collections::BTreeMap;

const LIST: &str = include_str!("../differences.txt");

/// What may differ, and why.
pub(crate) struct Differences {
    /// By topic and case.
    reasons: BTreeMap<(String, String), String>,
}

impl Differences {
    /// The list as it stands in the repository.
    pub(crate) fn listed() -> Result<Self> {
        Self::parse(LIST)
    }

    fn parse(text: &str) -> Result<Self> {
        let reasons = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
            .map(|(index, line)| entry(line).with_context(|| format!("differences.txt:{}", index + 1)))
            .collect::<Result<_>>()?;
        Ok(Self { reasons })
    }

    /// Why this case may differ, if it may.
    pub(crate) fn reason(&self, topic: &str, case: &str) -> Option<&str> {
        self.reasons
            .get(&(topic.to_owned(), case.to_owned()))
            .map(String::as_str)
    }

    /// Names listed for `topic` that none of its cases has.
    pub(crate) fn unknown(&self, topic: &str, cases: &[Case]) -> Vec<String> {
        self.reasons
            .keys()
            .filter(|(listed, _)| listed == topic)
            .filter(|(_, name)| cases.iter().all(|case| case.name != *name))
            .map(|(_, name)| name.clone())
            .collect()
    }
}

fn entry(line: &str) -> Result<((String, String), String)> {
    let (key, reason) = line.split_once(": ").context("expected `topic case-name: reason`")?;
    let (topic, case) = key.split_once(' ').context("expected `topic case-name: reason`")?;
    Ok(((topic.to_owned(), case.trim().to_owned()), reason.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_a_reason_is_refused() {
        assert!(Differences::parse("throttle breaker/one").is_err());
    }

    #[test]
    fn a_listed_case_that_no_file_has_is_found() {
        let list = Differences::parse("# why\n\nthrottle breaker/one: we know better\n").unwrap();
        assert_eq!(list.unknown("throttle", &[]), ["breaker/one"]);
        assert_eq!(list.reason("throttle", "breaker/one"), Some("we know better"));
    }
}
