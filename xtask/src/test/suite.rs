// SPDX-License-Identifier: Apache-2.0
//! The suites.
//!
//! Invariants: a suite calls what it needs of setup and build itself; `Err` is a failure of the suite, `Skipped` a lack
//! of the machine.
//! Depends on: setup, object, cluster, generation, kernels, fuzz, golden, bench, layers.

use super::generation::Other;
use crate::cluster::{Cluster, Tier};
use crate::object::{self, Variant};
use crate::tally::{Failures, LIMIT, Outcome, Tally, counted};
use crate::{bench, fuzz, golden, kernels, layers, place, process, setup};
use anyhow::Result;
use clap::ValueEnum;
use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::process::Command;

/// One suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Suite {
    /// rustfmt agrees
    Fmt,
    /// Arrows between crates, module cycles
    Layers,
    /// Licences, bans and sources of dependencies
    Deny,
    /// The BPF objects build, without a warning
    Object,
    /// clippy has nothing to say
    Clippy,
    /// Tests that need no privilege
    Plain,
    /// Clients that mean harm, beside one that does not
    Floods,
    /// Every case of what real Knative answered
    Golden,
    /// The daemon and its kernel crate on this kernel, the verifier's budget; needs root
    Root,
    /// Real sockets over network namespaces, real programs; needs root
    Netns,
    /// The request path as a process, between clients and pods that are not ours
    Path,
    /// Pods as processes: namespaces, cgroups, images; needs root
    Pods,
    /// A real kube-apiserver and our kinds
    Api,
    /// The controllers, on the embedded API and on a real kube-apiserver
    Control,
    /// The story of `cargo xtask demo`, which checks what it tells; needs root
    Demo,
    /// Each fuzz target for a short time
    FuzzShort,
    /// The benches work; their figures are not judged; needs root
    Bench,
    /// Kernels of Debian under QEMU: the machine's own release's, by name all that can be had
    Kernels,
}

/// How suites are run.
pub(crate) struct Manner {
    /// Nothing may be skipped, by the tests themselves neither.
    pub(crate) strict: bool,
    /// Only the cases with this in their name.
    pub(crate) case: Option<String>,
    /// Numbers of other kernels go into docs/kernels.md.
    pub(crate) record: bool,
    /// Suites were named; a run of everything takes the short form where a suite has one.
    pub(crate) is_named: bool,
    /// What the suite that runs says of its failures.
    pub(crate) failures: RefCell<Failures>,
}

impl Suite {
    /// In the order they run: cheap verdicts first.
    pub(crate) const ALL: [Self; 18] = [
        Self::Fmt,
        Self::Layers,
        Self::Deny,
        Self::Object,
        Self::Clippy,
        Self::Plain,
        Self::Floods,
        Self::Golden,
        Self::Root,
        Self::Netns,
        Self::Path,
        Self::Pods,
        Self::Api,
        Self::Control,
        Self::Demo,
        Self::FuzzShort,
        Self::Bench,
        Self::Kernels,
    ];

    /// Runs it.
    pub(crate) fn run(self, manner: &Manner) -> Result<Outcome> {
        match self {
            Self::Fmt => fmt(),
            Self::Layers => layers::run().map(|()| Outcome::Ran(Tally::PASSED)),
            Self::Deny => deny(),
            Self::Object => objects(),
            Self::Clippy => clippy(),
            Self::Plain => plain(manner),
            Self::Floods => floods(manner),
            Self::Golden => golden::tally(manner.case.as_deref()).map(Outcome::Ran),
            Self::Root => root(manner),
            Self::Netns => netns(manner),
            Self::Path => path(manner),
            Self::Pods => pods(manner),
            Self::Api => on_cluster(manner, "api-suite"),
            Self::Control => on_cluster(manner, "control-suite"),
            Self::Demo => demo(),
            Self::FuzzShort => fuzz_short(),
            Self::Bench => benches(),
            Self::Kernels => other_kernels(manner),
        }
    }

    /// Why this machine cannot run it.
    pub(crate) fn obstacle(self) -> Option<String> {
        if self.loads_programs() && !place::is_root() {
            return Some("needs root to load programs and make network namespaces".to_owned());
        }
        let purpose = match self {
            Self::Object => setup::Purpose::Build,
            Self::Root | Self::Netns => setup::Purpose::Test,
            Self::Path => setup::Purpose::Clients,
            Self::Demo => setup::Purpose::Demo,
            Self::FuzzShort => setup::Purpose::Fuzz,
            Self::Bench => setup::Purpose::Bench,
            Self::Kernels => setup::Purpose::Kernels,
            Self::Golden => return golden::obstacle(),
            Self::Fmt | Self::Layers | Self::Deny | Self::Clippy | Self::Plain | Self::Floods | Self::Pods => {
                return None;
            }
            Self::Api | Self::Control => return Cluster::prepare().err().map(|error| format!("{error:#}")),
        };
        setup::need(purpose).err().map(|error| format!("{error:#}"))
    }

    /// Whether some of it can be run alone, by name.
    pub(crate) fn has_cases(self) -> bool {
        match self {
            Self::Plain
            | Self::Floods
            | Self::Golden
            | Self::Root
            | Self::Netns
            | Self::Path
            | Self::Pods
            | Self::Api
            | Self::Control
            | Self::Kernels => true,
            Self::Fmt
            | Self::Layers
            | Self::Deny
            | Self::Object
            | Self::Clippy
            | Self::Demo
            | Self::FuzzShort
            | Self::Bench => false,
        }
    }

    fn loads_programs(self) -> bool {
        matches!(self, Self::Root | Self::Netns | Self::Pods | Self::Demo | Self::Bench)
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

fn fmt() -> Result<Outcome> {
    setup::lints()?;
    single(process::cargo().args(["fmt", "--all", "--check"]))
}

fn deny() -> Result<Outcome> {
    setup::lints()?;
    // Advisories are not asked: their database is a download of its own.
    let quiet = ["deny", "--log-level", "error", "--workspace"];
    single(
        process::cargo()
            .args(quiet)
            .args(["check", "licenses", "bans", "sources"]),
    )
}

/// The one that is embedded, the next generation's and the one with diagnostics.
fn objects() -> Result<Outcome> {
    let mut tally = Tally::default();
    for variant in [Variant::Plain, Variant::Abi(2), Variant::Log] {
        let object = object::build(variant)?;
        if object.warnings > 0 {
            eprintln!("object: {} warnings in {}", object.warnings, object.path.display());
        }
        tally = tally
            + if object.warnings == 0 {
                Tally::PASSED
            } else {
                Tally::FAILED
            };
    }
    Ok(Outcome::Ran(tally))
}

fn clippy() -> Result<Outcome> {
    setup::lints()?;
    let everything = ["clippy", "--workspace", "--exclude", "ebpf", "--all-targets"];
    single(process::cargo().args(everything).args(["--", "-D", "warnings"]))
}

/// The crates that test without privilege and without a kernel program.
const PURE: &[&str] = &[
    "abi",
    "wire",
    "logic",
    "api",
    "control",
    "golden",
    "life",
    "logic-bench",
    "proxy",
    "standalone",
    "xtask",
];

/// What `cargo test` is told to test, in one run: whole packages, or parts of them.
mod run {
    pub(super) const INNER: &[&str] = &["--package", "kernel", "--package", "sluice", "--lib", "--bins"];
    pub(super) const CALLED: &[&str] = &["--package", "sluice", "--test", "plain"];
    pub(super) const FLOODS: &[&str] = &["--package", "proxy", "--test", "floods"];
    pub(super) const ROOT: &[&str] = &["--package", "kernel", "--package", "sluice", "--test", "root"];
    pub(super) const BUDGET: &[&str] = &["--package", "tests", "--bins"];
    pub(super) const NETNS: &[&str] = &["--package", "tests", "--test", "netns"];
    pub(super) const PATH: &[&str] = &["--package", "path-suite"];
}

/// The pure crates whole; of the others what needs no privilege.
fn plain(manner: &Manner) -> Result<Outcome> {
    let pure = PURE.iter().flat_map(|name| ["--package", *name]).collect::<Vec<_>>();
    let pure = tests(&testing(manner, &pure));
    let inner = tests(&testing(manner, run::INNER));
    let called = tests(&testing(manner, run::CALLED));
    Ok(Outcome::Ran(pure + inner + called))
}

/// Those of the plain tests are ignored that take a process each.
fn floods(manner: &Manner) -> Result<Outcome> {
    let mut floods = testing(manner, run::FLOODS);
    floods.runner = ["--ignored", "--skip", "server_process"].map(str::to_owned).into();
    Ok(Outcome::Ran(tests(&floods)))
}

/// No tests, though the runner lists them: tests start them as processes of their own.
const PROCESSES: &[&str] = &[
    "counting::process_without_sys_admin",
    "faults::opening_without_privileges",
    "life::loading_process",
];

fn root(manner: &Manner) -> Result<Outcome> {
    object::build(Variant::Plain)?;
    let other = Other::build()?;
    let mut root = testing(manner, run::ROOT);
    for process in PROCESSES {
        root.runner.extend(["--skip".to_owned(), (*process).to_owned()]);
    }
    root.environment = other.environment()?.to_vec();
    // Clients that are not ours, of `sluice standalone`.
    root.environment.extend([
        ("SLUICE_KN", setup::kn()?),
        ("SLUICE_KUBECTL", Cluster::kubectl()?),
        ("SLUICE_OLD_KUBECTL", Cluster::old_kubectl()?),
    ]);
    let root = tests(&root);
    let budget = tests(&testing(manner, run::BUDGET));
    Ok(Outcome::Ran(root + budget))
}

fn netns(manner: &Manner) -> Result<Outcome> {
    object::build(Variant::Plain)?;
    // The cases of `steered` start it.
    process::run(process::cargo().args(["build", "--quiet", "--package", "sluice"]))?;
    let other = Other::build()?;
    let mut run = testing(manner, run::NETNS);
    run.environment = other.environment()?.to_vec();
    if manner.case.is_some() {
        run.runner.push("--nocapture".to_owned());
    }
    Ok(Outcome::Ran(tests(&run)))
}

/// Its tests start it.
fn path(manner: &Manner) -> Result<Outcome> {
    process::run(process::cargo().args(["build", "--quiet", "--package", "sluice"]))?;
    let mut run = testing(manner, run::PATH);
    run.environment.push(("SLUICE_H2SPEC", setup::h2spec()?));
    Ok(Outcome::Ran(tests(&run)))
}

/// No kernel program is loaded.
fn pods(manner: &Manner) -> Result<Outcome> {
    let mut cargo = process::cargo();
    cargo
        .args(["run", "--quiet", "--package", "pods-suite", "--"])
        .args(manner.case.as_deref());
    if manner.strict {
        cargo.env("CI", "true");
    }
    Ok(Outcome::Ran(counted(&mut cargo, &mut manner.failures.borrow_mut())))
}

/// The cluster ends with the suite, however the suite ends.
fn on_cluster(manner: &Manner, package: &str) -> Result<Outcome> {
    let cluster = Cluster::up(Tier::Api)?;
    let mut cargo = process::cargo();
    cargo
        .args(["run", "--quiet", "--package", package, "--"])
        .args(manner.case.as_deref())
        .env("SLUICE_CLUSTER", cluster.folder())
        .env("SLUICE_KUBECTL", Cluster::kubectl()?);
    if manner.strict {
        cargo.env("CI", "true");
    }
    Ok(Outcome::Ran(counted(&mut cargo, &mut manner.failures.borrow_mut())))
}

/// Played on the build that the other suites use: the demo's own takes minutes to optimise.
fn demo() -> Result<Outcome> {
    object::build(Variant::Plain)?;
    object::daemon(false)?;
    let mut story = Command::new(std::env::current_exe()?);
    story
        .args(["demo", "--sluice"])
        .arg(place::target().join("debug/sluice"));
    Ok(Outcome::Ran(verdict(&mut story)))
}

fn fuzz_short() -> Result<Outcome> {
    fuzz::short().map(Outcome::Ran)
}

fn benches() -> Result<Outcome> {
    object::build(Variant::Plain)?;
    let kernel = verdict(&mut bench::command(&["kernel", "--quick"]));
    let logic = verdict(&mut bench::command(&["logic", "--quick"]));
    Ok(Outcome::Ran(kernel + logic))
}

/// The short form loads every program in both tiers and runs one case of the suite. The whole takes six minutes, and
/// races that take nanoseconds elsewhere take milliseconds on emulated CPUs: it belongs to `soak`.
fn other_kernels(manner: &Manner) -> Result<Outcome> {
    let short = (!manner.is_named).then_some("a_sleeping_handler_is_in_flight");
    kernels::run(kernels::Choice {
        case: manner.case.as_deref().or(short),
        record: manner.record,
        others: manner.is_named,
    })
}

/// One yes or no among several.
fn verdict(command: &mut Command) -> Tally {
    let ended = process::follow_from_first(LIMIT, command, |_| ());
    match ended.and_then(|status| process::finish(status, command)) {
        Ok(()) => Tally::PASSED,
        Err(error) => {
            eprintln!("{error:#}");
            Tally::FAILED
        }
    }
}

/// A suite that is one yes or no.
fn single(command: &mut Command) -> Result<Outcome> {
    process::run(command).map(|()| Outcome::Ran(Tally::PASSED))
}

/// A run of `cargo test`.
struct Testing<'a> {
    manner: &'a Manner,
    arguments: Vec<String>,
    /// For the test binaries, beside the case's name.
    runner: Vec<String>,
    environment: Vec<(&'static str, PathBuf)>,
}

fn testing<'a>(manner: &'a Manner, arguments: &[&str]) -> Testing<'a> {
    let first = ["test", "--no-fail-fast"];
    Testing {
        manner,
        arguments: first.iter().chain(arguments).map(|&word| word.to_owned()).collect(),
        runner: Vec::new(),
        environment: Vec::new(),
    }
}

/// Runs tests by cargo and sums what they say.
fn tests(run: &Testing) -> Tally {
    let mut cargo = process::cargo();
    cargo.args(&run.arguments).envs(run.environment.iter().cloned());
    cargo.arg("--").args(&run.runner).args(&run.manner.case);
    if run.manner.strict {
        // What the tests look at before they skip.
        cargo.env("CI", "true");
    }
    counted(&mut cargo, &mut run.manner.failures.borrow_mut())
}

#[cfg(test)]
mod tests {
    use super::{PURE, run};
    use crate::process;
    use serde_json::Value;

    const RUNS: [&[&str]; 7] = [
        run::INNER,
        run::CALLED,
        run::FLOODS,
        run::ROOT,
        run::BUDGET,
        run::NETNS,
        run::PATH,
    ];

    /// Whether a run of these arguments has the tests of a target.
    fn has(arguments: &[&str], package: &str, kind: &str, name: &str) -> bool {
        let follow = |option, value| arguments.windows(2).any(|pair| pair == [option, value]);
        let parts = ["--lib", "--bins", "--test"];
        let is_whole = !parts.iter().any(|part| arguments.contains(part));
        let is_part = match kind {
            "lib" => arguments.contains(&"--lib"),
            "bin" => arguments.contains(&"--bins"),
            _ => follow("--test", name),
        };
        follow("--package", package) && (is_whole || is_part)
    }

    #[test]
    fn every_test_of_the_workspace_stands_in_a_suite() {
        let metadata = process::output(process::cargo().args(["metadata", "--no-deps", "--format-version", "1"]));
        let metadata: Value = serde_json::from_str(&metadata.unwrap()).unwrap();
        let (mut seen, mut missing) = (0, Vec::new());
        for package in metadata["packages"].as_array().unwrap() {
            let of = package["name"].as_str().unwrap();
            let targets = package["targets"].as_array().unwrap().iter();
            for target in targets.filter(|target| target["test"] == true) {
                let kind = target["kind"][0].as_str().unwrap();
                let name = target["name"].as_str().unwrap();
                let is_there = PURE.contains(&of) || RUNS.iter().any(|arguments| has(arguments, of, kind, name));
                seen += 1;
                missing.extend((!is_there).then(|| format!("{of}: {kind} {name}")));
            }
        }
        assert!(seen > 20, "{seen} targets");
        assert!(missing.is_empty(), "in no suite: {missing:?}");
    }
}
