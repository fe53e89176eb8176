// SPDX-License-Identifier: Apache-2.0
//! What a soak said, in `target/soak/<name>.log`.
//!
//! Invariants: the log of the soak's last run only; written line by line, so that it can be read meanwhile.
//! Depends on: place.

use crate::place;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

/// A log that is being written.
pub(super) struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// A new one.
    pub(super) fn create(name: &str) -> Result<Self> {
        let folder = place::target().join("soak");
        fs::create_dir_all(&folder).context("making target/soak")?;
        let path = folder.join(format!("{name}.log"));
        let file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self { path, file })
    }

    /// A line of the soaked program; a full disk must not end the soak.
    pub(super) fn line(&mut self, line: &str) {
        if let Err(error) = writeln!(self.file, "{line}") {
            eprintln!("soak: {}: {error}", self.path.display());
        }
    }

    /// A line of ours, shown too.
    pub(super) fn note(&mut self, line: &str) -> Result<()> {
        eprintln!("soak: {line}");
        writeln!(self.file, "soak: {line}").context("writing the log")
    }

    /// Where it is.
    pub(super) fn shown(&self) -> String {
        let path = self.path.strip_prefix(place::root()).unwrap_or(&self.path);
        path.display().to_string()
    }
}
