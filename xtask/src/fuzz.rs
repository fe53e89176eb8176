// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask fuzz`: the fuzz targets of `ebpf/wire`, by cargo-fuzz.
//!
//! Invariants: a target runs for a bounded time; its corpus stays in its folder between runs.
//! Depends on: setup, toolchain.

use crate::place;
use crate::process;
use crate::setup;
use crate::tally::Tally;
use crate::toolchain;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// How long `test` gives each target.
pub(crate) const SHORT: Duration = Duration::from_secs(20);

/// Options of `fuzz`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The target; every one, in turn, when none is named
    target: Option<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 300)]
    seconds: u64,
}

/// Fuzzes what the options name.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::need(setup::Purpose::Fuzz)?;
    let time = Duration::from_secs(options.seconds);
    match &options.target {
        Some(target) => process::run(&mut fuzzing(target, time)),
        None => {
            let tally = each_for(time)?;
            println!("{tally}");
            if tally.failed > 0 {
                bail!("{} target(s) failed", tally.failed)
            } else {
                Ok(())
            }
        }
    }
}

/// Fuzzes every target for `time`.
pub(crate) fn each_for(time: Duration) -> Result<Tally> {
    let targets = targets()?;
    Ok(targets.iter().map(|target| one(target, time)).sum())
}

fn one(target: &str, time: Duration) -> Tally {
    match process::run(&mut fuzzing(target, time)) {
        Ok(()) => Tally::PASSED,
        Err(error) => {
            eprintln!("fuzz: {target}: {error:#}");
            Tally::FAILED
        }
    }
}

/// Their names.
pub(crate) fn targets() -> Result<Vec<String>> {
    let listed = process::output(&mut cargo_fuzz("list")).context("listing the fuzz targets")?;
    let targets: Vec<_> = listed.split_whitespace().map(str::to_owned).collect();
    if targets.is_empty() {
        bail!("ebpf/wire has no fuzz target");
    }
    Ok(targets)
}

fn fuzzing(target: &str, time: Duration) -> Command {
    let mut command = cargo_fuzz("run");
    if !toolchain::has_nightly() {
        command.args(["--sanitizer", "none"]);
    }
    command.args([target, "--", "-print_final_stats=1"]);
    command.arg(format!("-max_total_time={}", time.as_secs()));
    command
}

/// By the pinned nightly; else by the host's compiler, told to act as one, which has no sanitizer. `wire` has no unsafe
/// code, so little is lost.
fn cargo_fuzz(subcommand: &str) -> Command {
    let mut command = if toolchain::has_nightly() {
        let mut command = toolchain::nightly("cargo");
        for inherited in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"] {
            command.env_remove(inherited);
        }
        command
    } else {
        let mut command = process::cargo();
        command.env("RUSTC_BOOTSTRAP", "1");
        command
    };
    command.args(["fuzz", subcommand]).current_dir(folder());
    command
}

fn folder() -> PathBuf {
    place::root().join("ebpf/wire")
}
