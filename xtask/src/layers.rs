// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask layers`: the structure of the repository, as a check.
//!
//! Problem: arrows between crates and modules are decided once and broken silently.
//! Mechanism: `cargo metadata` for the crates (`arrows`), their manifests for inherited lints (`manifest`), their sources
//! for module cycles (`modules` reads, `cycles` judges).
//! Invariants: everything wrong is listed, not only the first; an unknown crate is wrong.
//! Depends on: cargo metadata, syn.

mod arrows;
mod cycles;
mod manifest;
mod modules;

use crate::place;
use crate::process;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// Checks everything; an error when anything is wrong.
pub(crate) fn run() -> Result<()> {
    let crates = workspace()?;
    let mut wrong = arrows::check(&crates);
    for member in &crates {
        let text =
            fs::read_to_string(&member.manifest).with_context(|| format!("reading {}", member.manifest.display()))?;
        wrong.extend(manifest::check(&member.folder, &text));
        for source in &member.sources {
            let tree = modules::read(source)?;
            wrong.extend(
                cycles::find(&tree)
                    .into_iter()
                    .map(|cycle| format!("{}: module cycle: {cycle}", member.folder)),
            );
        }
    }
    for problem in &wrong {
        eprintln!("layers: {problem}");
    }
    if !wrong.is_empty() {
        bail!("{} breach(es) of the layers", wrong.len());
    }
    eprintln!("layers: {} crates are in order", crates.len());
    Ok(())
}

/// A member of the workspace.
#[derive(Debug)]
struct Crate {
    /// Its folder below the workspace's: what it is, whatever its package is called.
    folder: String,
    manifest: PathBuf,
    /// Folders of the members it depends on, in whatever way.
    uses: Vec<String>,
    /// Root files of its library, binaries, tests and benches.
    sources: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Dependency {
    path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    src_path: PathBuf,
}

fn workspace() -> Result<Vec<Crate>> {
    let text = process::output(process::cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Metadata = serde_json::from_str(&text).context("reading cargo metadata")?;
    metadata.packages.into_iter().map(member).collect()
}

fn member(package: Package) -> Result<Crate> {
    let folder = package
        .manifest_path
        .parent()
        .context("invariant: a manifest has a folder")?;
    Ok(Crate {
        folder: below_root(folder),
        uses: package
            .dependencies
            .iter()
            .filter_map(|used| used.path.as_deref())
            .map(below_root)
            .collect(),
        sources: package.targets.into_iter().map(|target| target.src_path).collect(),
        manifest: package.manifest_path,
    })
}

fn below_root(folder: &Path) -> String {
    folder
        .strip_prefix(place::root())
        .unwrap_or(folder)
        .display()
        .to_string()
}
