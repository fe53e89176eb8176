// SPDX-License-Identifier: Apache-2.0
//! Packages of Debian 12.
//!
//! Mechanism: a package is missing when the file it is wanted for is; so a machine that has the program from elsewhere,
//! or is no Debian at all, is left alone.
//! Invariants: `apt-get update` only after an install failed for want of lists.
//! Depends on: apt-get.

use crate::place;
use crate::process;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A package, the file it is wanted for and what that is for.
pub(crate) struct Package {
    name: &'static str,
    probe: Probe,
    why: &'static str,
}

enum Probe {
    Program(&'static str),
    File(&'static str),
}

/// Debian's compiler for the BPF target.
pub(crate) const COMPILER: &[Package] = &[
    file("rustc-web", "/usr/bin/rustc", "compiler of the BPF object"),
    file("cargo-web", "/usr/bin/cargo", "builds core for the BPF target"),
    file(
        "rust-web-src",
        "/usr/lib/rustlib/src/rust/library/core/Cargo.toml",
        "source of core",
    ),
];

/// What bpf-linker is compiled with.
pub(crate) const LINKER: &[Package] = &[
    file(
        "llvm-22-dev",
        "/usr/lib/llvm-22/bin/llvm-config",
        "the LLVM that bpf-linker uses",
    ),
    file(
        "libpolly-22-dev",
        "/usr/lib/llvm-22/lib/libPolly.a",
        "part of that LLVM",
    ),
    file("libzstd-dev", "/usr/include/zstd.h", "LLVM links it"),
    file("zlib1g-dev", "/usr/include/zlib.h", "LLVM links it"),
];

/// Programs the test suites run.
pub(crate) const TEST: &[Package] = &[
    program("nftables", "nft", "loss in the network tests"),
    program("iproute2", "ip", "namespaces and veth pairs"),
    program("ethtool", "ethtool", "segmentation offload in the network tests"),
    program("curl", "curl", "a client that is not ours"),
    program("nghttp2-client", "nghttp", "an HTTP/2 client that is not ours"),
];

/// Clients and pods that are not ours.
pub(crate) const CLIENTS: &[Package] = &[
    program("nodejs", "node", "clients that are not ours"),
    program("python3", "python3", "clients and pods that are not ours"),
    file(
        "python3-grpcio",
        "/usr/lib/python3/dist-packages/grpc/__init__.py",
        "a gRPC client and a gRPC server that are not ours",
    ),
];

/// An app of the demo that nobody here wrote a server for.
pub(crate) const DEMO: &[Package] = &[file(
    "python3-flask",
    "/usr/lib/python3/dist-packages/flask/__init__.py",
    "an app of the demo",
)];

/// What the C in the program is compiled with.
pub(crate) const BUILD: &[Package] = &[
    program("gcc", "cc", "compiles the allocator, and links"),
    program("make", "make", "builds the allocator"),
];

/// What libFuzzer is compiled with.
pub(crate) const FUZZ: &[Package] = &[program("g++", "c++", "compiles libFuzzer")];

/// What a cluster is started with.
pub(crate) const CLUSTER: &[Package] = &[
    program("openssl", "openssl", "certificates of a cluster"),
    program("util-linux", "setpriv", "ends a cluster with its test"),
];

/// Load generators.
pub(crate) const BENCH: &[Package] = &[
    program("wrk", "wrk", "load by HTTP/1.1"),
    program("nghttp2-client", "h2load", "load by HTTP/2"),
];

/// Another kernel under QEMU.
pub(crate) const KERNELS: &[Package] = &[
    program("qemu-system-x86", "qemu-system-x86_64", "boots the kernel"),
    file(
        "busybox-static",
        "/var/lib/dpkg/info/busybox-static.list",
        "shell of the initramfs",
    ),
    program("cpio", "cpio", "packs the initramfs"),
    program("xz-utils", "xz", "unpacks kernel modules"),
];

const fn program(name: &'static str, program: &'static str, why: &'static str) -> Package {
    Package {
        name,
        probe: Probe::Program(program),
        why,
    }
}

const fn file(name: &'static str, path: &'static str, why: &'static str) -> Package {
    Package {
        name,
        probe: Probe::File(path),
        why,
    }
}

impl Package {
    fn is_missing(&self) -> bool {
        match self.probe {
            Probe::Program(name) => place::program(name).is_none(),
            Probe::File(path) => !Path::new(path).exists(),
        }
    }
}

/// Installs those of `packages` that are missing.
pub(crate) fn install(packages: &[Package]) -> Result<()> {
    let missing: Vec<_> = packages.iter().filter(|package| package.is_missing()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for package in &missing {
        eprintln!("setup: {} is missing: {}", package.name, package.why);
    }
    let names: Vec<_> = missing.iter().map(|package| package.name).collect();
    if place::program("apt-get").is_none() {
        bail!(
            "this is not Debian: install what Debian calls `{}` and run this again",
            names.join(" ")
        );
    }
    if !place::is_root() {
        bail!(
            "not root; run this first: sudo apt-get install -y --no-install-recommends {}",
            names.join(" ")
        );
    }
    with_lists(|| process::run(apt(&["install", "-y", "--no-install-recommends"]).args(&names)))
}

/// Downloads a package and unpacks it into the folder; nothing is installed.
pub(crate) fn unpack(package: &str, folder: &Path) -> Result<()> {
    with_lists(|| process::run(apt(&["download", package]).current_dir(folder)))?;
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let file = entry.with_context(|| format!("reading {}", folder.display()))?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            process::run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(folder))?;
            fs::remove_file(&file).with_context(|| format!("removing {}", file.display()))?;
        }
    }
    Ok(())
}

/// Runs `step`; if it fails, once more with fresh package lists.
pub(crate) fn with_lists(step: impl Fn() -> Result<()>) -> Result<()> {
    step().or_else(|first| {
        eprintln!("setup: {first}; once more with fresh package lists");
        process::run(&mut apt(&["update"]))?;
        step()
    })
}

/// `apt-get` that never asks.
pub(crate) fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command
        .args(["-q", "-o", "Dpkg::Use-Pty=0"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}
