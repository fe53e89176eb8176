// SPDX-License-Identifier: Apache-2.0
//! The compiler that builds the BPF object.
//!
//! Problem: no released compiler ships `core` for the BPF target; it is built from source, which needs a nightly
//! compiler (or one told to act as such) and `rust-src`, and a linker of the same LLVM.
//! Mechanism: a *pinned* nightly by rustup comes first, because its LLVM must not be newer than bpf-linker's (22);
//! where rustup cannot have it, Debian's rustc-web (rustc 1.96, LLVM 22) with `RUSTC_BOOTSTRAP=1` does the same.
//! Invariants: the host's toolchain is never used for the object and never changed.
//! Depends on: nothing.

use crate::place;
use crate::process;
use std::path::{Path, PathBuf};
use std::process::Command;

/// rustc 1.97 with LLVM 22.1: the newest nightly of the LLVM that bpf-linker is built with.
pub(crate) const NIGHTLY: &str = "nightly-2026-05-20";
/// bpf-linker's version, and the LLVM it is built with.
pub(crate) const LINKER: &str = "0.13.0";
/// Where Debian's llvm-22-dev puts LLVM.
pub(crate) const LLVM: &str = "/usr/lib/llvm-22";

/// A compiler for the BPF target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// rustup's pinned nightly with rust-src.
    Nightly,
    /// Debian's rustc-web, cargo-web and rust-web-src.
    Debian,
}

impl Toolchain {
    /// The first one that this machine has.
    pub(crate) fn find() -> Option<Self> {
        [Self::Nightly, Self::Debian]
            .into_iter()
            .find(|toolchain| toolchain.is_there())
    }

    fn is_there(self) -> bool {
        let sysroot = match self {
            Self::Nightly => nightly_sysroot(),
            Self::Debian => debian_cargo().map(|_| PathBuf::from("/usr")),
        };
        sysroot.is_some_and(|folder| folder.join("lib/rustlib/src/rust/library/core/Cargo.toml").exists())
    }

    /// What stands in the build's first line.
    pub(crate) fn describe(self) -> String {
        let version = process::output(self.rustc().arg("--version")).unwrap_or_default();
        match self {
            Self::Nightly => format!("rustup's {NIGHTLY} ({})", version.trim()),
            Self::Debian => format!("Debian's rustc-web ({})", version.trim()),
        }
    }

    /// This toolchain's `cargo`, free of the toolchain that runs us.
    pub(crate) fn cargo(self) -> Command {
        self.command("cargo")
    }

    fn rustc(self) -> Command {
        self.command("rustc")
    }

    fn command(self, program: &str) -> Command {
        let mut command = match self {
            Self::Nightly => nightly(program),
            Self::Debian => Command::new(Path::new("/usr/bin").join(program)),
        };
        for inherited in [
            "CARGO",
            "RUSTC",
            "RUSTDOC",
            "RUSTFLAGS",
            "RUSTC_WRAPPER",
            "RUSTUP_TOOLCHAIN",
        ] {
            command.env_remove(inherited);
        }
        if self == Self::Debian {
            command.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
        }
        command
    }
}

/// A program of the pinned nightly; never installs it by the way.
pub(crate) fn nightly(program: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", NIGHTLY, program]).env("RUSTUP_AUTO_INSTALL", "0");
    command
}

/// Whether the pinned nightly is there.
pub(crate) fn has_nightly() -> bool {
    place::program("rustup").is_some() && process::succeeds(nightly("rustc").arg("--version"))
}

/// Whether bpf-linker of the right version runs.
pub(crate) fn has_linker() -> bool {
    let Some(linker) = place::program("bpf-linker") else {
        return false;
    };
    Command::new(linker)
        .arg("--version")
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim().ends_with(LINKER))
}

fn nightly_sysroot() -> Option<PathBuf> {
    place::program("rustup")?;
    let output = nightly("rustc").args(["--print", "sysroot"]).output().ok()?;
    output
        .status
        .success()
        .then(|| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

fn debian_cargo() -> Option<PathBuf> {
    let both = ["/usr/bin/cargo", "/usr/bin/rustc"].map(PathBuf::from);
    both.iter().all(|program| program.exists()).then(|| both[0].clone())
}
