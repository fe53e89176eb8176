// SPDX-License-Identifier: Apache-2.0
//! Reading a pod's counters while they change.
//!
//! Problem: a read that took a time stamp without its count is wrong by the machine's uptime.
//! Mechanism: each snapshot is timed, and its integral held against the one before: in so short a time it can grow by
//! the connections times that time and no more. How often a CPU was caught writing is seen by reading the map raw.
//! Depends on: site, sample, report.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use kernel::Counts;
use kernel::sys::map::PerCpu;

use crate::report::{Report, Target};
use crate::sample::{Estimate, median, quantile};
use crate::site::{Load, POD, Site};

const CONNECTIONS: u32 = 32;
const BATCH: usize = 2_000;
/// request·ns that a snapshot may be off because its CPUs are not read at one instant, and because of being preempted.
const SLACK: u64 = 1_000_000_000;

/// Measures and reports.
pub(crate) fn measure(site: &Site<'_>, quick: bool, report: &mut Report) -> Result<()> {
    eprintln!("snapshot");
    site.count()?;
    let batches = if quick { 3 } else { 25 };
    let idle = batches_of(site, batches)?;
    let loaded = under_load(site, batches)?;
    let raw = raw(site)?;
    site.uncount()?;
    let time = Estimate::of(&loaded.medians);
    let torn = idle.torn + loaded.torn;
    report.target(Target {
        name: "snapshot of a pod under load",
        required: "≤ 1 µs, never torn".to_owned(),
        aim: "≤ 1 µs, never torn".to_owned(),
        measured: format!("{:.2} µs, {torn} torn", time.scaled(1e-3)),
        is_met: time.median <= 1000.0 && torn == 0,
        is_aim_met: time.median <= 1000.0 && torn == 0,
    });
    let row = |name: &str, reads: &Reads| {
        vec![
            name.to_owned(),
            format!("{:.0}", Estimate::of(&reads.medians)),
            format!("{:.0}", quantile(&reads.all, 0.99)),
            reads.all.len().to_string(),
            reads.torn.to_string(),
        ]
    };
    report.table(
        "Reading a pod's counters",
        &format!(
            "Nanoseconds a read, each with two clock reads in it. Under load of {CONNECTIONS} connections, {} of {} raw \
             reads of the map met a CPU in the middle of an update: so often a snapshot is read again.",
            raw.0, raw.1
        ),
        &["state", "ns", "p99 ns", "reads", "torn"],
        vec![row("at rest", &idle), row("under load", &loaded)],
    );
    Ok(())
}

#[derive(Default)]
struct Reads {
    medians: Vec<f64>,
    all: Vec<f64>,
    torn: u64,
}

fn under_load(site: &Site<'_>, batches: usize) -> Result<Reads> {
    during_load(site, || batches_of(site, batches))
}

/// Runs work in the middle of a run of the load tool.
fn during_load<T>(site: &Site<'_>, work: impl FnOnce() -> Result<T>) -> Result<T> {
    std::thread::scope(|scope| {
        let load = scope.spawn(|| site.run(&Load::small(CONNECTIONS), 3));
        let before = site.started()?;
        let begun = Instant::now();
        while site.started()? < before + 1_000 && begun.elapsed().as_secs() < 2 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let done = work();
        let still = !load.is_finished();
        load.join().map_err(|_| anyhow!("the load panicked"))??;
        let done = done?;
        still.then_some(done).context("the load ended before the reads did")
    })
}

fn batches_of(site: &Site<'_>, batches: usize) -> Result<Reads> {
    let mut reads = Reads::default();
    let (mut last, mut then) = (site.kernel.counts(POD)?, kernel::monotonic());
    for _ in 0..batches {
        let mut batch = Vec::with_capacity(BATCH);
        for _ in 0..BATCH {
            let begun = Instant::now();
            let counts = site.kernel.counts(POD)?;
            batch.push(begun.elapsed().as_nanos() as f64);
            let now = kernel::monotonic();
            reads.torn += u64::from(is_torn(&counts, now, &last, then));
            (last, then) = (counts, now);
        }
        reads.medians.push(median(&batch));
        reads.all.extend(batch);
    }
    Ok(reads)
}

fn is_torn(counts: &Counts, now: u64, last: &Counts, then: u64) -> bool {
    let grown = counts.integral(now).wrapping_sub(last.integral(then)) as i64;
    grown.unsigned_abs() > u64::from(CONNECTIONS) * 2 * (now - then) + SLACK
}

/// Raw reads that met a writer, of how many.
fn raw(site: &Site<'_>) -> Result<(usize, usize)> {
    let map = PerCpu::open(&counters(&site.pins)?)?;
    let (mut words, begin) = (vec![0; map.words()], place_of_begin());
    during_load(site, || {
        let mut caught = 0;
        let reads = 20 * BATCH;
        for _ in 0..reads {
            map.read(POD.0, &mut words)?;
            caught += usize::from(words.chunks(map.words_per_cpu()).any(|cpu| cpu[0] != cpu[begin]));
        }
        Ok((caught, reads))
    })
}

/// `begin` is written before an update and `end`, the first word, after it.
fn place_of_begin() -> usize {
    let counts = Counts::default();
    let address = |word: &u64| std::ptr::from_ref(word).addr();
    (address(&counts.core.begin) - address(&counts.core.end)) / size_of::<u64>()
}

/// The map's pin in the one generation there is.
fn counters(pins: &Path) -> Result<PathBuf> {
    let generation = std::fs::read_dir(pins)?
        .flatten()
        .find(|entry| entry.path().is_dir())
        .context("no generation is pinned")?;
    Ok(generation.path().join("maps/COUNTS"))
}
