// SPDX-License-Identifier: Apache-2.0
//! The suite `pods`: what a pod of standalone is, on this machine's kernel.
//!
//! Problem: namespaces, cgroups, mounts and signals can only be believed when real processes have met them.
//! Mechanism: every case has a runner with names and addresses of its own; this program is also what runs in the pods
//! (`app`), what starts them (`pod-start`) and, for cases that kill one, a runner by itself (`runner`).
//! Invariants: whatever a case made is removed, also when it fails; without root every case is skipped, and failed
//! under `CI=true`.
//! Depends on: standalone (runner, state).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a suite: this is how a case, or what runs in its pods, fails"
)]

mod app;
mod bench;
mod disk;
mod ends;
mod images;
mod limits;
mod machine;
mod network;
mod probes;
mod restart;
mod spec;

use std::ffi::OsString;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::machine::Machine;

/// A case: what it claims, and how that is checked.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) check: fn(&Machine) -> anyhow::Result<()>,
}

fn main() -> ExitCode {
    let given: Vec<OsString> = std::env::args_os().skip(1).collect();
    match given.split_first() {
        Some((word, rest)) if word == standalone::runner::COMMAND => return standalone::runner::start(rest),
        Some((word, rest)) if word == "app" => return app::run(rest),
        Some((word, rest)) if word == "runner" => return restart::run(rest),
        Some((word, _)) if word == "bench" => return bench::run(),
        _ => {}
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(2));
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: not root: namespaces and cgroups cannot be made");
        let must_run = std::env::var_os("CI").is_some_and(|value| value == "true");
        return if must_run { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let cases = network::CASES
        .iter()
        .chain(spec::CASES)
        .chain(probes::CASES)
        .chain(ends::CASES)
        .chain(limits::CASES)
        .chain(images::CASES)
        .chain(restart::CASES)
        .chain(disk::CASES);
    let trials = cases.map(trial).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(case: &'static Case) -> Trial {
    Trial::test(case.name, || {
        let machine = Machine::new().map_err(|error| Failed::from(format!("{error:#}")))?;
        let checked = (case.check)(&machine).and_then(|()| machine.end());
        checked.map_err(|error| Failed::from(format!("{error:#}")))
    })
}
