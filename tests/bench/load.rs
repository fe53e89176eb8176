// SPDX-License-Identifier: Apache-2.0
//! How long a start takes: loading, attaching, adopting.
//!
//! Depends on: kernel, sample, report.

use std::time::Instant;

use ::tests::rig::Rig;
use anyhow::{Context, Result};
use kernel::{Hooks, Kernel, Settings};
use nix::sys::resource::{UsageWho, getrusage};

use crate::report::{Report, Target};
use crate::sample::Estimate;

const REQUIRED: f64 = 150.0;

/// Measures and reports.
pub(crate) fn measure(rig: &Rig, quick: bool, report: &mut Report) -> Result<()> {
    eprintln!("load");
    let rounds = if quick { 3 } else { 21 };
    let runs: Result<Vec<Start>> = (0..rounds).map(|_| start(rig)).collect();
    let runs = runs?;
    let of = |value: fn(&Start) -> f64| Estimate::of(&runs.iter().map(value).collect::<Vec<_>>());
    let total = of(|run| run.open + run.attach);
    report.target(Target {
        name: "load and attach",
        required: format!("< {REQUIRED} ms"),
        aim: format!("< {REQUIRED} ms"),
        measured: format!("{total:.0} ms"),
        is_met: total.median < REQUIRED,
        is_aim_met: total.median < REQUIRED,
    });
    report.table(
        "Start",
        "Milliseconds, with the daemon's usual map sizes and all seven programs (verified side by side on the CPUs there \
         are). Load includes probing the kernel; adopting is a restart beside pinned maps and attached programs, which \
         are swapped.",
        &["step", "ms", "runs"],
        [
            ("load", of(|run| run.open)),
            ("load, CPU time", of(|run| run.cpu)),
            ("attach to a cgroup", of(|run| run.attach)),
            ("load and attach", total),
            ("adopt and swap", of(|run| run.adopt)),
        ]
        .into_iter()
        .map(|(step, time)| vec![step.to_owned(), format!("{time:.1}"), time.size.to_string()])
        .collect(),
    );
    Ok(())
}

struct Start {
    cpu: f64,
    open: f64,
    attach: f64,
    adopt: f64,
}

fn start(rig: &Rig) -> Result<Start> {
    let (pins, _kept) = rig.pins();
    let cgroup = rig.cgroup().child("load")?;
    let settings = Settings::at(&pins);
    let both = Hooks {
        account: true,
        redirect: true,
    };
    let before = cpu()?;
    let (open, kernel) = timed(|| Kernel::open(settings.clone()).context("loading"))?;
    let cpu = cpu()? - before;
    let (attach, ()) = timed(|| kernel.attach(cgroup.path(), both).context("attaching"))?;
    drop(kernel);
    let (adopt, kernel) = timed(|| Kernel::open(settings.clone()).context("adopting"))?;
    drop(kernel);
    kernel::cleanup(&settings)?;
    Ok(Start {
        cpu,
        open,
        attach,
        adopt,
    })
}

/// Milliseconds that this process has computed: what a start takes on a machine that has something else to do.
fn cpu() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let milliseconds = [usage.user_time(), usage.system_time()].map(|time| {
        let seconds = time.tv_sec() as f64;
        seconds * 1e3 + time.tv_usec() as f64 * 1e-3
    });
    Ok(milliseconds.iter().sum())
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let begun = Instant::now();
    let done = work()?;
    Ok((begun.elapsed().as_secs_f64() * 1e3, done))
}
