// SPDX-License-Identifier: Apache-2.0
//! Cgroups as users name them: below the cgroup2 mount, or absolute.
//!
//! Invariants: every command understands a path in the same way; what is no cgroup of version 2 is refused before anything is
//! written there.
//! Depends on: kernel (`host`), `failure`.

use std::path::{Path, PathBuf};

use kernel::{OpenError, host};

use crate::failure::{Exit, Failure};

/// Where cgroup v2 is: as named, or as found.
pub(crate) fn root(named: Option<&Path>, proc_root: &Path) -> Result<PathBuf, Failure> {
    let root = named.map(Path::to_owned).or_else(|| host::find_cgroup2(proc_root));
    root.filter(|root| host::is_on_cgroup2(root)).ok_or_else(|| {
        let root = named.map(Path::to_owned);
        OpenError::NoCgroup2 { root }.into()
    })
}

/// The folder of the cgroup that `path` names.
pub(crate) fn folder(root: &Path, path: &Path) -> Result<PathBuf, Failure> {
    let folder = root.join(path);
    let (shown, root) = (folder.display(), root.display());
    if !folder.is_dir() {
        return Err(Failure::new(
            Exit::Gone,
            format!("no cgroup {shown}"),
            format!("name one that is there, from {root} on or absolute: see `systemd-cgls` or `find {root} -type d`"),
        ));
    }
    if !host::is_on_cgroup2(&folder) {
        return Err(Failure::new(
            Exit::Gone,
            format!("{shown} is not a cgroup of version 2"),
            format!("name a folder below {root}"),
        ));
    }
    Ok(folder)
}
