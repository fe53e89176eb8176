// SPDX-License-Identifier: Apache-2.0
//! A pin folder of the demo's own: not where a real daemon on this machine has its.
//!
//! Invariants: cleaned up when dropped, if it is still there.
//! Depends on: the daemon.

use crate::process;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder on the bpffs, not made yet.
pub(super) struct Pins {
    sluice: PathBuf,
    path: PathBuf,
}

impl Pins {
    pub(super) fn new(sluice: &Path) -> Self {
        Self {
            sluice: sluice.to_owned(),
            path: Path::new("/sys/fs/bpf").join(format!("sluice-demo-{}", std::process::id())),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_there(&self) -> bool {
        self.path.exists()
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        if !self.is_there() {
            return;
        }
        if let Err(error) = process::run(
            Command::new(&self.sluice)
                .arg("cleanup")
                .arg("--pin-dir")
                .arg(&self.path),
        ) {
            eprintln!("demo: {} stays: {error:#}", self.path.display());
        }
    }
}
