// SPDX-License-Identifier: Apache-2.0
//! A cgroup v2 directory of the demo's own.
//!
//! Invariants: removed when dropped; everything in it must have ended by then.
//! Depends on: nothing.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// A directory that holds the server.
pub(super) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Below the place where cgroup v2 is mounted.
    pub(super) fn create() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").context("reading /proc/self/mounts")?;
        let root = mount(&mounts).context("cgroup v2 is not mounted; mount -t cgroup2 none DIRECTORY")?;
        let path = root.join(format!("sluice-demo-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// As it is called below the mount.
    pub(super) fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.path) {
            eprintln!("demo: {} stays: {error}", self.path.display());
        }
    }
}

fn mount(mounts: &str) -> Option<PathBuf> {
    let fields = |line: &str| -> Option<PathBuf> {
        let mut fields = line.split(' ').skip(1);
        let (path, kind) = (fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(path))
    };
    mounts.lines().find_map(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_is_found_wherever_it_is() {
        let mounts = "tmpfs /a tmpfs rw 0 0\ncgroup /a/cpu cgroup rw 0 0\ncgroup2 /b/unified cgroup2 rw 0 0\n";
        assert_eq!(mount(mounts), Some(PathBuf::from("/b/unified")));
        assert_eq!(mount("cgroup /a/cpu cgroup rw 0 0\n"), None);
    }
}
