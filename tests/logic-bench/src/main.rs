// SPDX-License-Identifier: Apache-2.0
//! What deciding costs: `cargo xtask bench logic`.
//!
//! Problem: one run on a shared machine is a matter of luck.
//! Mechanism: every figure is one function that measures once; rounds call all of them in turn, in reversed order every other
//! round. Medians with intervals are told, never the best run.
//! Invariants: no privilege, no I/O while measuring; `sample`, `report` and `sections` are those of `tests/bench`, linked.
//! Depends on: logic.

mod figure;
mod kpa;
mod limiter;
mod record;
mod replay;
#[expect(dead_code, reason = "linked; the kernel's bench uses more of it")]
mod report;
mod routes;
#[expect(dead_code, reason = "linked; the kernel's bench uses more of it")]
mod sample;
mod sections;

use anyhow::Result;
use clap::Parser;
use figure::Figure;
use report::Report;
use std::process::ExitCode;

/// Measures what deciding costs
#[derive(Parser)]
#[command(name = "cargo xtask bench logic")]
struct Cli {
    /// Few rounds: shows that it works, measures little
    #[arg(long, conflicts_with = "record")]
    quick: bool,
    /// Write the section of docs/benchmarks.md
    #[arg(long)]
    record: bool,
    /// Fail when a required figure is missed
    #[arg(long)]
    strict: bool,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything that must be met was met.
fn run(cli: &Cli) -> Result<bool> {
    let rounds = if cli.quick { 3 } else { 21 };
    let mut figures: Vec<Figure> = [
        kpa::figures()?,
        limiter::figures(),
        routes::figures(),
        replay::figures(),
    ]
    .into_iter()
    .flatten()
    .collect();
    for round in 0..rounds {
        let places: Vec<usize> = (0..figures.len()).collect();
        let order: Box<dyn Iterator<Item = usize>> = if round % 2 == 0 {
            Box::new(places.into_iter())
        } else {
            Box::new(places.into_iter().rev())
        };
        order.for_each(|place| figures[place].measure());
    }
    let mut report = Report::default();
    figures.into_iter().for_each(|figure| report.target(figure.target()));
    println!("{}", report.text());
    if cli.record {
        record::record(&report, rounds)?;
    }
    let missed = report.missed();
    missed.iter().for_each(|target| eprintln!("missed: {target}"));
    Ok(missed.is_empty() || !cli.strict)
}
