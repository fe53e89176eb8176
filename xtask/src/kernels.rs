// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask test kernels`: the network suite on kernels that are not this machine's.
//!
//! Problem: one object has to load and count on every kernel; a verifier is only known by asking it, and what an old
//! kernel does without only on that kernel.
//! Mechanism: each kernel in `target/kernels` boots under QEMU with an initramfs made of busybox, `sluice`,
//! `kernel-probe` (loads every program in both tiers), the suite's own test binary and the tools it runs (`initramfs`);
//! what the guest's console says is summed and put into a table (`report`).
//! A kernel that cannot read requests (`Kernel::tier`) has to say so, in `check`, `top` and by the tier; the suite is not run.
//! Invariants: nothing is installed; a guest that says no verdict has failed; a guest has a limit of time and is killed
//! with its owner. Emulation by `tcg`: `kvm` is not to be had everywhere. The suite is optimised: emulation is slow
//! enough.
//! Depends on: setup, object, tally, process.

mod initramfs;
mod report;

use crate::object::{self, Variant};
use crate::place;
use crate::process;
use crate::setup::{self, Kernel};
use crate::tally::{Outcome, Tally};
use anyhow::{Context, Result};
use initramfs::Initramfs;
use report::{Answer, Report};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A guest that takes longer hangs. (The whole suite takes six minutes of two CPUs, several times that where they are shared.)
const LIMIT: Duration = Duration::from_secs(60 * 60);
/// TCG with several threads loses an exchange of 16 bytes now and then, and the kernel of 6.12 panics in its allocator before
/// it runs a program of ours: so often a guest is booted until one gets there.
const BOOTS: usize = 3;
/// Kernels worth a run; those that were not to be had are named, so that nobody takes them for tested.
const WORTH: &[&str] = &["5.10", "5.15", "5.17", "6.6", "6.12"];
/// The suite without loss and delay, whose statistics emulation is too slow for. The names are the suite's.
///
/// Left out besides: the hand-over between ABIs, which needs a second binary; a case that reads thousands of snapshots;
/// and where the daemon itself is what emulation is too slow for: slots, which load no program, and a case that needs
/// more requests a second through it than it does there.
const WITHOUT_LOSS: &str = "--skip _lost_ --skip _delayed_ --skip an_abi_upgrade --skip snapshots_read_without_a_pause \
    --skip slots:: --skip sixty_four_clients";
/// What makes an emulated kernel slow and is not under test: zeroed pages, mitigations, unhurried grace periods.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 loglevel=3 mitigations=off init_on_alloc=0 audit=0 \
    rcupdate.rcu_expedited=1";

/// What to run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Choice<'a> {
    /// Only the cases with this in their name.
    pub(crate) case: Option<&'a str>,
    /// Write the table into docs/kernels.md.
    pub(crate) record: bool,
    /// Those of other Debian releases, too.
    pub(crate) others: bool,
}

/// What goes into the guest.
struct Binaries {
    daemon: PathBuf,
    probe: PathBuf,
    suite: PathBuf,
}

/// Runs the choice on every kernel that is there.
pub(crate) fn run(choice: Choice<'_>) -> Result<Outcome> {
    setup::need(setup::Purpose::Kernels)?;
    object::build(Variant::Plain)?;
    object::build(Variant::Abi(2))?;
    object::daemon(false)?;
    let binaries = Binaries::build()?;
    let mut tally = Tally::default();
    let mut rows = Vec::new();
    for kernel in chosen(choice.others) {
        let report = on(&kernel, &binaries, choice.case)?;
        let its = report.tally().with_context(|| format!("kernel {}", kernel.release))?;
        println!("kernels: {}: {its}", kernel.release);
        tally = tally + its;
        rows.push((kernel, report.into_answers()));
    }
    show(&rows, tally, choice.record)?;
    Ok(Outcome::Ran(tally))
}

fn chosen(others: bool) -> Vec<Kernel> {
    if others {
        setup::fetch_other_kernels();
    }
    setup::unpacked_kernels(others)
}

fn show(rows: &[(Kernel, Vec<Answer>)], tally: Tally, record: bool) -> Result<()> {
    let table = report::table(rows);
    println!("\n{table}");
    for complaint in report::complaints(rows) {
        println!("kernels: {complaint}");
    }
    let is_tested = |version: &str| rows.iter().any(|(kernel, _)| kernel.is(version));
    let untested: Vec<_> = WORTH.iter().copied().filter(|version| !is_tested(version)).collect();
    println!("kernels: untested: {}", untested.join(", "));
    if record {
        report::record(&place::root().join("docs/kernels.md"), &table, tally, &untested)?;
    }
    Ok(())
}

fn on(kernel: &Kernel, binaries: &Binaries, case: Option<&str>) -> Result<Report> {
    eprintln!("kernels: {} under QEMU", kernel.release);
    let archive = pack(kernel, binaries, case)?;
    for _ in 1..BOOTS {
        let report = boot(kernel, &archive)?;
        if report.has_begun() {
            return Ok(report);
        }
        eprintln!(
            "kernels: {}: the emulated machine did not get as far as our init; once more",
            kernel.release
        );
    }
    boot(kernel, &archive)
}

fn boot(kernel: &Kernel, archive: &Path) -> Result<Report> {
    let mut report = Report::of(kernel.tier());
    process::follow_for(LIMIT, &mut qemu(kernel, archive), |line| report.read(line))?;
    Ok(report)
}

fn pack(kernel: &Kernel, binaries: &Binaries, case: Option<&str>) -> Result<PathBuf> {
    let initramfs = Initramfs::empty(
        place::target()
            .join("kernels")
            .join(format!("{}.initramfs", kernel.release)),
    )?;
    for tool in ["ip", "nft", "ethtool", "nstat", "curl", "nghttp", "h2load"] {
        initramfs.program(tool)?;
    }
    initramfs.binary(&binaries.suite, Path::new("/suite/netns"))?;
    initramfs.binary(&binaries.probe, Path::new("/suite/kernel-probe"))?;
    initramfs.binary(&binaries.daemon, Path::new("/suite/sluice"))?;
    for variant in [Variant::Plain, Variant::Abi(2)] {
        // Where the tests look for it on the host.
        initramfs.file(&variant.path(), &variant.path())?;
    }
    initramfs.folder(&place::root().join("tests"))?;
    initramfs.modules(&kernel.modules)?;
    let arguments = case.map_or_else(|| WITHOUT_LOSS.to_owned(), |case| format!("--nocapture '{case}'"));
    let arguments = if kernel.tier() == "exact" {
        arguments
    } else {
        String::new()
    };
    initramfs.init(&place::root().join("tests"), case.is_some(), &arguments)?;
    initramfs.pack()
}

fn qemu(kernel: &Kernel, archive: &Path) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args(["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max"])
        .args(["-smp", "2", "-m", "2048"])
        .args(["-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(archive)
        .args(["-append", COMMAND_LINE]);
    command
}

impl Binaries {
    /// A test's build makes the programs of its package too.
    fn build() -> Result<Self> {
        let mut cargo = process::cargo();
        cargo.args(["test", "--release", "--package", "tests", "--test", "netns", "--no-run"]);
        cargo.args(["--message-format", "json-render-diagnostics"]);
        eprintln!("kernels: building the suite, optimised");
        let messages = process::output(&mut cargo)?;
        Ok(Self {
            daemon: place::target().join("debug/sluice"),
            probe: executable(&messages, "kernel-probe")?,
            suite: executable(&messages, "netns")?,
        })
    }
}

/// The program of that name among what cargo says it built.
fn executable(messages: &str, name: &str) -> Result<PathBuf> {
    let mut executables = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_it = message.pointer("/target/name")?.as_str()? == name;
        is_it.then(|| message.get("executable")?.as_str().map(PathBuf::from))?
    });
    executables
        .next_back()
        .with_context(|| format!("cargo built no program called {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_among_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"netns"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"netns"},"executable":"/a/netns-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "netns").unwrap(), Path::new("/a/netns-1"));
        assert!(executable(messages, "kernel-probe").is_err());
    }
}
