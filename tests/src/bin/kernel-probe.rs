// SPDX-License-Identifier: Apache-2.0
//! What this kernel's verifier says to every program of the object: `cargo xtask test kernels` runs it in the guest.
//!
//! Problem: a tier is chosen when loading and a refused program is silently done without; a run on another kernel must
//! see both, and what each program cost the verifier.
//! Mechanism: the programs are loaded as the daemon loads them, once for each tier that can be asked for, into a pin
//! folder of this process. One line each: `probe: {JSON}`.
//! Invariants: nothing is attached, nothing stays pinned; ends with 1 unless every tier came as it was asked for.
//! Depends on: kernel.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, anyhow};
use kernel::{Kernel, Refuse, Settings};
use serde::Serialize;

/// What is refused on purpose, and the tier that is then expected.
const ASKED: [(&str, Refuse); 2] = [
    (
        "exact",
        Refuse {
            bpf_loop: false,
            netns_cookie: false,
            atomics: false,
        },
    ),
    (
        "connections",
        Refuse {
            bpf_loop: true,
            netns_cookie: false,
            atomics: false,
        },
    ),
];

/// One line of the report.
#[derive(Serialize)]
struct Answer {
    asked: &'static str,
    tier: String,
    why: String,
    milliseconds: u128,
    /// Program → instructions the verifier looked at.
    programs: BTreeMap<&'static str, u32>,
}

fn main() -> ExitCode {
    let bpffs = std::env::args()
        .nth(1)
        .map_or_else(|| PathBuf::from("/sys/fs/bpf"), PathBuf::from);
    let mut is_as_asked = true;
    for (asked, refuse) in ASKED {
        let answer = ask(&bpffs, asked, refuse).unwrap_or_else(|error| Answer {
            asked,
            tier: "none".to_owned(),
            why: format!("{error:#}"),
            milliseconds: 0,
            programs: BTreeMap::new(),
        });
        is_as_asked &= answer.tier == asked;
        match serde_json::to_string(&answer) {
            Ok(line) => println!("probe: {line}"),
            Err(error) => eprintln!("kernel-probe: {error}"),
        }
    }
    ExitCode::from(u8::from(!is_as_asked))
}

fn ask(bpffs: &Path, asked: &'static str, refuse: Refuse) -> Result<Answer> {
    let pins = Pins(bpffs.join(format!("sluice-test-{}-{asked}", std::process::id())));
    let mut settings = Settings::at(&pins.0);
    settings.refuse = refuse;
    let begun = Instant::now();
    let kernel = Kernel::open(settings).map_err(|error| anyhow!("{}", whole(&error)))?;
    Ok(Answer {
        asked,
        tier: kernel.tier().word().to_owned(),
        why: kernel.tier().why().unwrap_or_default().to_owned(),
        milliseconds: begun.elapsed().as_millis(),
        programs: kernel
            .programs()
            .map(|(hook, info)| (hook.word(), info.verified))
            .collect(),
    })
}

/// An error with what caused it.
fn whole(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A pin folder that goes with this.
struct Pins(PathBuf);

impl Drop for Pins {
    fn drop(&mut self) {
        if let Err(error) = kernel::cleanup(&Settings::at(&self.0)) {
            eprintln!("kernel-probe: {}: {error}", self.0.display());
        }
    }
}
