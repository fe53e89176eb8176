// SPDX-License-Identifier: Apache-2.0
//! Where the programs of a cluster come from.
//!
//! Mechanism: kube-apiserver and kubectl are built once from source by Go, at the versions of xtask/cluster/go.mod, into
//! the cache; etcd is Debian's, unpacked there and not installed, so that no service starts.
//! Invariants: a program appears in the cache whole or not at all.
//! Depends on: Go, apt-get, dpkg-deb.

use crate::place;
use crate::setup;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;

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
    unpacked("etcd-server", "etcd", "put etcd into PATH")
}

/// Debian's kubectl, which is years older than the one that is built.
pub(super) fn old_kubectl() -> Result<PathBuf> {
    unpacked("kubernetes-client", "kubectl", "its kubectl is wanted as an old one")
}

/// A program of a package of Debian, unpacked into the cache.
fn unpacked(package: &str, name: &str, elsewhere: &str) -> Result<PathBuf> {
    let folder = place::cache()?.join(name);
    let program = folder.join("usr/bin").join(name);
    if !program.exists() {
        if place::program("apt-get").is_none() {
            bail!("this is not Debian: {elsewhere}");
        }
        eprintln!(
            "cluster: {package} is missing: it is unpacked into {}",
            folder.display()
        );
        let unpacking = folder.with_extension("new");
        fs::create_dir_all(&unpacking).with_context(|| format!("making {}", unpacking.display()))?;
        setup::unpack(package, &unpacking)?;
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
    let stamp = [
        ("gitVersion", KUBERNETES),
        ("gitMajor", "1"),
        ("gitMinor", "35"),
        ("gitTreeState", "clean"),
        ("gitCommit", "modules"),
        ("buildDate", "2026-01-01T00:00:00Z"),
    ];
    let stamps = stamp.map(|(field, value)| format!("-X {VERSION}.{field}={value}"));
    setup::Program {
        name,
        package: &format!("k8s.io/kubernetes/cmd/{name}"),
        module: "cluster",
        folder: &format!("kubernetes-{KUBERNETES}"),
        flags: &stamps.join(" "),
        takes: "minutes",
    }
    .built()
}
