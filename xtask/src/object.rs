// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask build`: the BPF object, then the daemon that embeds it.
//!
//! Problem: one workspace, two targets; the object must exist before the daemon that embeds it is compiled.
//! Mechanism: cargo builds package `ebpf` into a target folder of its own; the result is copied to
//! `target/bpf/sluice.o` only when its bytes changed, so that the daemon is not rebuilt for nothing.
//! Invariants: `target/bpf/sluice.o` is always of the ABI in `ebpf/abi`; other generations and the build with
//! diagnostics have names of their own.
//! Depends on: built, toolchain, setup.

use crate::built;
use crate::place;
use crate::process;
use crate::setup;
use crate::toolchain::Toolchain;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Options of `build`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Build the daemon with optimisation
    #[arg(long)]
    release: bool,
    /// Only the object, not the daemon
    #[arg(long)]
    object_only: bool,
    /// Build the object of another ABI generation, as target/bpf/sluice-abi<N>.o (for tests)
    #[arg(long, value_name = "N")]
    abi: Option<u64>,
    /// Build the object with diagnostics (aya-log), as target/bpf/sluice-log.o
    #[arg(long)]
    log: bool,
}

/// Which object: the one the daemon embeds or one of its siblings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// The object of this source.
    Plain,
    /// The same programs under another ABI number.
    Abi(u64),
    /// With diagnostics.
    Log,
}

impl Variant {
    /// Where this object is copied to.
    pub(crate) fn path(self) -> PathBuf {
        place::objects().join(match self {
            Self::Plain => "sluice.o".to_owned(),
            Self::Abi(number) => format!("sluice-abi{number}.o"),
            Self::Log => "sluice-log.o".to_owned(),
        })
    }

    // One folder each: otherwise every change of variant would compile all over again.
    fn folder(self) -> PathBuf {
        place::target().join(match self {
            Self::Plain => "bpf-build".to_owned(),
            Self::Abi(number) => format!("bpf-build-abi{number}"),
            Self::Log => "bpf-build-log".to_owned(),
        })
    }
}

/// Builds what the options ask for.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::need(setup::Purpose::Build)?;
    let variant = match (options.abi, options.log) {
        (Some(number), _) => Variant::Abi(number),
        (None, true) => Variant::Log,
        (None, false) => Variant::Plain,
    };
    build(variant)?;
    if variant == Variant::Plain && !options.object_only {
        daemon(options.release)?;
    }
    Ok(())
}

/// An object that was built.
pub(crate) struct Object {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// How often the compiler warned.
    pub(crate) warnings: usize,
}

/// Builds one object.
pub(crate) fn build(variant: Variant) -> Result<Object> {
    let toolchain = Toolchain::find().context("no compiler for the BPF target: run `cargo xtask setup --for build`")?;
    let linker = place::program("bpf-linker").context("no bpf-linker: run `cargo xtask setup --for build`")?;
    eprintln!("BPF object by {}", toolchain.describe());
    let warnings = built::by(&mut command(toolchain, &linker, variant))?.warnings();
    let compiled = variant.folder().join("bpfel-unknown-none/bpf/sluice");
    let path = variant.path();
    if copy_if_changed(&compiled, &path)? {
        eprintln!("{} is new", shown(&path));
    } else {
        eprintln!("{} is unchanged", shown(&path));
    }
    Ok(Object { path, warnings })
}

/// Builds the daemon, with whatever object stands in `target/bpf`.
pub(crate) fn daemon(release: bool) -> Result<()> {
    let mut cargo = process::cargo();
    cargo.args(["build", "--package", "sluice"]);
    if release {
        cargo.arg("--release");
    }
    process::run(&mut cargo)
}

fn command(toolchain: Toolchain, linker: &Path, variant: Variant) -> Command {
    let mut cargo = toolchain.cargo();
    cargo
        .current_dir(place::root())
        .args([
            "build",
            "--package",
            "ebpf",
            "--profile",
            "bpf",
            "--target",
            "bpfel-unknown-none",
        ])
        .args(["-Z", "build-std=core"])
        .env("CARGO_TARGET_DIR", variant.folder())
        .env("CARGO_ENCODED_RUSTFLAGS", flags(linker).join("\x1f"));
    match variant {
        Variant::Plain => {}
        Variant::Abi(number) => _ = cargo.env("SLUICE_ABI", number.to_string()),
        Variant::Log => _ = cargo.args(["--features", "log"]),
    }
    cargo
}

fn flags(linker: &Path) -> [String; 5] {
    [
        // aya-ebpf's names for the registers of the machine the object will run on.
        format!("--cfg=bpf_target_arch=\"{}\"", std::env::consts::ARCH),
        "-Cdebuginfo=2".to_owned(),
        format!("-Clinker={}", linker.display()),
        "-Clink-arg=--btf".to_owned(),
        // 32-bit registers and atomics; in every kernel since 5.12. rustc passes it to the linker too.
        "-Ctarget-cpu=v3".to_owned(),
    ]
}

fn copy_if_changed(from: &Path, to: &Path) -> Result<bool> {
    let new = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(false);
    }
    fs::create_dir_all(place::objects()).context("making target/bpf")?;
    // By rename: whoever reads the object meanwhile sees the old or the new one, never half of it.
    let half = to.with_extension("o.new");
    fs::write(&half, new).with_context(|| format!("writing {}", half.display()))?;
    fs::rename(&half, to).with_context(|| format!("renaming to {}", to.display()))?;
    Ok(true)
}

fn shown(path: &Path) -> String {
    path.strip_prefix(place::root()).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_has_its_own_object_and_build_folder() {
        let variants = [Variant::Plain, Variant::Abi(1), Variant::Abi(2), Variant::Log];
        for (i, one) in variants.iter().enumerate() {
            for other in &variants[i + 1..] {
                assert_ne!(one.path(), other.path());
                assert_ne!(one.folder(), other.folder());
            }
        }
    }

    #[test]
    fn an_unchanged_object_is_not_written_again() {
        let folder = place::target().join(format!("xtask-test-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (from, to) = (folder.join("from"), folder.join("to.o"));
        fs::write(&from, b"one").unwrap();
        assert!(copy_if_changed(&from, &to).unwrap());
        assert!(!copy_if_changed(&from, &to).unwrap());
        fs::write(&from, b"two").unwrap();
        assert!(copy_if_changed(&from, &to).unwrap());
        assert_eq!(fs::read(&to).unwrap(), b"two");
        fs::remove_dir_all(&folder).unwrap();
    }
}
