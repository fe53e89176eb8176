// SPDX-License-Identifier: Apache-2.0
//! What services on one machine cost and how fast they come: `cargo xtask bench standalone`.
//!
//! Problem: an embedded clock would flatter; a user sees bytes on sockets.
//! Mechanism: `sluice standalone` as a process with real pods; all is timed from outside, by requests at the gateway and
//! watches at the API. `start`: from zero, bursts, steps; `declare`: objects and memory; `serve`: requests.
//! Invariants: every answer is looked at, a failed one fails the bench; an instance ends with what it made.
//! Depends on: the binary `sluice` beside this one, wrk.

mod api;
mod crowd;
mod declare;
mod image;
mod instance;
mod serve;
mod start;
mod step;

use std::time::Duration;

use ::tests::rig::Rig;
use anyhow::Result;

use crate::limit::Unit;
use crate::report::Report;
use crate::sample::Estimate;

/// What can be measured by itself; each has its own section in docs/benchmarks.md.
pub(crate) const PARTS: [&str; 3] = ["start", "serve", "declare"];

/// How often a burst and a step are measured.
const fn rounds(quick: bool) -> usize {
    if quick { 2 } else { 15 }
}

/// How times are written.
const MS: Unit = Unit("ms", 1);

/// The container of a service that needs no image of its own.
const BUILT_IN: &str = r#""image":"sluice.dev/sample""#;

/// Measures one part.
pub(crate) fn measure(rig: &Rig, part: &str, quick: bool, report: &mut Report) -> Result<()> {
    match part {
        "start" => {
            start::measure(rig, quick, report)?;
            step::measure(rig, quick, report)
        }
        "serve" => serve::measure(rig, quick, report),
        _ => declare::measure(rig, quick, report),
    }
}

/// The value that a share of a sample is not above.
fn share(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or_default()
}

/// A row of times: the median with its interval, the worst.
fn spread(until: &str, taken: &[f64]) -> Vec<String> {
    vec![
        until.to_owned(),
        format!("{:.1}", Estimate::of(taken)),
        format!("{:.1}", share(taken, 100)),
        taken.len().to_string(),
    ]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
