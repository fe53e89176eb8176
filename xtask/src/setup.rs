// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask setup`: what building and testing need beyond stable Rust.
//!
//! Problem: the BPF toolchain, the tools of the tests and another kernel are not on a fresh machine.
//! Mechanism: a purpose is a list of needs; each need is probed by a file, so that a complete machine costs no
//! process start worth naming; only what is missing is installed, after saying what and why.
//! Invariants: idempotent; nothing is installed without a line that says so; never asks.
//! Depends on: apt-get on Debian 12; elsewhere it names what is missing.

mod bpffs;
mod debian;
mod go;
mod kernel;
mod rust;

pub(crate) use debian::unpack;
pub(crate) use go::Program;
pub(crate) use kernel::{Kernel, fetch_others as fetch_other_kernels, unpacked as unpacked_kernels};

use anyhow::Result;
use clap::ValueEnum;
use std::path::PathBuf;

/// Options of `setup`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What the machine is to be ready for; `test` includes `build`
    #[arg(long = "for", value_enum, default_value = "test", value_name = "PURPOSE")]
    purpose: Purpose,
}

/// What a machine can be made ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    /// The BPF object
    Build,
    /// The demo, with `build`
    Demo,
    /// The test suites, with `build`
    Test,
    /// Clients and pods that are not ours, for the suite `path`, with `test`
    Clients,
    /// The benches, with `build`
    Bench,
    /// Kernels of Debian under QEMU, with `test`
    Kernels,
    /// The fuzz targets
    Fuzz,
    /// A real Kubernetes on this machine
    Cluster,
    /// All of these
    All,
}

/// Installs what the purpose lacks, and says so when nothing is.
pub(crate) fn run(options: &Options) -> Result<()> {
    need(options.purpose)?;
    eprintln!("setup: everything for `{}` is here", options.purpose.name());
    Ok(())
}

/// Installs what the purpose lacks; silent when nothing is.
pub(crate) fn need(purpose: Purpose) -> Result<()> {
    match purpose {
        Purpose::Build => build(),
        Purpose::Test => build().and_then(|()| test()),
        Purpose::Demo => build()
            .and_then(|()| debian::install(debian::DEMO))
            .and_then(|()| bpffs::mount()),
        Purpose::Clients => need(Purpose::Test).and_then(|()| clients()),
        Purpose::Bench => build().and_then(|()| debian::install(debian::BENCH)),
        Purpose::Kernels => build().and_then(|()| test()).and_then(|()| kernels()),
        Purpose::Fuzz => fuzz(),
        Purpose::Cluster => debian::install(debian::CLUSTER),
        Purpose::All => [
            Purpose::Kernels,
            Purpose::Clients,
            Purpose::Bench,
            Purpose::Fuzz,
            Purpose::Cluster,
        ]
        .into_iter()
        .try_for_each(need),
    }
}

fn build() -> Result<()> {
    debian::install(debian::BUILD)?;
    rust::bpf_compiler()?;
    rust::bpf_linker()
}

fn test() -> Result<()> {
    debian::install(debian::TEST)?;
    bpffs::mount()?;
    lints()
}

/// What the suites that only read the source need.
pub(crate) fn lints() -> Result<()> {
    rust::component("clippy", "cargo-clippy")?;
    rust::component("rustfmt", "cargo-fmt")?;
    rust::cargo_tool(&rust::CARGO_DENY)
}

fn clients() -> Result<()> {
    debian::install(debian::CLIENTS)?;
    h2spec().map(drop)
}

/// The tester of HTTP/2, built; as in xtask/clients/go.mod.
pub(crate) fn h2spec() -> Result<PathBuf> {
    Program {
        name: "h2spec",
        package: "github.com/summerwind/h2spec/cmd/h2spec",
        module: "clients",
        folder: "h2spec-2.2.1",
        flags: "",
        takes: "seconds",
    }
    .built()
}

/// Knative's command line, built; as in xtask/kn/go.mod.
pub(crate) fn kn() -> Result<PathBuf> {
    Program {
        name: "kn",
        package: "knative.dev/client/cmd/kn",
        module: "kn",
        folder: "kn-0.42.0",
        flags: "",
        takes: "some minutes",
    }
    .built()
}

fn kernels() -> Result<()> {
    debian::install(debian::KERNELS)?;
    kernel::fetch()
}

fn fuzz() -> Result<()> {
    if let Err(refused) = rust::nightly("cargo-fuzz wants a nightly compiler") {
        eprintln!("setup: {refused:#}; fuzzing without sanitizer by the host's compiler instead");
    }
    debian::install(debian::FUZZ)?;
    rust::cargo_tool(&rust::CARGO_FUZZ)
}

impl Purpose {
    fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}
