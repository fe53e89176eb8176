// SPDX-License-Identifier: Apache-2.0
//! Tables and verdicts; docs/benchmarks.md.
//!
//! Invariants: the file names the command, the date, the kernel and the number of CPUs, and nothing else of the machine.
//! Depends on: site.

use std::fmt::Write as _;
use std::path::Path;

use ::tests::rig;
use anyhow::{Context, Result};

use crate::cpu;

/// A figure that something is required of.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) required: String,
    pub(crate) aim: String,
    pub(crate) measured: String,
    pub(crate) is_met: bool,
    pub(crate) is_aim_met: bool,
}

/// All that was measured.
#[derive(Default)]
pub(crate) struct Report {
    targets: Vec<Target>,
    tables: Vec<String>,
}

impl Report {
    /// Adds a figure that something is required of.
    pub(crate) fn target(&mut self, target: Target) {
        self.targets.push(target);
    }

    /// Adds a table with what must be known to read it.
    pub(crate) fn table(&mut self, title: &str, note: &str, head: &[&str], rows: Vec<Vec<String>>) {
        let head: Vec<String> = head.iter().map(|&word| word.to_owned()).collect();
        self.tables
            .push(format!("## {title}\n\n{note}\n\n{}", table(&head, &rows)));
    }

    /// Targets whose required figure was missed.
    pub(crate) fn missed(&self) -> Vec<String> {
        let missed = self.targets.iter().filter(|target| !target.is_met);
        missed
            .map(|target| format!("{}: {} (required {})", target.name, target.measured, target.required))
            .collect()
    }

    /// Everything, as Markdown.
    pub(crate) fn text(&self) -> String {
        let head = ["figure", "required", "aim", "measured", "verdict"].map(str::to_owned);
        let row = |target: &Target| {
            let verdict = match (target.is_met, target.is_aim_met) {
                (false, _) => "MISSED",
                (true, false) => "met",
                (true, true) => "met, and the aim",
            };
            vec![
                target.name.to_owned(),
                target.required.clone(),
                target.aim.clone(),
                target.measured.clone(),
                verdict.to_owned(),
            ]
        };
        let rows: Vec<Vec<String>> = self.targets.iter().map(row).collect();
        let mut text = format!("## Targets\n\n{}", table(&head, &rows));
        for table in &self.tables {
            text.push('\n');
            text.push_str(table);
        }
        text
    }

    /// Writes docs/benchmarks.md.
    pub(crate) fn record(&self) -> Result<()> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
        std::fs::write(&path, format!("{}\n{}", preface()?, self.text())).context("docs/benchmarks.md")?;
        eprintln!("docs/benchmarks.md is written");
        Ok(())
    }
}

fn preface() -> Result<String> {
    let date = rig::run("date", &["-u", "+%Y-%m-%d"])?;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").context("the kernel's version")?;
    let load = std::fs::read_to_string("/proc/loadavg").context("the load average")?;
    let load: Vec<&str> = load.split(' ').take(3).collect();
    Ok(format!(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench kernel --record`; do not edit. {}, Linux {}, {} CPUs ({}), load average at the end \
         {} (the bench's own included). Figures of a shared virtual machine: compare within a table, not between machines.\n\n\
         How: server (hyper, one thread) in a network namespace and a cgroup of its own, on the last CPU; wrk or h2load on \
         the first CPU in another namespace; one veth pair between them. Uncounted: nothing attached. Runs are \
         interleaved and their order is reversed every round. `median [low, high]`: the interval holds the median with \
         95 %, by order statistics.\n\n\
         T13 (exact without loss, flagged under loss, 0 at rest) is no figure of speed: the network suite \
         holds it, `cargo xtask test netns`, and over all seeds `SLUICE_LONG=1 cargo xtask test netns`.\n",
        date.trim(),
        kernel.trim(),
        cpu::cpus(),
        std::env::consts::ARCH,
        load.join(" "),
    ))
}

fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default().max(head[column].chars().count())
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    let mut line = |row: &[String]| {
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a string does not fail.
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
    };
    line(head);
    line(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>());
    for row in rows {
        line(row);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_figure_is_told_and_others_are_not() {
        let target = |name, is_met| Target {
            name,
            required: "1".to_owned(),
            aim: "1".to_owned(),
            measured: "2".to_owned(),
            is_met,
            is_aim_met: false,
        };
        let mut report = Report::default();
        report.target(target("good", true));
        report.target(target("bad", false));
        assert_eq!(report.missed(), ["bad: 2 (required 1)"]);
        assert!(report.text().contains("MISSED"));
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let head = ["a", "b"].map(str::to_owned);
        let rows = vec![vec!["µs".to_owned(), "long".to_owned()]];
        assert_eq!(table(&head, &rows), "| a  | b    |\n| -- | ---- |\n| µs | long |\n");
    }
}
