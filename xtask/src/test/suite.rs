// SPDX-License-Identifier: Apache-2.0
//! The suites.
//!
//! Invariants: a suite calls what it needs of setup and build itself; `Err` is a failure of the suite, `Skipped` a lack
//! of the machine.
//! Depends on: setup, object, kernels, fuzz, layers.

use crate::object::{self, Variant};
use crate::tally::{Outcome, Tally, counted};
use crate::{fuzz, kernels, layers, place, process, setup};
use anyhow::Result;
use clap::ValueEnum;
use std::fmt;
use std::process::Command;

/// One suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Suite {
    /// rustfmt agrees
    Fmt,
    /// Arrows between crates, module cycles
    Layers,
    /// Licences, bans and sources of dependencies
    Deny,
    /// clippy has nothing to say
    Clippy,
    /// Tests that need no privilege
    Plain,
    /// Real sockets over network namespaces, real programs; needs root
    Netns,
    /// Each fuzz target for a short time
    FuzzShort,
    /// Debian's own kernel under QEMU
    Kernels,
}

/// How suites are run.
pub(crate) struct Manner {
    /// Nothing may be skipped, by the tests themselves neither.
    pub(crate) strict: bool,
    /// Only the network cases with this in their name.
    pub(crate) case: Option<String>,
    /// Numbers of other kernels go into docs/kernels.md.
    pub(crate) record: bool,
}

impl Suite {
    /// In the order they run: cheap verdicts first.
    pub(crate) const ALL: [Self; 8] = [
        Self::Fmt,
        Self::Layers,
        Self::Deny,
        Self::Clippy,
        Self::Plain,
        Self::Netns,
        Self::FuzzShort,
        Self::Kernels,
    ];

    /// Whether only `--all` or its name runs it.
    pub(crate) fn takes_long(self) -> bool {
        self == Self::Kernels
    }

    /// Runs it.
    pub(crate) fn run(self, manner: &Manner) -> Result<Outcome> {
        match self {
            Self::Fmt => fmt(),
            Self::Layers => layers::run().map(|()| Outcome::Ran(Tally::PASSED)),
            Self::Deny => deny(),
            Self::Clippy => clippy(),
            Self::Plain => plain(manner.strict),
            Self::Netns => netns(manner),
            Self::FuzzShort => fuzz_short(),
            Self::Kernels => kernels::run(kernels::Choice {
                case: manner.case.as_deref(),
                record: manner.record,
            }),
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

fn fmt() -> Result<Outcome> {
    setup::lints()?;
    single(process::cargo().args(["fmt", "--all", "--check"]))
}

fn deny() -> Result<Outcome> {
    setup::lints()?;
    // Advisories are not asked: their database is a download of its own.
    single(process::cargo().args(["deny", "--workspace", "check", "licenses", "bans", "sources"]))
}

fn clippy() -> Result<Outcome> {
    setup::lints()?;
    single(process::cargo().args([
        "clippy",
        "--workspace",
        "--exclude",
        "ebpf",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

fn plain(strict: bool) -> Result<Outcome> {
    // The pure crates need no object; the daemon embeds it where it can be built.
    if let Err(error) = object_for_tests() {
        eprintln!("plain: without the BPF object: {error:#}");
    }
    let everything = tests(
        strict,
        &[
            "test",
            "--workspace",
            "--exclude",
            "ebpf",
            "--exclude",
            "tests",
            "--no-fail-fast",
        ],
    )?;
    let rig = tests(
        strict,
        &["test", "--package", "tests", "--lib", "--bins", "--no-fail-fast"],
    )?;
    Ok(Outcome::Ran(everything + rig))
}

fn netns(manner: &Manner) -> Result<Outcome> {
    if !place::is_root() {
        return Ok(Outcome::Skipped(
            "needs root to load programs and make network namespaces".to_owned(),
        ));
    }
    setup::need(setup::Purpose::Test)?;
    object_for_tests()?;
    let mut arguments = vec!["test", "--package", "tests", "--test", "netns", "--no-fail-fast"];
    if let Some(case) = &manner.case {
        arguments.extend(["--", "--nocapture", case]);
    }
    tests(manner.strict, &arguments).map(Outcome::Ran)
}

fn fuzz_short() -> Result<Outcome> {
    setup::need(setup::Purpose::Fuzz)?;
    fuzz::each_for(fuzz::SHORT).map(Outcome::Ran)
}

/// The object and, for the tests of two generations side by side, the same programs under the next ABI number.
fn object_for_tests() -> Result<()> {
    setup::need(setup::Purpose::Build)?;
    object::build(Variant::Plain)?;
    object::build(Variant::Abi(2)).map(|_| ())
}

/// A suite that is one yes or no.
fn single(command: &mut Command) -> Result<Outcome> {
    process::run(command).map(|()| Outcome::Ran(Tally::PASSED))
}

/// Runs tests by cargo and sums what they say.
fn tests(strict: bool, arguments: &[&str]) -> Result<Tally> {
    let mut cargo = process::cargo();
    cargo.args(arguments);
    if strict {
        // What the tests look at before they skip.
        cargo.env("CI", "true");
    }
    counted(&mut cargo)
}
