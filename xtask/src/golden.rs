// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask golden`: what real Knative answered against our own answers; the judging is in `tests/golden`.
//!
//! Invariants: the counts are those of the runner's last line; a runner that fails without a failed case is one failure.
//! Depends on: place, process, tally.

use crate::place;
use crate::process;
use crate::tally::{LIMIT, Tally};
use anyhow::{Result, bail};
use std::process::Command;

/// Options of `golden`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Topics to judge; every one when none is named
    topics: Vec<String>,
    /// Only the cases with this in their name
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// How many differences of each topic to print
    #[arg(long, value_name = "N")]
    show: Option<usize>,
}

/// Judges what the options name; `ci`: the test data must be there.
pub(crate) fn run(options: &Options, ci: bool) -> Result<()> {
    match obstacle() {
        Some(why) if ci => bail!("must not be skipped: {why}"),
        Some(why) => {
            println!("golden: skipped: {why}");
            Ok(())
        }
        None => process::run(&mut command(options)),
    }
}

/// Why there is nothing to compare with.
pub(crate) fn obstacle() -> Option<String> {
    let folder = place::test_data();
    let why = format!(
        "no test data in {} (SLUICE_TESTDATA names the folder)",
        folder.display()
    );
    (!folder.is_dir()).then_some(why)
}

/// Judges every case, or those with `case` in their name.
pub(crate) fn tally(case: Option<&str>) -> Result<Tally> {
    let options = Options {
        topics: Vec::new(),
        case: case.map(str::to_owned),
        show: None,
    };
    let mut tally = Tally::default();
    let status = process::follow_from_first(LIMIT, &mut command(&options), |line| {
        tally = Tally::told(line).unwrap_or(tally);
    })?;
    if !status.success() && tally.failed == 0 {
        tally = tally + Tally::FAILED;
    }
    Ok(tally)
}

fn command(options: &Options) -> Command {
    let mut cargo = process::cargo();
    cargo.args(["run", "--quiet", "--package", "golden", "--"]);
    cargo.arg("--data").arg(place::test_data()).args(&options.topics);
    if let Some(case) = &options.case {
        cargo.args(["--case", case]);
    }
    if let Some(show) = options.show {
        cargo.args(["--show", &show.to_string()]);
    }
    cargo
}
