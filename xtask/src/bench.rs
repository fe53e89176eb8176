// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask bench`: wiring only; what is measured and how is in `tests/bench` (binary `bench`) and, for the pure crates,
//! in `tests/logic-bench`.
//!
//! Depends on: setup, object.

use crate::object::{self, Variant};
use crate::process;
use crate::setup;
use anyhow::Result;
use std::ffi::OsStr;
use std::process::Command;

/// The bench that needs neither kernel programs nor privilege.
const LOGIC: &str = "logic";
/// The bench of the binary's request path.
const PATH: &str = "path";
/// The bench of services on one machine.
const STANDALONE: &str = "standalone";

/// Options of `bench`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Which bench, and what it is to be told: `kernel [--quick] [--record] [--gate] [--only PART]`, `budget`,
    /// `path` or `standalone [--quick] [--record] [--gate] [--only PART]`, or `logic [--quick] [--record] [--strict]`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, default_value = "kernel")]
    arguments: Vec<String>,
}

/// Builds the bench with optimisation, and what it measures, and measures.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.arguments.first().is_some_and(|bench| bench == LOGIC) {
        return process::run(&mut command(&options.arguments));
    }
    setup::need(setup::Purpose::Bench)?;
    object::build(Variant::Plain)?;
    if options
        .arguments
        .first()
        .is_some_and(|bench| bench == PATH || bench == STANDALONE)
    {
        process::run(process::cargo().args(["build", "--release", "--package", "sluice"]))?;
    }
    process::run(&mut command(&options.arguments))
}

/// The bench, told so.
pub(crate) fn command(arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut cargo = process::cargo();
    cargo.args(["run", "--release"]);
    match arguments.split_first() {
        Some((bench, rest)) if bench.as_ref() == LOGIC => cargo.args(["--package", "logic-bench", "--"]).args(rest),
        _ => cargo
            .args(["--package", "tests", "--bin", "bench", "--"])
            .args(arguments),
    };
    cargo
}
