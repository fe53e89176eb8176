// SPDX-License-Identifier: Apache-2.0
//! `sluice check`: what this kernel offers, which tier, how much memory, what is missing.
//!
//! Mechanism: features are probed one by one; when nothing is missing the programs are really loaded, into a folder of
//! this process's own beside the pin folder, which also shows what the maps take, and real requests go through a cgroup of
//! its own, the only one that anything is attached to.
//! Invariants: the last line has the tier's word; what could not be looked at is said to be unknown, not absent.
//! Depends on: kernel.

mod loopback;
mod report;
mod text;
mod trial;

use crate::{
    cli::{self, Format, Looks},
    failure::{Exit, Failure},
    output,
};
use report::Report;

/// Runs the command.
pub(crate) fn run(arguments: &cli::Check, looks: Looks) -> Result<Exit, Failure> {
    let settings = arguments.places.settings();
    let features = kernel::features::probe(&settings);
    let trial = trial::run(&settings, &features);
    let report = Report::of(&settings, &features, trial);
    let lines = match arguments.output {
        Format::Table => text::lines(&report, looks.colour),
        Format::Json => vec![serde_json::to_string(&report).unwrap_or_default()],
    };
    output::print(&lines)?;
    Ok(report.exit())
}
