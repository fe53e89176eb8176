// SPDX-License-Identifier: Apache-2.0
//! What became of a topic's cases.
//!
//! Invariants: every case counts once, as passed or failed; a case that differs on purpose passes and is counted apart.
//! Depends on: nothing.

use std::ops::AddAssign;

/// How a case ended: `Err` says the first difference.
pub(crate) type Verdict = Result<(), String>;

/// The cases of one topic, or of all.
#[derive(Default)]
pub(crate) struct Report {
    agreed: usize,
    /// Listed, and differing.
    intended: usize,
    /// Accidents of Knative that we do not repeat: name and difference.
    quirks: Vec<(String, String)>,
    /// Name and difference.
    wrong: Vec<(String, String)>,
}

impl Report {
    /// Counts a case; `reason`: why it may differ.
    pub(crate) fn add(&mut self, name: &str, verdict: Verdict, reason: Option<&str>) {
        match (verdict, reason) {
            (Ok(()), None) => self.agreed += 1,
            (Err(_), Some(_)) => self.intended += 1,
            (Ok(()), Some(reason)) => self.fail(name, format!("agrees, but is listed as different: {reason}")),
            (Err(difference), None) => self.fail(name, difference),
        }
    }

    /// Counts a case that shows an accident of Knative, and differs.
    pub(crate) fn add_quirk(&mut self, name: &str, difference: String) {
        self.quirks.push((name.to_owned(), difference));
    }

    /// Counts listed names that stand for no case.
    pub(crate) fn add_stale(&mut self, names: Vec<String>) {
        for name in names {
            self.fail(&name, "listed in differences.txt, but there is no such case".to_owned());
        }
    }

    fn fail(&mut self, name: &str, difference: String) {
        self.wrong.push((name.to_owned(), difference));
    }

    pub(crate) fn passed(&self) -> usize {
        self.agreed + self.intended
    }

    pub(crate) fn failed(&self) -> usize {
        self.wrong.len()
    }

    /// One line, and the first differences.
    pub(crate) fn print(&self, topic: &str, show: usize, shows_quirks: bool) {
        let intended = match self.intended {
            0 => String::new(),
            count => format!(" ({count} of them differ on purpose)"),
        };
        let quirks = match self.quirks.len() {
            0 => String::new(),
            count => format!(", {count} quirks differ"),
        };
        println!(
            "golden {topic}: {} passed, {} failed{quirks}{intended}",
            self.passed(),
            self.failed()
        );
        let quirks = self.quirks.iter().filter(|_| shows_quirks);
        for (name, difference) in self.wrong.iter().take(show).chain(quirks) {
            println!("  {name}");
            for line in difference.lines() {
                println!("    {line}");
            }
        }
        if self.wrong.len() > show {
            println!("  and {} more (--show N)", self.wrong.len() - show);
        }
    }
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.agreed += other.agreed;
        self.intended += other.intended;
        self.quirks.extend(other.quirks);
        self.wrong.extend(other.wrong);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_case_that_agrees_fails() {
        let mut report = Report::default();
        report.add("a", Ok(()), Some("why"));
        report.add("b", Err("x".to_owned()), Some("why"));
        report.add("c", Ok(()), None);
        assert_eq!((report.passed(), report.failed()), (2, 1));
    }
}
