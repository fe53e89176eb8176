// SPDX-License-Identifier: Apache-2.0
//! What was made, and how to undo it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

pub(super) const CGROUP_PREFIX: &str = "sluice-test-";
pub(super) const NETNS_PREFIX: &str = "slt-";
const MOUNT_PREFIX: &str = "/run/sluice-test-";

/// One way back.
#[derive(Clone, Debug)]
pub enum Undo {
    /// Delete a named network namespace.
    Netns(String),
    /// Remove a cgroup and all below it.
    Cgroup(PathBuf),
    /// Kill a child process; whoever started it reaps it.
    Child(i32),
    /// Remove a folder of pins.
    Folder(PathBuf),
    /// Unmount a file system and remove its folder.
    Mount(PathBuf),
}

/// All that is still to be undone, in the order of making.
#[derive(Default)]
pub struct Register {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    is_closed: bool,
    next: u64,
    open: BTreeMap<u64, Undo>,
}

/// Undoes its entry when dropped.
#[must_use = "dropping the guard undoes what it keeps"]
pub struct Kept {
    register: Arc<Register>,
    id: u64,
}

impl Register {
    /// Enters something that exists (or is about to).
    pub fn keep(self: &Arc<Self>, undo: Undo) -> Kept {
        let mut entries = self.lock();
        while entries.is_closed {
            // The process is ending; nothing new may come into being.
            drop(entries);
            std::thread::sleep(Duration::from_secs(1));
            entries = self.lock();
        }
        let id = entries.next;
        entries.next += 1;
        entries.open.insert(id, undo);
        Kept {
            register: Arc::clone(self),
            id,
        }
    }

    /// Undoes everything, last made first, and lets nothing new be entered.
    pub fn undo_all(&self) {
        let mut entries = self.lock();
        entries.is_closed = true;
        let open = std::mem::take(&mut entries.open);
        drop(entries);
        open.values().rev().for_each(Undo::execute);
        // What was entered but still being made by another thread exists now.
        if !open.is_empty() {
            std::thread::sleep(Duration::from_millis(200));
        }
        open.values()
            .rev()
            .filter(|undo| !matches!(undo, Undo::Child(_)))
            .for_each(Undo::execute);
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let undo = self.register.lock().open.remove(&self.id);
        if let Some(undo) = undo {
            undo.execute();
        }
    }
}

impl Undo {
    fn execute(&self) {
        match self {
            Self::Netns(name) => {
                let _ = Command::new("ip").args(["netns", "delete", name]).output();
            }
            Self::Cgroup(path) => remove_cgroup(path),
            Self::Child(pid) => {
                let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            }
            Self::Folder(path) => {
                let _ = std::fs::remove_dir_all(path);
            }
            Self::Mount(path) => {
                // Detached: a case that is being ended may still hold something in it.
                let _ = umount2(path, MntFlags::MNT_DETACH);
                let _ = std::fs::remove_dir(path);
            }
        }
    }
}

/// A bpffs of our own: machines without one in its usual place can run the suite, and pins end with the mount.
pub(super) fn mount_bpffs(register: &Arc<Register>) -> Result<(PathBuf, Kept)> {
    let path = PathBuf::from(format!("{MOUNT_PREFIX}{}", std::process::id()));
    std::fs::create_dir_all(&path)?;
    let kept = register.keep(Undo::Mount(path.clone()));
    let nothing: Option<&Path> = None;
    nix::mount::mount(Some("bpf"), &path, Some("bpf"), MsFlags::empty(), nothing).context("mounting a bpffs")?;
    Ok((path, kept))
}

/// Removes a cgroup bottom up; processes that are being killed may hold it for a moment.
fn remove_cgroup(path: &Path) {
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(error) = std::fs::remove_dir(path) {
        if error.kind() == std::io::ErrorKind::NotFound || Instant::now() > deadline {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Removes what test processes left that no longer exist.
pub(super) fn sweep(mount: &Path) {
    for name in names(Path::new("/run/netns")) {
        if name.strip_prefix(NETNS_PREFIX).is_some_and(owner_is_gone) {
            Undo::Netns(name).execute();
        }
    }
    let mounts = Path::new(MOUNT_PREFIX);
    if let (Some(folder), Some(prefix)) = (mounts.parent(), mounts.file_name().and_then(|name| name.to_str())) {
        for name in names(folder) {
            if name.strip_prefix(prefix).is_some_and(owner_is_gone) {
                Undo::Mount(folder.join(name)).execute();
            }
        }
    }
    for name in names(mount) {
        if name.strip_prefix(CGROUP_PREFIX).is_some_and(owner_is_gone) {
            Undo::Cgroup(mount.join(name)).execute();
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// `rest` begins with the process id of whoever made it.
fn owner_is_gone(rest: &str) -> bool {
    let pid = rest.split('-').next().unwrap_or_default();
    !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()) && !Path::new("/proc").join(pid).exists()
}

/// Blocks the ending signals in this thread (and those it will start) and waits for them in one of its own.
pub(super) fn undo_on_signals(register: &Arc<Register>) -> Result<()> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block()?;
    let register = Arc::clone(register);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        if let Ok(signal) = signals.wait() {
            eprintln!("{signal}: removing what this run made");
            register.undo_all();
            std::process::exit(128 + signal as i32);
        }
    })?;
    Ok(())
}
