// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask`: everything that is done to this repository by command.
//!
//! Problem: building kernel programs, testing with privilege and checking the structure need more than `cargo test`.
//! Mechanism: one subcommand a job, one module a subcommand; what a command needs of another it calls.
//! Invariants: the environment is read here and in `place` only; a command is idempotent and says what it does.
//! Depends on: cargo, rustup where present, apt-get on Debian.

mod bench;
mod built;
mod cluster;
mod crds;
mod demo;
mod fuzz;
mod golden;
mod kernels;
mod layers;
mod object;
mod place;
mod process;
mod setup;
mod soak;
mod tally;
mod test;
mod toolchain;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Set-up, build, tests and checks of Sluice.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand)]
enum Job {
    /// Install what building and testing need; quick when nothing is missing
    Setup(setup::Options),
    /// Build the BPF object, then the daemon
    Build(object::Options),
    /// Run the test suites
    Test(test::Options),
    /// Run the long forms of the tests
    Soak(soak::Options),
    /// Play the story of a few services on this machine, with real traffic; two minutes
    Demo(demo::Options),
    /// Measure; the tables go into docs/benchmarks.md
    Bench(bench::Options),
    /// Check the arrows between crates and that no crate has a module cycle
    Layers,
    /// Compare with what real Knative answered
    Golden(golden::Options),
    /// Write the definitions of our kinds into deploy/crds
    Crds(crds::Options),
    /// A real Kubernetes on this machine
    Cluster(cluster::Options),
    /// Fuzz the parsers and machines
    Fuzz(fuzz::Options),
}

fn main() -> ExitCode {
    match run(Cli::parse().job) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(job: Job) -> Result<()> {
    match job {
        Job::Setup(options) => setup::run(&options),
        Job::Build(options) => object::run(&options),
        Job::Test(options) => test::run(&options, in_ci()),
        Job::Soak(options) => soak::run(&options),
        Job::Demo(options) => demo::run(&options),
        Job::Bench(options) => bench::run(&options),
        Job::Layers => layers::run(),
        Job::Golden(options) => golden::run(&options, in_ci()),
        Job::Crds(options) => crds::run(&options),
        Job::Cluster(options) => cluster::run(&options),
        Job::Fuzz(options) => fuzz::run(&options),
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the command line's edge")]
fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}
