// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask bench`: wiring only; what is measured and how is in `tests` (binary `bench`).
//!
//! Depends on: setup, object.

use crate::object::{self, Variant};
use crate::process;
use crate::setup;
use anyhow::Result;

/// Options of `bench`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Which bench, and what it is to be told
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, default_value = "kernel")]
    arguments: Vec<String>,
}

/// Builds everything with optimisation and measures.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::need(setup::Purpose::Bench)?;
    object::build(Variant::Plain)?;
    object::daemon(true)?;
    process::run(
        process::cargo()
            .args(["run", "--release", "--package", "tests", "--bin", "bench", "--"])
            .args(&options.arguments),
    )
}
