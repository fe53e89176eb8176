// SPDX-License-Identifier: Apache-2.0
//! How much work the programs are for the verifier, held against `ebpf/budget.json`.
//!
//! Problem: a harmless change can double what the verifier has to look at; the million it allows is then suddenly near, on
//! the oldest kernel first.
//! Mechanism: the instruction counts that the kernel tells after loading; the test fails above the number allowed, and
//! when a program has none. `bench budget --record` allows this kernel what it counts now and a quarter more: to be
//! done by hand, in the commit that says why. A kernel without numbers is allowed the largest of the others.
//! Depends on: kernel, report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ::tests::counter;
use ::tests::rig::Rig;
use anyhow::{Context, Result};
use kernel::{Kernel, Refuse, Settings};

use crate::report::{Report, Target};

/// Instructions by program.
type Counts = BTreeMap<String, u64>;
/// Instructions allowed, by kernel (`6.18`).
type Budget = BTreeMap<String, Counts>;

/// Measures and reports.
pub(crate) fn measure(rig: &Rig, report: &mut Report) -> Result<()> {
    eprintln!("budget");
    let (verified, allowed) = (verified(rig)?, allowed(&read()?, &this_kernel()?));
    let over = over(&verified, &allowed);
    report.target(Target {
        name: "instructions the verifier looks at",
        required: "within ebpf/budget.json".to_owned(),
        aim: "within ebpf/budget.json".to_owned(),
        measured: if over.is_empty() {
            "within".to_owned()
        } else {
            over.join("; ")
        },
        is_met: over.is_empty(),
        is_aim_met: over.is_empty(),
    });
    let row = |(name, count): (&String, &u64)| {
        let limit = allowed.get(name).map_or("none".to_owned(), u64::to_string);
        vec![name.clone(), count.to_string(), limit]
    };
    report.table(
        "Verifier",
        "Instructions that this kernel's verifier looked at; it stops at 1 000 000. `sock_ops_connections` is loaded only \
         where the kernel has no bpf_loop.",
        &["program", "instructions", "allowed"],
        verified.iter().map(row).collect(),
    );
    Ok(())
}

/// Loads everything, attaches nothing.
fn verified(rig: &Rig) -> Result<Counts> {
    let exact = load(rig, Refuse::default())?;
    let without_loop = Refuse {
        bpf_loop: true,
        ..Refuse::default()
    };
    let connections = load(rig, without_loop)?;
    let mut all: Counts = exact.into_iter().collect();
    let sock_ops = connections.into_iter().find(|(name, _)| name == "sock_ops");
    let (_, count) = sock_ops.context("the connections tier has no sock_ops")?;
    all.insert("sock_ops_connections".to_owned(), count);
    Ok(all)
}

fn load(rig: &Rig, refuse: Refuse) -> Result<Vec<(String, u64)>> {
    let (pins, _kept) = rig.pins();
    let settings = Settings {
        refuse,
        ..counter::settings(pins)
    };
    let kernel = Kernel::open(settings.clone()).context("loading")?;
    let counts = kernel
        .programs()
        .map(|(hook, info)| (hook.word().to_owned(), u64::from(info.verified)))
        .collect();
    drop(kernel);
    kernel::cleanup(&settings)?;
    Ok(counts)
}

/// Allows this kernel what it counts now and a quarter more.
pub(crate) fn record(rig: &Rig) -> Result<()> {
    let mut budget = read()?;
    let quarter_more = |(name, count): (String, u64)| (name, count + count / 4);
    budget.insert(this_kernel()?, verified(rig)?.into_iter().map(quarter_more).collect());
    let text = serde_json::to_string_pretty(&budget)?;
    std::fs::write(path(), format!("{text}\n")).context("ebpf/budget.json")
}

fn read() -> Result<Budget> {
    let text = std::fs::read_to_string(path()).context("ebpf/budget.json")?;
    serde_json::from_str(&text).context("ebpf/budget.json")
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ebpf/budget.json")
}

/// Major and minor version.
fn this_kernel() -> Result<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").context("the kernel's version")?;
    let parts: Vec<&str> = release.split(['.', '-', '+']).take(2).collect();
    Ok(parts.join("."))
}

fn allowed(budget: &Budget, kernel: &str) -> Counts {
    if let Some(counts) = budget.get(kernel) {
        return counts.clone();
    }
    let mut largest = Counts::new();
    for (name, count) in budget.values().flatten() {
        let known = largest.entry(name.clone()).or_default();
        *known = (*known).max(*count);
    }
    largest
}

/// Programs above their number, without one, or gone.
fn over(verified: &Counts, allowed: &Counts) -> Vec<String> {
    let above = verified.iter().filter_map(|(name, count)| match allowed.get(name) {
        None => Some(format!("{name} has no number")),
        Some(limit) if count > limit => Some(format!("{name}: {count} above {limit}")),
        Some(_) => None,
    });
    let gone = allowed.keys().filter(|name| !verified.contains_key(*name));
    above.chain(gone.map(|name| format!("{name} is not loaded"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(list: &[(&str, u64)]) -> Counts {
        list.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn above_missing_and_gone_are_told() {
        let allowed = counts(&[("ingress", 10), ("egress", 10)]);
        assert!(over(&counts(&[("ingress", 10), ("egress", 1)]), &allowed).is_empty());
        assert_eq!(
            over(&counts(&[("ingress", 11), ("connect4", 1)]), &allowed),
            ["connect4 has no number", "ingress: 11 above 10", "egress is not loaded"]
        );
    }

    #[test]
    fn a_kernel_without_numbers_is_allowed_the_largest() {
        let one = ("6.1".to_owned(), counts(&[("ingress", 30), ("egress", 10)]));
        let other = ("6.18".to_owned(), counts(&[("ingress", 20), ("egress", 40)]));
        let budget = Budget::from([one, other.clone()]);
        assert_eq!(allowed(&budget, "6.18"), other.1);
        assert_eq!(allowed(&budget, "6.12"), counts(&[("ingress", 30), ("egress", 40)]));
    }

    #[test]
    fn no_program_is_more_work_for_the_verifier_than_the_budget_allows() {
        let must_run = std::env::var_os("CI").is_some_and(|value| value == "true");
        let rig = match Rig::new() {
            Ok(rig) if kernel::is_available(&Settings::default()) => rig,
            other => {
                let why = other
                    .err()
                    .map_or("no BPF object".to_owned(), |error| format!("{error:#}"));
                assert!(!must_run, "must not be skipped: {why}");
                eprintln!("skipped: {why}");
                return;
            }
        };
        let verdict = verified(&rig).and_then(|counts| Ok(over(&counts, &allowed(&read()?, &this_kernel()?))));
        rig.register().undo_all();
        assert_eq!(verdict.unwrap(), [""; 0]);
    }
}
