// SPDX-License-Identifier: Apache-2.0
//! Compilers and cargo's tools.
//!
//! Mechanism: the pinned nightly by rustup where it can be had, else Debian's compiler (see `toolchain`).
//! Invariants: versions stand here or in `toolchain`, nowhere else.
//! Depends on: rustup (optional), cargo.

use super::debian;
use crate::place;
use crate::process;
use crate::toolchain::{self, LINKER, LLVM, NIGHTLY, Toolchain};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::process::Command;

/// A program installed by `cargo install`.
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
    why: &'static str,
}

/// Licences, bans and sources of dependencies.
pub(crate) const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    why: "checks licences, bans and sources of dependencies",
};
/// Coverage-guided fuzzing.
pub(crate) const CARGO_FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    version: "0.13.2",
    why: "runs the fuzz targets",
};

/// A compiler for the BPF object.
pub(crate) fn bpf_compiler() -> Result<()> {
    if Toolchain::find().is_some() {
        return Ok(());
    }
    if let Err(refused) = nightly("the BPF object is built by a pinned nightly") {
        eprintln!("setup: {refused:#}; taking Debian's compiler instead");
        debian::install(debian::COMPILER)?;
    }
    Toolchain::find()
        .map(|_| ())
        .context("the compiler is installed but not usable")
}

/// The pinned nightly with rust-src.
pub(crate) fn nightly(why: &str) -> Result<()> {
    if toolchain::has_nightly() {
        return Ok(());
    }
    if place::program("rustup").is_none() {
        bail!("there is no rustup");
    }
    eprintln!("setup: {NIGHTLY} is missing: {why}");
    process::run(Command::new("rustup").args([
        "toolchain",
        "install",
        NIGHTLY,
        "--no-self-update",
        "--profile",
        "minimal",
        "-c",
        "rust-src",
    ]))
}

/// bpf-linker, built with the LLVM of the compiler.
pub(crate) fn bpf_linker() -> Result<()> {
    if toolchain::has_linker() {
        return Ok(());
    }
    eprintln!("setup: bpf-linker {LINKER} is missing: it links the BPF object and writes its BTF (about a minute)");
    debian::install(debian::LINKER)?;
    let mut path = OsString::from(format!("{LLVM}/bin:"));
    path.push(place::search_path());
    process::run(
        Command::new("cargo")
            .current_dir("/")
            .args(["install", "bpf-linker", "--version", LINKER, "--force"])
            .args(["--no-default-features", "--features", "llvm-22"])
            .env("PATH", path)
            .env("LLVM_PREFIX", LLVM),
    )
}

/// A component of the host toolchain.
pub(crate) fn component(name: &str, program: &str) -> Result<()> {
    if place::program(program).is_some() {
        return Ok(());
    }
    eprintln!("setup: {name} is missing");
    process::run(Command::new("rustup").args(["component", "add", name]))
}

/// A tool of cargo's.
pub(crate) fn cargo_tool(tool: &Tool) -> Result<()> {
    if place::program(tool.name).is_some() {
        return Ok(());
    }
    eprintln!("setup: {} is missing: it {} (some minutes)", tool.name, tool.why);
    process::run(Command::new("cargo").current_dir("/").args([
        "install",
        tool.name,
        "--version",
        tool.version,
        "--locked",
    ]))
}
