// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask bench`: wiring only; what is measured and how is in `tests/bench` (binary `bench`).
//!
//! Depends on: setup, object.

use crate::object::{self, Variant};
use crate::process;
use crate::setup;
use anyhow::Result;
use std::ffi::OsStr;
use std::process::Command;

/// Options of `bench`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Which bench, and what it is to be told: `kernel [--quick] [--record] [--gate] [--only PART]` or `budget`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, default_value = "kernel")]
    arguments: Vec<String>,
}

/// Builds the object and the bench with optimisation, and measures.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::need(setup::Purpose::Bench)?;
    object::build(Variant::Plain)?;
    process::run(&mut command(&options.arguments))
}

/// The bench, told so.
pub(crate) fn command(arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut cargo = process::cargo();
    cargo
        .args(["run", "--release", "--package", "tests", "--bin", "bench", "--"])
        .args(arguments);
    cargo
}
