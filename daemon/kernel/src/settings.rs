// SPDX-License-Identifier: Apache-2.0
//! What the operator may choose.
//!
//! Depends on: nothing.

use std::path::{Path, PathBuf};

/// Where things are and how much room the maps have.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where cgroup v2 is mounted, or a folder below it that nothing may be attached above; `None` = find the mount.
    pub cgroup_root: Option<PathBuf>,
    /// Folder on a bpffs that maps and links are pinned under.
    pub pin_dir: PathBuf,
    /// Where procfs is mounted.
    pub proc_root: PathBuf,
    /// Room for pods.
    pub pods: u32,
    /// Room for revisions.
    pub revisions: u32,
    /// Room for targets.
    pub targets: u32,
    /// Room for backends, over all targets.
    pub backends: u32,
    /// Room for client connections to the gateway.
    pub peers: u32,
    /// The BPF object; `None` = the one built in, else `target/bpf/sluice.o`.
    pub object: Option<PathBuf>,
    /// What not to use although the kernel has it (tests).
    pub refuse: Refuse,
}

/// Features to do without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refuse {
    /// Behave as if there was no bpf_loop (before 5.17).
    pub bpf_loop: bool,
    /// Behave as if sock_ops could not tell the network namespace's cookie.
    pub netns_cookie: bool,
    /// Behave as if atomic instructions did not tell what was there (before 5.12): nothing can be counted.
    pub atomics: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cgroup_root: None,
            pin_dir: PathBuf::from("/sys/fs/bpf/sluice"),
            proc_root: PathBuf::from("/proc"),
            pods: 1024,
            revisions: 1024,
            targets: 16_384,
            backends: 65_536,
            peers: 65_536,
            object: None,
            refuse: Refuse::default(),
        }
    }
}

impl Settings {
    /// The defaults with another pin folder.
    pub fn at(pin_dir: impl AsRef<Path>) -> Self {
        Self {
            pin_dir: pin_dir.as_ref().to_owned(),
            ..Self::default()
        }
    }
}
