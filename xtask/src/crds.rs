// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask crds`: the definitions of our kinds, from the code into deploy/crds.
//!
//! Mechanism: crate api knows them and has an example that writes them; nothing of it is linked here.
//! Depends on: process, place.

use crate::{place, process};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Options of `crds`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write nothing; fail if a file in deploy/crds is not what the code says
    #[arg(long)]
    check: bool,
}

/// Writes the definitions, or compares them.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = place::root().join("deploy/crds");
    if !options.check {
        return write(&folder);
    }
    let fresh = place::target().join("crds");
    write(&fresh)?;
    let (found, wanted) = (files(&folder)?, files(&fresh)?);
    if found != wanted {
        bail!("deploy/crds is not what the code says: run `cargo xtask crds`");
    }
    Ok(())
}

fn write(folder: &Path) -> Result<()> {
    let example = ["run", "--quiet", "--package", "api", "--example", "crds", "--"];
    process::run(process::cargo().args(example).arg(folder))
}

/// The files of a folder by name.
fn files(folder: &Path) -> Result<BTreeMap<std::ffi::OsString, Vec<u8>>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    entries
        .map(|entry| {
            let entry = entry?;
            Ok((entry.file_name(), fs::read(entry.path())?))
        })
        .collect::<std::io::Result<_>>()
        .with_context(|| format!("reading {}", folder.display()))
}
