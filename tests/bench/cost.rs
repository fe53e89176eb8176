// SPDX-License-Identifier: Apache-2.0
//! The programs' own time a request, by the kernel's statistics (kernel.bpf_stats_enabled).
//!
//! Invariants: the statistics are on in these runs only, and off again when the guard goes.
//! Depends on: site, limit, sample, report.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};
use kernel::{Hook, Kernel};

use crate::limit::{Unit, at_most};
use crate::report::Report;
use crate::sample::Estimate;
use crate::serve::CHUNKS;
use crate::site::{Load, Protocol, Site};

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// The statistics are on while this lives.
pub(crate) struct Statistics {
    before: String,
}

impl Statistics {
    /// Switches them on.
    pub(crate) fn on() -> Result<Self> {
        let before = fs::read_to_string(SWITCH).context(SWITCH)?;
        fs::write(SWITCH, "1").context(SWITCH)?;
        Ok(Self { before })
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        // Nothing depends on it: only other measurements would be slower.
        let _ = fs::write(SWITCH, &self.before);
    }
}

/// Time and runs of each program.
pub(crate) type Spent = BTreeMap<Hook, (u64, u64)>;

/// What each program has spent so far.
pub(crate) fn spent(kernel: &Kernel) -> Spent {
    let row = |(hook, info): (Hook, kernel::sys::program::ProgramInfo)| (hook, (info.run_time_ns, info.runs));
    kernel.programs().map(row).collect()
}

/// What each has spent since.
pub(crate) fn since(now: &Spent, before: &Spent) -> Spent {
    let difference = |(hook, (time, runs)): (&Hook, &(u64, u64))| {
        let (time_before, runs_before) = before.get(hook).copied().unwrap_or_default();
        (*hook, (time - time_before, runs - runs_before))
    };
    now.iter().map(difference).collect()
}

struct Case {
    name: &'static str,
    load: Load,
    /// Required and wished, µs.
    limits: Option<(&'static str, f64, f64)>,
}

/// Measures and reports.
pub(crate) fn measure(site: &Site<'_>, quick: bool, report: &mut Report) -> Result<()> {
    site.count()?;
    let mut rows = Vec::new();
    for case in cases(quick) {
        eprintln!("cost: {}", case.name);
        let rounds = if quick { 2 } else { 7 };
        let runs: Result<Vec<Cost>> = (0..rounds).map(|_| one(site, &case.load)).collect();
        let runs = runs?;
        let total = Estimate::of(&of(&runs, |cost| cost.total())).scaled(1e-3);
        if let Some((name, required, aim)) = case.limits {
            at_most(report, name, [required, aim], Unit("µs", 2), total);
        }
        rows.push(row(case.name, &runs, total));
    }
    site.uncount()?;
    report.table(
        "BPF time a request",
        "From the kernel's statistics; µs a request, over all programs, then each: ns a request in runs a request. \
         Every run contains the statistics' two clock reads, 40 to 70 ns: they are not taken off. HTTP/1.1 and 32 \
         connections unless said otherwise; h2c with 10 streams a connection shares packets between requests.",
        &["case", "µs a request", "ingress", "egress", "sock_ops"],
        rows,
    );
    Ok(())
}

fn cases(quick: bool) -> Vec<Case> {
    let load = |protocol, path| Load {
        protocol,
        path,
        ..Load::small(32)
    };
    let heads = Load {
        long_head: true,
        ..Load::small(32)
    };
    let case = |name, load, limits| Case { name, load, limits };
    let mut all = vec![
        case(
            "small",
            Load::small(32),
            Some(("T2 BPF time a small request", 1.5, 0.8)),
        ),
        case(
            "1 kB heads (14 fields)",
            heads,
            Some(("T2 BPF time a request with a 1 kB head", 2.5, 1.5)),
        ),
        case(
            "untracked port in the tracked cgroup",
            load(Protocol::Untracked, "small"),
            Some(("untracked traffic, a request", 0.4, 0.4)),
        ),
        case("new connection a request", load(Protocol::Closing, "small"), None),
    ];
    if !quick {
        all.extend([
            case("small, 1 connection", Load::small(1), None),
            case("h2c, 1 stream", load(Protocol::Http2 { streams: 1 }, "small"), None),
            case("h2c, 10 streams", load(Protocol::Http2 { streams: 10 }, "small"), None),
            case("100 chunks of 1 kB", load(Protocol::Http1, "chunks"), None),
            case("1 MB answers", load(Protocol::Http1, "large"), None),
        ]);
    }
    all
}

/// One run's time and runs a request.
struct Cost(BTreeMap<Hook, (f64, f64)>);

impl Cost {
    fn total(&self) -> f64 {
        self.0.values().map(|(time, _)| time).sum()
    }

    fn of(&self, hook: Hook) -> (f64, f64) {
        self.0.get(&hook).copied().unwrap_or_default()
    }
}

fn one(site: &Site<'_>, load: &Load) -> Result<Cost> {
    let (before, started) = (spent(&site.kernel), site.started()?);
    let connections = site.connections()?;
    let statistics = Statistics::on()?;
    let outcome = site.run(load, 1)?;
    drop(statistics);
    let counted = site.started()? - started;
    let requests = if load.protocol == Protocol::Untracked {
        outcome.requests
    } else {
        counted
    };
    if requests < outcome.requests || requests == 0 {
        bail!("{load:?}: {} requests, {counted} counted", outcome.requests);
    }
    let connections = site.connections()? - connections;
    if load.protocol == Protocol::Closing && connections < outcome.requests {
        bail!("{connections} connections for {} requests", outcome.requests);
    }
    let each = |(hook, (time, runs)): (Hook, (u64, u64))| {
        (hook, (time as f64 / requests as f64, runs as f64 / requests as f64))
    };
    Ok(Cost(
        since(&spent(&site.kernel), &before).into_iter().map(each).collect(),
    ))
}

fn of(runs: &[Cost], value: impl Fn(&Cost) -> f64) -> Vec<f64> {
    runs.iter().map(value).collect()
}

fn row(name: &str, runs: &[Cost], total: Estimate) -> Vec<String> {
    let mut row = vec![name.to_owned(), format!("{total:.2}")];
    for hook in [Hook::Ingress, Hook::Egress, Hook::SockOps] {
        let time = Estimate::of(&of(runs, |cost| cost.of(hook).0)).median;
        let times = Estimate::of(&of(runs, |cost| cost.of(hook).1)).median;
        row.push(format!("{time:.0} ns in {times:.2}"));
    }
    if name.contains("chunks") {
        row[1].push_str(&format!(" = {:.0} ns a chunk", total.median * 1e3 / CHUNKS as f64));
    }
    row
}
