// SPDX-License-Identifier: Apache-2.0
//! Programs built from source through Go modules.
//!
//! Mechanism: a folder of xtask has a go.mod, which holds every version; what is built stands in the cache, under its version.
//! Invariants: a program appears in the cache whole or not at all.
//! Depends on: Go.

use crate::place;
use crate::process;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A program to build.
pub(crate) struct Program<'a> {
    /// What it is called.
    pub(crate) name: &'a str,
    /// Its package.
    pub(crate) package: &'a str,
    /// The folder of xtask with its go.mod.
    pub(crate) module: &'a str,
    /// The folder of the cache that it goes into; has its version in its name.
    pub(crate) folder: &'a str,
    /// For the linker.
    pub(crate) flags: &'a str,
    /// How long it takes.
    pub(crate) takes: &'a str,
}

impl Program<'_> {
    /// Where it is, built if it was not there.
    pub(crate) fn built(&self) -> Result<PathBuf> {
        let name = self.name;
        let folder = place::cache()?.join(self.folder);
        let program = folder.join(name);
        if program.exists() {
            return Ok(program);
        }
        if place::program("go").is_none() {
            bail!("{name} is built from source and Go is missing: install Go 1.25 or newer");
        }
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        eprintln!("setup: {name} is built once into {}; {}", folder.display(), self.takes);
        let unfinished = folder.join(format!("{name}.new"));
        process::run(
            Command::new("go")
                .current_dir(place::root().join("xtask").join(self.module))
                .env("CGO_ENABLED", "0")
                .args(["build", "-trimpath", "-buildvcs=false", "-ldflags"])
                .arg(format!("-s -w {}", self.flags).trim_end())
                .arg("-o")
                .arg(&unfinished)
                .arg(self.package),
        )?;
        fs::rename(&unfinished, &program).with_context(|| format!("making {}", program.display()))?;
        Ok(program)
    }
}
