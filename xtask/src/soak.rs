// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask soak`: the long forms of what `test` runs short.
//!
//! Mechanism: one table; a row names a soak and how it is started.
//! Invariants: a soak is the same code as its short form, with more of everything.
//! Depends on: setup, object, kernels, fuzz.

use crate::object::{self, Variant};
use crate::tally::{Outcome, Tally, counted};
use crate::{fuzz, kernels, process, setup};
use anyhow::{Context, Result, bail};
use std::time::Duration;

/// Options of `soak`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Soaks to run; all when none is named
    names: Vec<String>,
    /// Only list them
    #[arg(long)]
    list: bool,
}

struct Soak {
    name: &'static str,
    what: &'static str,
    run: fn() -> Result<Tally>,
}

const SOAKS: &[Soak] = &[
    Soak {
        name: "netns",
        what: "the network suite with its long cases",
        run: netns,
    },
    Soak {
        name: "wire",
        what: "the property tests of the boundary machines, a hundred times as many cases",
        run: wire,
    },
    Soak {
        name: "fuzz",
        what: "every fuzz target for an hour",
        run: || fuzz_for(Duration::from_secs(3600)),
    },
    Soak {
        name: "kernels",
        what: "the network suite on Debian's own kernel under QEMU",
        run: other_kernels,
    },
];

/// Runs the soaks and prints the verdict.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.list {
        SOAKS
            .iter()
            .for_each(|soak| println!("{:<10} {}", soak.name, soak.what));
        return Ok(());
    }
    let total: Tally = options.chosen()?.into_iter().map(one).sum();
    println!("{total}");
    if total.failed > 0 {
        bail!("{} failed", total.failed);
    }
    Ok(())
}

impl Options {
    fn chosen(&self) -> Result<Vec<&'static Soak>> {
        if self.names.is_empty() {
            return Ok(SOAKS.iter().collect());
        }
        let named = |name: &String| {
            SOAKS
                .iter()
                .find(|soak| soak.name == name)
                .with_context(|| format!("no soak is called {name}; see --list"))
        };
        self.names.iter().map(named).collect()
    }
}

fn one(soak: &Soak) -> Tally {
    eprintln!("\n=== soak {}: {} ===", soak.name, soak.what);
    (soak.run)().unwrap_or_else(|error| {
        eprintln!("soak {}: {error:#}", soak.name);
        Tally::FAILED
    })
}

fn netns() -> Result<Tally> {
    setup::need(setup::Purpose::Test)?;
    object::build(Variant::Plain)?;
    object::build(Variant::Abi(2))?;
    let arguments = [
        "test",
        "--release",
        "--package",
        "tests",
        "--test",
        "netns",
        "--no-fail-fast",
        "--",
        "--include-ignored",
    ];
    counted(
        process::cargo()
            .args(arguments)
            .env("CI", "true")
            .env("SLUICE_LONG", "1"),
    )
}

fn wire() -> Result<Tally> {
    let cases = "25600";
    counted(
        process::cargo()
            .args(["test", "--release", "--package", "wire"])
            .env("PROPTEST_CASES", cases),
    )
}

fn fuzz_for(time: Duration) -> Result<Tally> {
    setup::need(setup::Purpose::Fuzz)?;
    fuzz::each_for(time)
}

fn other_kernels() -> Result<Tally> {
    match kernels::run(kernels::Choice::default())? {
        Outcome::Ran(tally) => Ok(tally),
        Outcome::Skipped(why) => bail!("must not be skipped: {why}"),
    }
}
