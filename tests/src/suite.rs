// SPDX-License-Identifier: Apache-2.0
//! From a table of cases to a test binary.
//!
//! Invariants: where privilege is lacking every case reports *skipped* with the reason, and the run fails under
//! `--require`, `CI=true` or `SLUICE_REQUIRE=1`: green means ran.
//! Depends on: libtest-mimic, rig.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::rig::Rig;
use crate::scene::{Disturbed, Scene};

type Run = dyn Fn(&Rig) -> anyhow::Result<()> + Send;

/// A case: its name is a claim.
pub struct Case {
    name: String,
    run: Box<Run>,
}

/// How often a case is run whose network reordered by itself, which the kernel's TCP has to have counted.
const RUNS: u32 = 3;

/// A case on a field of its own.
pub fn case(name: impl Into<String>, run: impl Fn(&mut Scene<'_>) -> anyhow::Result<()> + Send + 'static) -> Case {
    let name = name.into();
    let short = name.rsplit("::").next().unwrap_or_default().to_owned();
    let claim = name.clone();
    case_on_rig(name, move |rig| {
        for attempt in 1..RUNS {
            match run(&mut Scene::new(rig, &short)?) {
                Err(error) if error.is::<Disturbed>() => println!("{claim}, run {attempt} of {RUNS}: {error:#}"),
                done => return done,
            }
        }
        run(&mut Scene::new(rig, &short)?)
    })
}

/// A case that makes its own surroundings.
pub fn case_on_rig(name: impl Into<String>, run: impl Fn(&Rig) -> anyhow::Result<()> + Send + 'static) -> Case {
    Case {
        name: name.into(),
        run: Box::new(run),
    }
}

/// True for the long form (`SLUICE_LONG=1`): all seeds, all sizes.
pub fn is_long() -> bool {
    std::env::var_os("SLUICE_LONG").is_some_and(|value| value == "1")
}

/// Runs cases as `cargo test` would.
pub fn main(cases: Vec<Case>) -> ExitCode {
    let given: Vec<String> = std::env::args().collect();
    let must_run =
        given.iter().any(|argument| argument == "--require") || is_set("CI", "true") || is_set("SLUICE_REQUIRE", "1");
    let mut arguments = Arguments::from_iter(given.into_iter().filter(|argument| argument != "--require"));
    if arguments.test_threads.is_none() {
        arguments.test_threads = Some(2);
    }
    let rig = if arguments.list {
        Err(anyhow::anyhow!("only listing"))
    } else {
        Rig::new()
    };
    let why = rig.as_ref().err().map(|error| format!("{error:#}"));
    if let Some(why) = why.as_ref().filter(|_| !arguments.list) {
        println!("skipped: {why}");
        if must_run {
            return ExitCode::FAILURE;
        }
    }
    let rig = rig.ok();
    let trials = cases.into_iter().map(|case| trial(case, rig.clone())).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(rig) = rig {
        rig.register().undo_all();
    }
    conclusion.exit_code()
}

fn trial(case: Case, rig: Option<Arc<Rig>>) -> Trial {
    let Case { name, run } = case;
    let skipped = rig.is_none();
    Trial::test(name, move || match rig {
        Some(rig) => run(&rig).map_err(|error| Failed::from(format!("{error:#}"))),
        None => Err(Failed::from("skipped: the ground is missing")),
    })
    .with_ignored_flag(skipped)
}

fn is_set(name: &str, value: &str) -> bool {
    std::env::var_os(name).is_some_and(|found| found == value)
}
