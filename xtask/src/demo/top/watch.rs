// SPDX-License-Identifier: Apache-2.0
//! `sluice top -o json`, read line by line.
//!
//! Invariants: the process ends with its owner.
//! Depends on: process, the daemon.

use crate::demo::interrupt::{Interrupt, MOMENT};
use crate::process::{self, Running};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fmt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Above the rows.
pub(super) const HEADING: &str = "in flight  mean 1 s   req/s      p50      p99   started     ended  conns  uncertain";

/// Longer than it takes to load, attach and count for a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// A `sluice top` that runs.
pub(super) struct Top {
    process: Running,
    lines: Receiver<String>,
}

/// What one line says.
pub(super) struct Reading {
    pub(super) in_flight: u64,
    pub(super) started: u64,
    pub(super) ended: u64,
    concurrency: Option<f64>,
    rate: Option<f64>,
    latency: [Option<f64>; 2],
    connections: u64,
    uncertain: u64,
}

impl Top {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut process = Running(child.context("starting sluice top")?);
        let lines = process::lines_of(&mut process)?;
        Ok(Self { process, lines })
    }

    /// The next line.
    pub(super) fn next(&mut self, interrupt: &Interrupt) -> Result<Reading> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            interrupt.check()?;
            match self.lines.recv_timeout(MOMENT) {
                Ok(line) => return Reading::of(&line).with_context(|| format!("reading {line:?}")),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    // Ctrl-C reaches it as well, and perhaps first.
                    interrupt.sleep(MOMENT)?;
                    bail!("sluice top ended too early");
                }
            }
        }
        bail!("sluice top says nothing");
    }

    /// What no process can prepare for.
    pub(super) fn kill_9(mut self) -> Result<()> {
        self.process.0.kill().context("killing sluice top")
    }

    /// Asks it to end, and waits.
    pub(super) fn end(mut self) -> Result<()> {
        let status = process::end(&mut self.process)?;
        ensure!(status.success(), "sluice top ended with {status}");
        Ok(())
    }
}

impl Reading {
    fn of(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        let count = |path: &str| line.pointer(path).and_then(Value::as_u64);
        let figure = |path: &str| line.pointer(path).and_then(Value::as_f64);
        Some(Self {
            in_flight: count("/in_flight")?,
            started: count("/started")?,
            ended: count("/ended")?,
            concurrency: figure("/concurrency/1s"),
            rate: figure("/requests_per_second"),
            latency: [figure("/latency_ms/p50"), figure("/latency_ms/p99")],
            connections: count("/connections/open")?,
            uncertain: count("/connections/uncertain")?,
        })
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99] = self.latency.map(|time| cell(time, 1, " ms"));
        write!(
            f,
            "{:>9} {:>9} {:>7} {p50:>8} {p99:>8} {:>9} {:>9} {:>6} {:>10}",
            self.in_flight,
            cell(self.concurrency, 2, ""),
            cell(self.rate, 0, ""),
            self.started,
            self.ended,
            self.connections,
            self.uncertain
        )
    }
}

fn cell(figure: Option<f64>, digits: usize, unit: &str) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.digits$}{unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_stands_below_its_heading() {
        let line = r#"{"in_flight":1,"started":3,"ended":2,"concurrency":{"1s":null},"requests_per_second":1.5,
            "latency_ms":{"p50":1.0,"p99":2.0},"connections":{"open":1,"uncertain":0}}"#;
        let row = Reading::of(line).unwrap().to_string();
        assert_eq!(row.len(), HEADING.len());
        let ends = |text: &str| -> Vec<usize> {
            let places = text.match_indices(' ').map(|(place, _)| place);
            places.filter(|&place| !text[..place].ends_with(' ')).collect()
        };
        assert!(ends(&row).last() == ends(HEADING).last(), "{row}");
        assert!(Reading::of("{}").is_none());
    }
}
