// SPDX-License-Identifier: Apache-2.0
//! The bench's section of docs/benchmarks.md.
//!
//! Invariants: it names the command, the date, the kernel and the number of CPUs, and nothing else of the machine.
//! Depends on: cpu, report, sections.

use std::path::Path;

use ::tests::rig;
use anyhow::{Context, Result};

use crate::report::Report;
use crate::{cpu, sections};

/// Writes docs/benchmarks.md.
pub(crate) fn record(report: &Report) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
    sections::write(&path, "kernel", &format!("{}\n{}", preface()?, report.text()))
}

/// Writes the section of one part of the request path's bench.
pub(crate) fn record_path(part: &str, report: &Report) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
    let text = report.text().replace("## ", "### ");
    let preface = format!(
        "## Request path: {part}\n\nWritten by `cargo xtask bench path --record --only {part}`; do not edit. {}\n\n\
         How: the server of the first section (hyper, one thread, the last CPU) in a namespace of its own; the load tool on \
         the first CPU; the proxies in the load tool's namespace, on any CPU, as many threads as CPUs: a proxied request \
         crosses the loopback and the veth, a direct one the veth only.\n",
        machine()?
    );
    sections::write(&path, &format!("path {part}"), &format!("{preface}\n{text}"))
}

/// Writes the section of one part of the bench of services on one machine.
pub(crate) fn record_standalone(part: &str, report: &Report) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
    let text = report.text().replace("## ", "### ");
    let preface = format!(
        "## Services on one machine: {part}\n\nWritten by `cargo xtask bench standalone --record --only {part}`; do not edit. \
         {}\n\nHow: `sluice standalone` as a process, pods as processes, clients on the same CPUs; times are taken by the \
         clients.\n",
        machine()?
    );
    sections::write(&path, &format!("standalone {part}"), &format!("{preface}\n{text}"))
}

/// When and where.
fn machine() -> Result<String> {
    let date = rig::run("date", &["-u", "+%Y-%m-%d"])?;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").context("the kernel's version")?;
    let load = std::fs::read_to_string("/proc/loadavg").context("the load average")?;
    let load: Vec<&str> = load.split(' ').take(3).collect();
    Ok(format!(
        "{}, Linux {}, {} CPUs ({}), load average at the end {} (the bench's own included). Figures of a shared virtual \
         machine: compare within a table, not between machines.",
        date.trim(),
        kernel.trim(),
        cpu::cpus(),
        std::env::consts::ARCH,
        load.join(" "),
    ))
}

fn preface() -> Result<String> {
    Ok(format!(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench kernel --record`; do not edit. {}\n\n\
         How: server (hyper, one thread) in a network namespace and a cgroup of its own, on the last CPU; wrk or h2load on \
         the first CPU in another namespace; one veth pair between them. Uncounted: nothing attached. Runs are \
         interleaved and their order is reversed every round. `median [low, high]`: the interval holds the median with \
         95 %, by order statistics.\n\n\
         T13 (exact without loss, flagged under loss, 0 at rest) is no figure of speed: the network suite \
         holds it, `cargo xtask test netns`, and over all seeds `SLUICE_LONG=1 cargo xtask test netns`.\n",
        machine()?
    ))
}
