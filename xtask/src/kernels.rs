// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask test kernels`: the network suite on kernels that are not this machine's.
//!
//! Problem: one object has to load and count on every kernel; a verifier is only known by asking it.
//! Mechanism: each kernel in `target/kernels` boots under QEMU with an initramfs made of busybox, the suite's own test
//! binary and the tools it runs (`initramfs`); the guest's console carries the runner's result lines, which are summed.
//! Invariants: nothing is installed; a guest that says no verdict has failed; a guest has a limit of time and is killed
//! with its owner. Emulation by `tcg`: `kvm` is not to be had everywhere.
//! Depends on: setup, object, tally, process.

mod initramfs;

use crate::object::{self, Variant};
use crate::place;
use crate::process;
use crate::setup::{self, Kernel};
use crate::tally::{Outcome, Tally};
use anyhow::{Context, Result, bail};
use initramfs::Initramfs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A guest that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(40 * 60);
/// Kernels worth a run that no package of Debian 12 offers: named, so that nobody takes them for tested.
const UNTESTED: &[&str] = &["5.10", "5.15", "5.17", "6.6", "6.12"];

/// Runs the suite, or its cases with `case` in their name, on every kernel that is there.
pub(crate) fn run(case: Option<&str>) -> Result<Outcome> {
    setup::need(setup::Purpose::Kernels)?;
    object::build(Variant::Plain)?;
    object::build(Variant::Abi(2))?;
    object::daemon(false)?;
    let suite = suite_binary()?;
    let mut tally = Tally::default();
    for kernel in setup::unpacked_kernels() {
        tally = tally + on(&kernel, &suite, case)?;
    }
    eprintln!(
        "kernels: untested, because they cannot be had here: {}",
        UNTESTED.join(", ")
    );
    Ok(Outcome::Ran(tally))
}

fn on(kernel: &Kernel, suite: &Path, case: Option<&str>) -> Result<Tally> {
    eprintln!("kernels: {} under QEMU", kernel.release);
    let archive = pack(kernel, suite, case)?;
    let mut verdict = Verdict::default();
    process::follow_for(LIMIT, &mut qemu(kernel, &archive), |line| verdict.read(line))?;
    verdict.tally().with_context(|| format!("kernel {}", kernel.release))
}

fn pack(kernel: &Kernel, suite: &Path, case: Option<&str>) -> Result<PathBuf> {
    let initramfs = Initramfs::empty(
        place::target()
            .join("kernels")
            .join(format!("{}.initramfs", kernel.release)),
    )?;
    for tool in ["ip", "nft", "curl", "nghttp", "h2load"] {
        initramfs.program(tool)?;
    }
    initramfs.binary(suite, Path::new("/suite/netns"))?;
    initramfs.binary(&place::target().join("debug/sluice"), Path::new("/suite/sluice"))?;
    for variant in [Variant::Plain, Variant::Abi(2)] {
        // Where the tests look for it on the host.
        initramfs.file(&variant.path(), &variant.path())?;
    }
    initramfs.folder(&place::root().join("tests"))?;
    initramfs.modules(&kernel.modules)?;
    // The no-loss suite: emulation is too slow for the statistics of the rest.
    let arguments = case.map_or_else(|| "--skip loss".to_owned(), |case| format!("--nocapture '{case}'"));
    initramfs.init(&place::root().join("tests"), case.is_some(), &arguments)?;
    initramfs.pack()
}

fn qemu(kernel: &Kernel, archive: &Path) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "3072"])
        .args(["-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(archive)
        .args(["-append", "console=ttyS0 quiet panic=-1 loglevel=3"]);
    command
}

/// The test binary of the network suite, as cargo builds it.
fn suite_binary() -> Result<PathBuf> {
    let mut cargo = process::cargo();
    cargo.args([
        "test",
        "--package",
        "tests",
        "--test",
        "netns",
        "--no-run",
        "--message-format",
        "json-render-diagnostics",
    ]);
    let messages = process::output(&mut cargo)?;
    let mut executables = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_suite = message.pointer("/target/name")?.as_str()? == "netns";
        is_suite.then(|| message.get("executable")?.as_str().map(PathBuf::from))?
    });
    executables
        .next_back()
        .context("cargo built no test binary called netns")
}

/// What the guest's console said.
#[derive(Default)]
struct Verdict {
    tests: Tally,
    check: Option<bool>,
    suite: Option<bool>,
}

impl Verdict {
    fn read(&mut self, line: &str) {
        self.tests.read(line);
        let words: Vec<_> = line.split_whitespace().collect();
        if let ["guest:", what, "ended", "with", code] = words[..] {
            match what {
                "check" => self.check = Some(code == "0"),
                "suite" => self.suite = Some(code == "0"),
                _ => {}
            }
        }
    }

    fn tally(&self) -> Result<Tally> {
        let (Some(check), Some(suite)) = (self.check, self.suite) else {
            bail!("the guest ended without a verdict");
        };
        let check = if check { Tally::PASSED } else { Tally::FAILED };
        let crashed = !suite && self.tests.failed == 0;
        Ok(self.tests + check + if crashed { Tally::FAILED } else { Tally::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Result<Tally> {
        let mut verdict = Verdict::default();
        text.lines().for_each(|line| verdict.read(line));
        verdict.tally()
    }

    const RESULT: &str = "test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";

    #[test]
    fn a_guest_that_falls_silent_has_failed() {
        assert!(verdict(RESULT).is_err());
        assert!(verdict("guest: check ended with 0").is_err());
    }

    #[test]
    fn check_counts_as_one() {
        let text = format!("guest: check ended with 0\n{RESULT}\nguest: suite ended with 0\n");
        assert_eq!(
            verdict(&text).unwrap(),
            Tally {
                passed: 5,
                failed: 0,
                skipped: 0
            }
        );
        let text = format!("guest: check ended with 3\n{RESULT}\nguest: suite ended with 0\n");
        assert_eq!(
            verdict(&text).unwrap(),
            Tally {
                passed: 4,
                failed: 1,
                skipped: 0
            }
        );
    }

    #[test]
    fn a_suite_that_crashes_is_one_failure() {
        let text = "guest: check ended with 0\nguest: suite ended with 139\n";
        assert_eq!(
            verdict(text).unwrap(),
            Tally {
                passed: 1,
                failed: 1,
                skipped: 0
            }
        );
    }
}
