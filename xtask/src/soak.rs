// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask soak`: the long forms of what `test` runs short.
//!
//! Mechanism: one table; a row names a soak and how its program is built and called. What the program says goes to the
//! terminal and into `target/soak/<name>.log`.
//! Invariants: a soak is the same code as its short form, with more of everything; what is cut at the bound of time is
//! asked to end, so that it cleans up, and only what was finished counts.
//! Depends on: setup, object, built, test (the other generation), process.

mod log;

use crate::built;
use crate::object::{self, Variant};
use crate::tally::Tally;
use crate::test::Other;
use crate::{process, setup};
use anyhow::{Context, Result, bail};
use log::Log;
use std::process::Command;
use std::time::{Duration, Instant};

/// Options of `soak`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Soaks to run; all when none is named
    names: Vec<String>,
    /// Only list them
    #[arg(long)]
    list: bool,
    /// Repeat each for so long, and cut it there; once, however long it takes, without
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    minutes: Option<u64>,
}

struct Soak {
    name: &'static str,
    what: &'static str,
    command: fn(Option<Duration>) -> Result<Command>,
    /// Whether it may be cut at the bound.
    is_cut: bool,
}

const SOAKS: &[Soak] = &[
    Soak {
        name: "loss",
        what: "0.1, 1 and 5 % loss with reordering and repeats, ten seeds each",
        command: |_| cases(&["_lost"]),
        is_cut: true,
    },
    Soak {
        name: "flips",
        what: "redirect flips while clients connect, tens of thousands",
        command: |_| cases(&["redirect::"]),
        is_cut: true,
    },
    Soak {
        name: "life",
        what: "restarts, kill -9, adoption and generations in the middle of traffic",
        command: |_| cases(&["life::"]),
        is_cut: true,
    },
    Soak {
        name: "slots",
        what: "slots of pods that daemons share, while these die and change their peers",
        command: |_| daemons(&["slots::"]),
        is_cut: true,
    },
    Soak {
        name: "cycles",
        what: "fifty services, a thousand times to zero and back, no request failed",
        command: |_| instances("cycles::"),
        is_cut: true,
    },
    Soak {
        name: "services",
        what: "five thousand services declared, any of them answers from zero",
        command: |_| instances("many::services"),
        is_cut: true,
    },
    Soak {
        name: "pods",
        what: "two hundred pods on this machine, all of them with requests",
        command: |_| instances("many::pods"),
        is_cut: true,
    },
    Soak {
        name: "restarts",
        what: "sluice proxy replaced two hundred times under load, no request failed",
        command: |_| restarts(),
        is_cut: true,
    },
    Soak {
        name: "netns",
        what: "the whole network suite in its long form",
        command: |_| cases(&[]),
        is_cut: true,
    },
    Soak {
        name: "floods",
        what: "clients that mean harm, eight times as many",
        command: |_| floods(),
        is_cut: true,
    },
    Soak {
        name: "wire",
        what: "the property tests of the boundary machines, a hundred times as many cases",
        command: |_| wire(),
        is_cut: true,
    },
    Soak {
        name: "fuzz",
        what: "every fuzz target for an hour, or for its part of the bound",
        command: fuzz,
        is_cut: false,
    },
    Soak {
        name: "kernels",
        what: "the network suite on kernels of Debian under QEMU, once",
        command: |_| again(&["test", "kernels", "--require"]),
        is_cut: false,
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
    let bound = options.minutes.map(|minutes| Duration::from_secs(60 * minutes));
    let total: Tally = options.chosen()?.into_iter().map(|soak| soak.run_or_fail(bound)).sum();
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

impl Soak {
    fn run_or_fail(&self, bound: Option<Duration>) -> Tally {
        eprintln!("\n=== soak {}: {} ===", self.name, self.what);
        self.run(bound).unwrap_or_else(|error| {
            eprintln!("soak {}: {error:#}", self.name);
            Tally::FAILED
        })
    }

    fn run(&self, bound: Option<Duration>) -> Result<Tally> {
        let mut command = (self.command)(bound)?;
        let mut log = Log::create(self.name)?;
        let begun = Instant::now();
        let end = bound.filter(|_| self.is_cut).map(|bound| begun + bound);
        let mut total = Tally::default();
        let mut rounds = 0;
        loop {
            rounds += 1;
            log.note(&format!("round {rounds}: {}", process::shown(&command)))?;
            let round = round(&mut command, end, &mut log)?;
            total = total + round.tally;
            if round.is_cut || end.is_none_or(|end| Instant::now() >= end) {
                break;
            }
        }
        let minutes = begun.elapsed().as_secs_f64() / 60.0;
        log.note(&format!("{}: {rounds} rounds in {minutes:.1} min: {total}", self.name))?;
        eprintln!("soak: all of it is in {}", log.shown());
        Ok(total)
    }
}

struct Round {
    tally: Tally,
    is_cut: bool,
}

fn round(command: &mut Command, end: Option<Instant>, log: &mut Log) -> Result<Round> {
    let mut tally = Tally::default();
    let status = process::follow_gently(end, command, |line| {
        log.line(line);
        // A case that is cut loses its ground and fails: that says nothing.
        if end.is_none_or(|end| Instant::now() < end) {
            tally.read_case(line);
        }
    })?;
    // One that fails without a failed case has failed itself.
    if status.is_some_and(|status| !status.success()) && tally.failed == 0 {
        tally = tally + Tally::FAILED;
    }
    Ok(Round {
        tally,
        is_cut: status.is_none(),
    })
}

/// The network cases with this in their name, optimised and in their long form.
fn cases(names: &[&str]) -> Result<Command> {
    setup::need(setup::Purpose::Test)?;
    object::build(Variant::Plain)?;
    let other = Other::build()?.environment()?;
    let suite = optimised(&["--package", "tests", "--test", "netns"], "netns")?;
    let mut command = both_outputs(suite);
    command
        .args(names)
        .env("CI", "true")
        .env("SLUICE_LONG", "1")
        .envs(other);
    Ok(command)
}

fn floods() -> Result<Command> {
    let mut command = both_outputs(optimised(&["--package", "proxy", "--test", "floods"], "floods")?);
    command
        .args(["--ignored", "--skip", "server_process", "--test-threads", "2"])
        .env("SLUICE_LONG", "1");
    Ok(command)
}

/// The same, with the daemon built as it is used.
fn daemons(names: &[&str]) -> Result<Command> {
    process::run(process::cargo().args(["build", "--release", "--quiet", "--package", "sluice"]))?;
    cases(names)
}

/// Tests of `sluice standalone` in their long form, optimised.
fn instances(name: &str) -> Result<Command> {
    setup::need(setup::Purpose::Test)?;
    object::build(Variant::Plain)?;
    let mut command = both_outputs(optimised(&["--package", "sluice", "--test", "root"], "root")?);
    command
        .args([name, "--nocapture"])
        .env("CI", "true")
        .env("SLUICE_LONG", "1");
    Ok(command)
}

fn restarts() -> Result<Command> {
    process::run(process::cargo().args(["build", "--release", "--quiet", "--package", "sluice"]))?;
    let mut command = both_outputs(optimised(&["--package", "path-suite", "--test", "path"], "path")?);
    command.args(["restart::", "--nocapture"]).env("SLUICE_LONG", "1");
    Ok(command)
}

fn wire() -> Result<Command> {
    let mut command = both_outputs(optimised(&["--package", "wire", "--test", "host"], "host")?);
    command.env("PROPTEST_CASES", "25600");
    Ok(command)
}

fn fuzz(bound: Option<Duration>) -> Result<Command> {
    setup::need(setup::Purpose::Fuzz)?;
    let targets = u32::try_from(crate::fuzz::targets()?.len()).context("counting the fuzz targets")?;
    let each = bound.map_or(Duration::from_secs(3600), |bound| bound / targets);
    again(&["fuzz", "--seconds", &each.as_secs().to_string()])
}

/// This program once more, so that all it says can be kept.
fn again(arguments: &[&str]) -> Result<Command> {
    let mut command = both_outputs(std::env::current_exe().context("finding this program")?);
    command.args(arguments);
    Ok(command)
}

fn optimised(what: &[&str], name: &str) -> Result<std::path::PathBuf> {
    let mut cargo = process::cargo();
    built::by(cargo.args(["test", "--release", "--no-run"]).args(what))?.program(name)
}

/// A program whose errors are lines of its output.
fn both_outputs(program: std::path::PathBuf) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"exec "$0" "$@" 2>&1"#])
        .arg(program)
        .current_dir(crate::place::root());
    command
}
