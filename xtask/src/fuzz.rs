// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask fuzz`: the fuzz targets of every crate in `CRATES`, by cargo-fuzz.
//!
//! Mechanism: cargo-fuzz finds the targets in the folder `fuzz` of a crate's folder and lists them from its manifest. A target
//! that has a folder in `fuzz/seeds` begins with what is there.
//! Invariants: a target runs for a bounded time; its corpus stays in its folder between runs.
//! Depends on: setup, toolchain.

use crate::place;
use crate::process;
use crate::setup;
use crate::tally::Tally;
use crate::toolchain;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The folders whose `fuzz` folder has targets.
const CRATES: &[&str] = &["daemon", "ebpf/wire"];

/// How long `test` gives all targets together, and at most each.
const SHORT: (Duration, Duration) = (Duration::from_secs(210), Duration::from_secs(20));

/// One fuzz target.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    folder: &'static str,
    name: String,
}

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
        Some(name) => process::run(&mut fuzzing(&named(name)?, time)),
        None => {
            let tally = each_for(&targets()?, time);
            println!("{tally}");
            if tally.failed > 0 {
                bail!("{} target(s) failed", tally.failed)
            } else {
                Ok(())
            }
        }
    }
}

/// Fuzzes every target, however many there are, for a few minutes in all.
pub(crate) fn short() -> Result<Tally> {
    let targets = targets()?;
    let (all, each) = SHORT;
    let count = u32::try_from(targets.len()).unwrap_or(u32::MAX).max(1);
    // cargo-fuzz takes whole seconds, and zero for no end.
    Ok(each_for(&targets, (all / count).clamp(Duration::from_secs(1), each)))
}

fn each_for(targets: &[Target], time: Duration) -> Tally {
    targets.iter().map(|target| one(target, time)).sum()
}

fn one(target: &Target, time: Duration) -> Tally {
    match process::run(&mut fuzzing(target, time)) {
        Ok(()) => Tally::PASSED,
        Err(error) => {
            eprintln!("fuzz: {}: {error:#}", target.name);
            Tally::FAILED
        }
    }
}

fn named(name: &str) -> Result<Target> {
    let targets = targets()?;
    let known: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
    let found = targets.iter().find(|target| target.name == name).cloned();
    found.with_context(|| format!("no fuzz target is called {name}; there are {}", known.join(", ")))
}

/// All of them.
pub(crate) fn targets() -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for folder in CRATES {
        let listed = process::output(&mut cargo_fuzz("list", folder));
        let listed = listed.with_context(|| format!("listing the fuzz targets of {folder}"))?;
        let before = targets.len();
        targets.extend(listed.split_whitespace().map(|name| Target {
            folder,
            name: name.to_owned(),
        }));
        if targets.len() == before {
            bail!("{folder} has no fuzz target");
        }
    }
    Ok(targets)
}

fn fuzzing(target: &Target, time: Duration) -> Command {
    let mut command = cargo_fuzz("run", target.folder);
    if !toolchain::has_nightly() {
        command.args(["--sanitizer", "none"]);
    }
    command.arg(&target.name);
    if let Some(folders) = seeded(target) {
        command.args(folders);
    }
    command.args(["--", "-print_final_stats=1"]);
    command.arg(format!("-max_total_time={}", time.as_secs()));
    command
}

/// What it finds goes into the first folder; without seeds cargo-fuzz knows where.
fn seeded(target: &Target) -> Option<[PathBuf; 2]> {
    let fuzz = place::root().join(target.folder).join("fuzz");
    let seeds = fuzz.join("seeds").join(&target.name);
    let found = fuzz.join("corpus").join(&target.name);
    (seeds.is_dir() && fs::create_dir_all(&found).is_ok()).then_some([found, seeds])
}

/// By the pinned nightly; else by the host's compiler, told to act as one, which has no sanitizer. What is fuzzed has no
/// unsafe code, so little is lost.
fn cargo_fuzz(subcommand: &str, folder: &str) -> Command {
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
    command
        .args(["fuzz", subcommand])
        .current_dir(place::root().join(folder));
    command
}
