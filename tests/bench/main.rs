// SPDX-License-Identifier: Apache-2.0
//! What counting and redirecting in the kernel cost (`cargo xtask bench kernel`), the request path (`… path`), and services on
//! one machine (`… standalone`).
//!
//! Problem: two CPUs shared with anything else make every single figure a matter of luck.
//! Mechanism: every comparison is made in pairs next to each other whose order is reversed every round; medians with
//! intervals are told, never the best run. What a program costs is taken from the kernel's own statistics, in runs of
//! their own because the statistics cost something too.
//! Invariants: "uncounted" has nothing attached, and the bench checks that the kernel counted exactly in the other runs;
//! nothing attaches outside the own cgroup subtree.
//! Depends on: kernel, the harness, wrk, h2load, taskset.

mod budget;
mod cost;
mod cpu;
mod limit;
mod load;
mod path;
mod record;
mod redirect;
mod report;
mod sample;
mod sections;
mod serve;
mod site;
mod snapshot;
mod standalone;
mod throughput;

use std::process::ExitCode;

use ::tests::rig::Rig;
use ::tests::role::{self, Job};
use anyhow::{Result, bail};

use crate::report::Report;
use crate::site::Site;

const JOBS: &[(&str, Job)] = &[
    ("bench-serve", serve::serve),
    ("bench-connect", redirect::connect),
    ("bench-relay", path::relay::run),
    ("bench-bytes", path::bytes::run),
    ("bench-hold", path::hold),
];

const USAGE: &str = "bench kernel [--quick] [--record] [--gate] [--only PART]…
bench budget [--record]
bench path [--quick] [--record] [--gate] [--only PART]…
bench standalone [--quick] [--record] [--gate] [--only PART]…
  --quick   few rounds of few cases: shows that it works, measures little
  --record  write docs/benchmarks.md (the full form only; of `path` and `standalone` each part by itself), or ebpf/budget.json
  --gate    fail when a required figure is missed
  --only    throughput, cost, redirect, snapshot, load or budget; of `path`: small, shapes or idle; of
            `standalone`: start, serve or declare; may be given again";

const PARTS: [&str; 6] = ["budget", "load", "cost", "redirect", "snapshot", "throughput"];

/// What is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Subject {
    #[default]
    Kernel,
    Path,
    Standalone,
}

impl Subject {
    fn parts(self) -> &'static [&'static str] {
        match self {
            Self::Kernel => &PARTS,
            Self::Path => &path::PARTS,
            Self::Standalone => &standalone::PARTS,
        }
    }
}

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    subject: Subject,
    quick: bool,
    record: bool,
    gate: bool,
    parts: Vec<String>,
}

fn main() -> ExitCode {
    role::play_if_asked(JOBS);
    match Options::of(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Options {
    fn of(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self::default();
        let mut arguments = arguments;
        match arguments.next().as_deref() {
            Some("kernel") | None => {}
            Some("path") => options.subject = Subject::Path,
            Some("standalone") => options.subject = Subject::Standalone,
            Some("budget") => options.parts.push("budget".to_owned()),
            Some(other) => bail!("there is no bench {other:?}\n{USAGE}"),
        }
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--record" => options.record = true,
                "--gate" => options.gate = true,
                "--only" => options.parts.extend(arguments.next()),
                _ => bail!("{argument:?} is not understood\n{USAGE}"),
            }
        }
        let known = options.subject.parts();
        if let Some(part) = options.parts.iter().find(|part| !known.contains(&part.as_str())) {
            bail!("there is no part {part:?}\n{USAGE}");
        }
        let is_partial = options.subject == Subject::Kernel && !options.is_budget() && !options.parts.is_empty();
        if options.record && (is_partial || options.quick && !options.is_budget()) {
            bail!("only the full form is recorded");
        }
        Ok(options)
    }

    fn is_budget(&self) -> bool {
        self.parts == ["budget"]
    }

    fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|wanted| wanted == part)
    }
}

/// Whether everything that must be met was met.
fn run(options: &Options) -> Result<bool> {
    let rig = Rig::new()?;
    if options.record && options.is_budget() {
        let outcome = budget::record(&rig);
        rig.register().undo_all();
        return outcome.map(|()| true);
    }
    if options.subject != Subject::Kernel {
        let outcome = run_parts(&rig, options);
        rig.register().undo_all();
        return Ok(outcome? || !options.gate);
    }
    let mut report = Report::default();
    let outcome = measure(&rig, options, &mut report);
    rig.register().undo_all();
    // What was measured before something failed may have taken minutes.
    println!("{}", report.text());
    outcome?;
    if options.record {
        record::record(&report)?;
    }
    Ok(tell_missed(&report) || !options.gate)
}

/// Says what was missed; whether nothing was.
fn tell_missed(report: &Report) -> bool {
    let missed = report.missed();
    for target in &missed {
        eprintln!("missed: {target}");
    }
    missed.is_empty()
}

/// Parts that each have a report of their own; whether all that must be met was met.
fn run_parts(rig: &Rig, options: &Options) -> Result<bool> {
    let mut is_met = true;
    for part in options.subject.parts().iter().filter(|part| options.wants(part)) {
        let mut report = Report::default();
        let outcome = match options.subject {
            Subject::Standalone => standalone::measure(rig, part, options.quick, &mut report),
            _ => path::measure(Site::new(rig)?, part, options.quick, &mut report),
        };
        println!("{}", report.text());
        outcome?;
        match options.subject {
            _ if !options.record => {}
            Subject::Standalone => record::record_standalone(part, &report)?,
            _ => record::record_path(part, &report)?,
        }
        is_met &= tell_missed(&report);
    }
    Ok(is_met)
}

fn measure(rig: &Rig, options: &Options, report: &mut Report) -> Result<()> {
    let quick = options.quick;
    if options.wants("budget") {
        budget::measure(rig, report)?;
    }
    if options.wants("load") {
        load::measure(rig, quick, report)?;
    }
    if !PARTS[2..].iter().any(|part| options.wants(part)) {
        return Ok(());
    }
    let site = Site::new(rig)?;
    if options.wants("cost") {
        cost::measure(&site, quick, report)?;
    }
    if options.wants("redirect") {
        redirect::measure(&site, quick, report)?;
    }
    if options.wants("snapshot") {
        snapshot::measure(&site, quick, report)?;
    }
    if options.wants("throughput") {
        throughput::measure(&site, quick, report)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Result<Options> {
        Options::of(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn only_the_full_form_is_recorded() {
        assert!(options("kernel --record --gate").is_ok_and(|options| options.record && options.gate));
        assert!(options("kernel --record --quick").is_err());
        assert!(options("kernel --record --only cost").is_err());
    }

    #[test]
    fn parts_of_the_path_are_recorded_one_by_one() {
        assert!(options("path --record --only idle").is_ok_and(|options| options.subject == Subject::Path));
        assert!(options("path --record --quick").is_err());
        assert!(options("path --only cost").is_err());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(options("daemon").is_err());
        assert!(options("kernel --fast").is_err());
        assert!(options("kernel --only everything").is_err());
    }

    #[test]
    fn without_a_choice_all_parts_run() {
        let all = options("kernel --quick").unwrap();
        assert!(PARTS.iter().all(|part| all.wants(part)));
        let one = options("kernel --only cost").unwrap();
        assert!(one.wants("cost") && !one.wants("load"));
    }
}
