// SPDX-License-Identifier: Apache-2.0
//! T12: one tick over 100 000 revisions, and what each of them takes in memory.
//!
//! Depends on: figure.

use crate::figure::Figure;
use anyhow::{Context, Result};
use logic::kpa::{Moment, Runner, Sample, Spec, Wake};
use std::time::{Duration, Instant};

const REVISIONS: usize = 100_000;
const START: u64 = 1_700_000_000;

pub(crate) fn figures() -> Result<Vec<Figure>> {
    let before = resident()?;
    let mut runners = revisions()?;
    let bytes = resident()?.saturating_sub(before) as f64 / REVISIONS as f64;
    let spec = Spec::default();
    let windows = (spec.stable_window + spec.panic_window).as_secs() * 8;
    let beyond = bytes - windows as f64;
    let mut now = Moment::from_unix_seconds(START + 60);
    let mut load = 0.0;
    let tick = move || {
        now = now.plus(Duration::from_secs(2));
        load = (load + 31.0) % 400.0;
        for runner in &mut runners {
            // Finite, so it is taken.
            let _ = runner.record(
                now,
                Sample {
                    concurrency: load,
                    rps: 0.0,
                },
            );
        }
        let begun = Instant::now();
        let woken = runners
            .iter_mut()
            .filter_map(|runner| (runner.tick(now, 3) == Wake::Yes).then_some(()))
            .count();
        std::hint::black_box(woken);
        begun.elapsed().as_secs_f64() * 1e3
    };
    Ok(vec![
        Figure::new("T12 one KPA tick, 100 000 revisions", "ms", (150.0, 50.0), tick),
        Figure::new(
            "a revision beyond its windows, resident",
            "bytes",
            (1024.0, 1024.0),
            move || beyond,
        ),
    ])
}

/// Each with a minute of load behind it.
fn revisions() -> Result<Vec<Runner>> {
    let start = Moment::from_unix_seconds(START);
    let mut runners: Vec<Runner> = (0..REVISIONS).map(|_| Runner::new(Spec::default(), start, 1)).collect();
    for second in 0..60 {
        let now = start.plus(Duration::from_secs(second));
        for (index, runner) in runners.iter_mut().enumerate() {
            runner.record(
                now,
                Sample {
                    concurrency: (index % 97) as f64,
                    rps: 0.0,
                },
            )?;
        }
    }
    Ok(runners)
}

/// Bytes of this process that are in memory.
fn resident() -> Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").context("/proc/self/statm")?;
    let pages: u64 = statm
        .split(' ')
        .nth(1)
        .context("resident pages")?
        .parse()
        .context("resident pages")?;
    Ok(pages * 4096)
}
