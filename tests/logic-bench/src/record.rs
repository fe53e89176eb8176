// SPDX-License-Identifier: Apache-2.0
//! The section `logic` of docs/benchmarks.md.
//!
//! Depends on: report, sections.

use crate::report::Report;
use crate::sections;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// Writes it.
pub(crate) fn record(report: &Report, rounds: usize) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/benchmarks.md");
    let text = report.text();
    let table = text.strip_prefix("## Targets\n\n").unwrap_or(&text);
    sections::write(&path, "logic", &format!("{}\n{table}", preface(rounds)?))
}

fn preface(rounds: usize) -> Result<String> {
    let date = Command::new("date")
        .args(["-u", "+%Y-%m-%d"])
        .output()
        .context("date")?
        .stdout;
    let load = std::fs::read_to_string("/proc/loadavg").context("the load average")?;
    let load: Vec<&str> = load.split(' ').take(3).collect();
    let cpus = std::thread::available_parallelism().context("the number of CPUs")?;
    Ok(format!(
        "## Deciding\n\n\
         Written by `cargo xtask bench logic --record`; do not edit. {}, {cpus} CPUs ({}), load average at the end {} (the \
         bench's own included).\n\n\
         How: one thread, no privilege; {rounds} rounds of all figures in turn, their order reversed every other round; \
         `median [low, high]`: the interval holds the median with 95 %, by order statistics. A tick is measured after a \
         minute of load, with a new sample each; a revision's bytes are the growth of the process by all of them, less 8 \
         bytes a second of its two windows. The limiter has 60 requests running on 20 pods. Routes are asked for in \
         random order, once before each measurement, and a split of two is drawn from.\n",
        String::from_utf8_lossy(&date).trim(),
        std::env::consts::ARCH,
        load.join(" "),
    ))
}
