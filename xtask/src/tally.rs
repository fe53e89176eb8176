// SPDX-License-Identifier: Apache-2.0
//! Counting what the runners say they ran.
//!
//! Mechanism: libtest and libtest-mimic end each binary with `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
//! Invariants: only such lines count; a line that is one but cannot be read is no line at all, and the caller's exit
//! status decides. What they say of failures is kept, bounded, so that it can be said again at the end of a long run.
//! Depends on: process.

use crate::process;
use std::fmt;
use std::iter::Sum;
use std::process::Command;
use std::time::Duration;

/// Numbers of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Ran and were right.
    pub(crate) passed: usize,
    /// Ran and were wrong, or could not run where they must.
    pub(crate) failed: usize,
    /// Did not run.
    pub(crate) skipped: usize,
}

/// What became of a suite that was not in error.
pub(crate) enum Outcome {
    /// It ran; the tally says how it went.
    Ran(Tally),
    /// It did not run, because of this.
    Skipped(String),
}

impl Tally {
    /// One thing that was right.
    pub(crate) const PASSED: Self = Self {
        passed: 1,
        failed: 0,
        skipped: 0,
    };
    /// One thing that was wrong.
    pub(crate) const FAILED: Self = Self {
        passed: 0,
        failed: 1,
        skipped: 0,
    };
    /// One thing that did not run.
    pub(crate) const SKIPPED: Self = Self {
        passed: 0,
        failed: 0,
        skipped: 1,
    };

    /// Adds what a line says, if it is a runner's result line.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(found) = result_line(line) {
            *self = *self + found;
        }
    }
}

impl Tally {
    /// What a line says that is printed as a tally is.
    pub(crate) fn told(line: &str) -> Option<Self> {
        own_line(line)
    }

    /// Adds what a line says about one case, so that a runner can be cut off before its result line; `xtask` itself is
    /// read by its last line.
    pub(crate) fn read_case(&mut self, line: &str) {
        let verdict = line.strip_prefix("test ").and_then(|case| case.rsplit_once("... "));
        let found = match verdict.map(|(_, verdict)| verdict.trim()) {
            Some("ok") => Some(Self::PASSED),
            Some("FAILED") => Some(Self::FAILED),
            Some(verdict) if verdict.starts_with("ignored") => Some(Self::SKIPPED),
            _ => own_line(line),
        };
        *self = *self + found.unwrap_or_default();
    }
}

/// What no run of tests takes on any machine; one that hangs must not cost the verdict of all others.
pub(crate) const LIMIT: Duration = Duration::from_secs(12 * 60);

/// Runs tests and sums what they say; a runner that fails without a failed test, or does not end, is one failure.
pub(crate) fn counted(command: &mut Command, failures: &mut Failures) -> Tally {
    let mut tally = Tally::default();
    let each = |line: &str| {
        tally.read(line);
        failures.read(line);
    };
    let said = match process::follow_from_first(LIMIT, command, each) {
        Ok(status) if status.success() || tally.failed > 0 => return tally,
        Ok(status) => format!("{} ended with {status}", process::name(command)),
        Err(error) => format!("{error:#}"),
    };
    eprintln!("{said}");
    failures.lines.push(said);
    tally + Tally::FAILED
}

/// What runners say between `failures:` and their result line: which cases failed, and why.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    lines: Vec<String>,
    is_inside: bool,
    of_case: usize,
}

impl Failures {
    /// How many lines of one case are kept: what it says comes first, its stack after.
    const OF_CASE: usize = 16;
    /// How many lines are kept in all.
    const IN_ALL: usize = 200;

    /// Looks at the next line of a runner.
    fn read(&mut self, line: &str) {
        let begins = line == "failures:";
        self.is_inside = begins || self.is_inside && result_line(line).is_none();
        if begins || line.starts_with("---- ") {
            self.of_case = 0;
        }
        if self.is_inside && !begins && !line.trim().is_empty() {
            self.of_case += 1;
            if self.of_case <= Self::OF_CASE && self.lines.len() < Self::IN_ALL {
                self.lines.push(line.to_owned());
            }
        }
    }

    /// The lines that were kept.
    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines
    }
}

impl std::ops::Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |sum, one| sum + one)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

fn result_line(line: &str) -> Option<Tally> {
    let (verdict, counts) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
    // A terminal gets the verdict in colour.
    if !(verdict.contains("ok") || verdict.contains("FAILED")) {
        return None;
    }
    let count = |what: &str| {
        counts
            .split("; ")
            .find_map(|part| part.strip_suffix(what)?.trim().parse().ok())
    };
    Some(Tally {
        passed: count("passed")?,
        failed: count("failed")?,
        skipped: count("ignored")?,
    })
}

/// How a tally is printed.
fn own_line(line: &str) -> Option<Tally> {
    let mut counts = line.split(", ").map(|part| part.split_once(' '));
    let mut next = |what: &str| match counts.next() {
        Some(Some((count, name))) if name == what => count.parse().ok(),
        _ => None,
    };
    Some(Tally {
        passed: next("passed")?,
        failed: next("failed")?,
        skipped: next("skipped").unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(text: &str) -> Tally {
        let mut tally = Tally::default();
        text.lines().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn result_lines_of_all_binaries_are_summed() {
        let text = "running 3 tests\n\
            test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            test a ... FAILED\n\
            test result: FAILED. 10 passed; 2 failed; 1 ignored; 0 measured; 4 filtered out; finished in 3.21s\n";
        assert_eq!(
            tally(text),
            Tally {
                passed: 13,
                failed: 2,
                skipped: 1
            }
        );
    }

    #[test]
    fn the_line_of_libtest_mimic_is_read_too() {
        let text = "test result: ok. 7 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 1.5s";
        assert_eq!(
            tally(text),
            Tally {
                passed: 7,
                failed: 0,
                skipped: 2
            }
        );
    }

    #[test]
    fn a_verdict_in_colour_is_read() {
        let text = "test result: \u{1b}[32mok\u{1b}[0m. 1 passed; 0 failed; 0 ignored; 0 measured";
        assert_eq!(tally(text), Tally::PASSED);
    }

    #[test]
    fn other_lines_do_not_count() {
        assert_eq!(
            tally("test result\n3 passed; 0 failed\ntest result: ok. many passed\n"),
            Tally::default()
        );
    }

    #[test]
    fn the_last_line_names_skipped_only_if_there_are_any() {
        assert_eq!(
            Tally {
                passed: 3,
                failed: 0,
                skipped: 0
            }
            .to_string(),
            "3 passed, 0 failed"
        );
        assert_eq!(
            Tally {
                passed: 3,
                failed: 1,
                skipped: 2
            }
            .to_string(),
            "3 passed, 1 failed, 2 skipped"
        );
    }

    #[test]
    fn cases_are_counted_one_by_one() {
        let text = "running 3 tests\n\
            test a::b        ... ok\n\
            test a::c ... FAILED\n\
            test d ... ignored, for a reason\n\
            test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured\n";
        let mut tally = Tally::default();
        text.lines().for_each(|line| tally.read_case(line));
        assert_eq!(tally.to_string(), "1 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn what_is_said_of_failures_is_kept_and_nothing_else() {
        let stack = (0..40).map(|number| format!("{number}: frame\n")).collect::<String>();
        let text = format!(
            "running 2 tests\ntest a ... FAILED\n\nfailures:\n\n---- a stdout ----\nleft: 1\n{stack}\n---- b ----\nno answer\n\n\
             failures:\n    a\n    b\n\ntest result: FAILED. 0 passed; 2 failed; 0 ignored\nafterwards\n"
        );
        let mut failures = Failures::default();
        text.lines().for_each(|line| failures.read(line));
        let lines = failures.into_lines();
        assert_eq!(lines.first().map(String::as_str), Some("---- a stdout ----"));
        assert_eq!(lines.iter().filter(|line| line.ends_with("frame")).count(), 14);
        assert_eq!(
            lines.iter().rev().take(4).rev().collect::<Vec<_>>(),
            ["---- b ----", "no answer", "    a", "    b"]
        );
    }

    #[test]
    fn a_tally_that_was_printed_can_be_read() {
        for printed in ["3 passed, 1 failed, 2 skipped", "4 passed, 0 failed"] {
            let mut tally = Tally::default();
            tally.read_case(printed);
            assert_eq!(tally.to_string(), printed);
        }
        assert_eq!(own_line("3 passed; 1 failed"), None);
    }
}
