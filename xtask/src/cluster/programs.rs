// SPDX-License-Identifier: Apache-2.0
//! Where the programs of a cluster come from.
//!
//! Mechanism: kube-apiserver and kubectl are built once from source by Go, at the versions of xtask/cluster/go.mod, into
//! the cache; etcd is Debian's, unpacked there and not installed, so that no service starts.
//! Invariants: a program appears in the cache whole or not at all.
//! Depends on: Go, apt-get, dpkg-deb.

use crate::place;
use crate::process;
use crate::setup;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// As in xtask/cluster/go.mod.
const KUBERNETES: &str = "v1.35.4";
/// Where Kubernetes keeps its version, which a build from modules does not stamp.
const VERSION: &str = "k8s.io/component-base/version";

/// Fetches and builds what is missing.
pub(super) fn prepare() -> Result<()> {
    setup::need(setup::Purpose::Cluster)?;
    etcd()?;
    kubectl()?;
    apiserver().map(drop)
}

/// etcd: installed, or unpacked into the cache.
pub(super) fn etcd() -> Result<PathBuf> {
    if let Some(installed) = place::program("etcd") {
        return Ok(installed);
    }
    let folder = place::cache()?.join("etcd");
    let program = folder.join("usr/bin/etcd");
    if !program.exists() {
        if place::program("apt-get").is_none() {
            bail!("this is not Debian: put etcd into PATH");
        }
        eprintln!(
            "cluster: etcd-server is missing: it is unpacked into {}",
            folder.display()
        );
        let unpacking = folder.with_extension("new");
        fs::create_dir_all(&unpacking).with_context(|| format!("making {}", unpacking.display()))?;
        setup::unpack("etcd-server", &unpacking)?;
        fs::rename(&unpacking, &folder).with_context(|| format!("making {}", folder.display()))?;
    }
    Ok(program)
}

/// kube-apiserver, built.
pub(super) fn apiserver() -> Result<PathBuf> {
    built("kube-apiserver")
}

/// kubectl, built.
pub(super) fn kubectl() -> Result<PathBuf> {
    built("kubectl")
}

fn built(name: &str) -> Result<PathBuf> {
    let folder = place::cache()?.join(format!("kubernetes-{KUBERNETES}"));
    let program = folder.join(name);
    if program.exists() {
        return Ok(program);
    }
    if place::program("go").is_none() {
        bail!("{name} is built from source and Go is missing: install Go 1.25 or newer");
    }
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    eprintln!(
        "cluster: {name} {KUBERNETES} is built once into {}; minutes",
        folder.display()
    );
    let unfinished = folder.join(format!("{name}.new"));
    process::run(&mut build(name, &unfinished))?;
    fs::rename(&unfinished, &program).with_context(|| format!("making {}", program.display()))?;
    Ok(program)
}

fn build(name: &str, output: &Path) -> Command {
    let stamp = [
        ("gitVersion", KUBERNETES),
        ("gitMajor", "1"),
        ("gitMinor", "35"),
        ("gitTreeState", "clean"),
        ("gitCommit", "modules"),
        ("buildDate", "2026-01-01T00:00:00Z"),
    ];
    let stamps = stamp.map(|(field, value)| format!("-X {VERSION}.{field}={value}"));
    let mut command = Command::new("go");
    command
        .current_dir(place::root().join("xtask/cluster"))
        .env("CGO_ENABLED", "0")
        .args(["build", "-trimpath", "-buildvcs=false", "-ldflags"])
        .arg(format!("-s -w {}", stamps.join(" ")))
        .arg("-o")
        .arg(output)
        .arg(format!("k8s.io/kubernetes/cmd/{name}"));
    command
}
