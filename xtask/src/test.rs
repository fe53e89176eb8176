// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask test`: the suites, in order, with one verdict.
//!
//! Problem: a run must end with numbers that can be trusted: what ran, what failed, what was not run and why.
//! Mechanism: each suite is one function in `suite`; the runners' own result lines are summed.
//! Invariants: the last line is `N passed, M failed` (`, K skipped` if any); a suite that cannot run is skipped with a
//! reason, and failed under `CI=true` or `--require`; every suite runs even if an earlier one failed.
//! Depends on: tally, setup, object, kernels, fuzz, golden, layers.

mod generation;
mod suite;

pub(crate) use generation::Other;

use crate::tally::{Outcome, Tally};
use anyhow::{Result, bail};
use std::cell::RefCell;
use std::time::{Duration, Instant};
use suite::{Manner, Suite};

/// Options of `test`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Suites to run; all when none is named
    #[arg(value_enum)]
    suites: Vec<Suite>,
    /// Only the cases with this in their name, of the suites named; those of netns with all they say
    #[arg(long, value_name = "NAME", requires = "suites")]
    case: Option<String>,
    /// Write what the verifier of other kernels says into docs/kernels.md (kernels)
    #[arg(long)]
    record: bool,
    /// What cannot run here fails
    #[arg(long)]
    require: bool,
}

/// Runs the suites and prints the verdict; `ci`: nothing may be skipped.
pub(crate) fn run(options: &Options, ci: bool) -> Result<()> {
    options.check()?;
    let manner = Manner {
        strict: ci || options.require,
        case: options.case.clone(),
        record: options.record,
        is_named: !options.suites.is_empty(),
        failures: RefCell::default(),
    };
    let rows: Vec<_> = options
        .chosen()
        .into_iter()
        .map(|suite| measured(suite, &manner))
        .collect();
    let total: Tally = rows.iter().map(|row| row.tally).sum();
    print_failures(&rows);
    print_table(&rows);
    println!("{total}");
    if total.failed > 0 {
        bail!("{} failed", total.failed);
    }
    if let Some(case) = options.case.as_ref().filter(|_| total == Tally::default()) {
        bail!("no case has `{case}` in its name");
    }
    Ok(())
}

impl Options {
    /// A suite without cases would run whole, or not at all: neither is what was asked for.
    fn check(&self) -> Result<()> {
        let whole = self.suites.iter().find(|suite| !suite.has_cases());
        match whole.filter(|_| self.case.is_some()) {
            None => Ok(()),
            Some(suite) => {
                let with: Vec<_> = Suite::ALL.iter().filter(|suite| suite.has_cases()).collect();
                let with: Vec<_> = with.into_iter().map(ToString::to_string).collect();
                bail!(
                    "`{suite}` has no cases for --case to choose from; these have: {}",
                    with.join(", ")
                )
            }
        }
    }

    fn chosen(&self) -> Vec<Suite> {
        if self.suites.is_empty() {
            Suite::ALL.to_vec()
        } else {
            self.suites.clone()
        }
    }
}

struct Row {
    suite: Suite,
    tally: Tally,
    took: Duration,
    remark: String,
    failures: Vec<String>,
}

fn measured(suite: Suite, manner: &Manner) -> Row {
    eprintln!("\n=== {suite} ===");
    let begun = Instant::now();
    let outcome = match suite.obstacle() {
        Some(why) => Ok(Outcome::Skipped(why)),
        None => suite.run(manner),
    };
    let (tally, remark) = match outcome {
        Ok(Outcome::Ran(tally)) => (tally, String::new()),
        Ok(Outcome::Skipped(why)) if manner.strict => (Tally::FAILED, format!("must not be skipped: {why}")),
        Ok(Outcome::Skipped(why)) => (Tally::SKIPPED, format!("skipped: {why}")),
        Err(error) => (Tally::FAILED, format!("{error:#}")),
    };
    if !remark.is_empty() {
        eprintln!("{suite}: {remark}");
    }
    Row {
        suite,
        tally,
        took: begun.elapsed(),
        remark,
        failures: manner.failures.take().into_lines(),
    }
}

/// Again, at the end: a long run's beginning may have scrolled away, or been cut.
fn print_failures(rows: &[Row]) {
    for row in rows
        .iter()
        .filter(|row| row.tally.failed > 0 && !row.failures.is_empty())
    {
        println!("\n{} failed:", row.suite);
        row.failures.iter().for_each(|line| println!("  {line}"));
    }
}

fn print_table(rows: &[Row]) {
    println!("\n{:<12} {:>7}  result", "suite", "minutes");
    for row in rows {
        let minutes = row.took.as_secs_f64() / 60.0;
        println!(
            "{:<12} {minutes:>7.1}  {}  {}",
            row.suite.to_string(),
            row.tally,
            row.remark.lines().next().unwrap_or("")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(suites: &[Suite], case: Option<&str>) -> Options {
        Options {
            suites: suites.to_vec(),
            case: case.map(str::to_owned),
            record: false,
            require: false,
        }
    }

    #[test]
    fn a_case_is_asked_only_of_suites_that_have_some() {
        assert!(asked(&[Suite::Root, Suite::Netns], Some("life")).check().is_ok());
        assert!(asked(&[Suite::Root, Suite::Fmt], None).check().is_ok());
        let refused = asked(&[Suite::Root, Suite::Fmt], Some("life"))
            .check()
            .unwrap_err()
            .to_string();
        assert!(refused.contains("`fmt` has no cases"), "{refused}");
        assert!(refused.contains("root, netns"), "{refused}");
    }
}
