// SPDX-License-Identifier: Apache-2.0
//! `differences.txt`: the cases in which Sluice differs on purpose.
//!
//! Invariants: one line a case, `topic case-name: reason`; a line without a reason is refused. A name may have `: ` in it.
//! Depends on: nothing.

use crate::data::Case;
use anyhow::{Context, Result};

const LIST: &str = include_str!("../differences.txt");

/// What may differ, and why.
pub(crate) struct Differences {
    /// Topic, and `case-name: reason`.
    lines: Vec<(String, String)>,
}

impl Differences {
    /// The list as it stands in the repository.
    pub(crate) fn listed() -> Result<Self> {
        Self::parse(LIST)
    }

    fn parse(text: &str) -> Result<Self> {
        let lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
            .map(|(index, line)| entry(line).with_context(|| format!("differences.txt:{}", index + 1)))
            .collect::<Result<_>>()?;
        Ok(Self { lines })
    }

    /// Why this case may differ, if it may.
    pub(crate) fn reason(&self, topic: &str, case: &str) -> Option<&str> {
        let of_topic = self.lines.iter().filter(|(listed, _)| listed == topic);
        of_topic.filter_map(|(_, line)| reason_of(line, case)).next()
    }

    /// Names listed for `topic` that none of its cases has.
    pub(crate) fn unknown(&self, topic: &str, cases: &[Case]) -> Vec<String> {
        self.lines
            .iter()
            .filter(|(listed, _)| listed == topic)
            .filter(|(_, line)| cases.iter().all(|case| reason_of(line, &case.name).is_none()))
            .map(|(_, line)| line.clone())
            .collect()
    }
}

fn reason_of<'a>(line: &'a str, case: &str) -> Option<&'a str> {
    line.strip_prefix(case)?.strip_prefix(": ")
}

fn entry(line: &str) -> Result<(String, String)> {
    let (topic, rest) = line.split_once(' ').context("expected `topic case-name: reason`")?;
    rest.split_once(": ").context("expected `topic case-name: reason`")?;
    Ok((topic.to_owned(), rest.trim().to_owned()))
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
        assert_eq!(list.unknown("throttle", &[]), ["breaker/one: we know better"]);
        assert_eq!(list.reason("throttle", "breaker/one"), Some("we know better"));
    }
}
