// SPDX-License-Identifier: Apache-2.0
//! A cgroup v2 directory of our own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use super::{Kept, Register, Undo};

/// A directory below the suite's subtree; removed with everything below it when dropped.
pub struct Cgroup {
    path: PathBuf,
    register: Arc<Register>,
    _kept: Kept,
}

impl Cgroup {
    pub(super) fn create(register: &Arc<Register>, path: PathBuf) -> Result<Self> {
        let kept = register.keep(Undo::Cgroup(path.clone()));
        std::fs::create_dir(&path).with_context(|| format!("mkdir {}", path.display()))?;
        Ok(Self {
            path,
            register: Arc::clone(register),
            _kept: kept,
        })
    }

    /// A directory below this one.
    pub fn child(&self, name: &str) -> Result<Self> {
        Self::create(&self.register, self.path.join(name))
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Where cgroup v2 is mounted, wherever that is.
pub(super) fn mount() -> Result<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").context("/proc/self/mounts")?;
    mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&"cgroup2"))
        .and_then(|fields| fields.get(1).map(PathBuf::from))
        .context("cgroup v2 is not mounted (mount -t cgroup2 none /mnt/cgroup2)")
}
