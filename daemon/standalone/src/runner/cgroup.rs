// SPDX-License-Identifier: Apache-2.0
//! The pods' cgroups: one each in version 2, and one in version 1 where that has the controllers.
//!
//! Problem: machines with both versions have memory and cpu in version 1, where a pod's limits must go then.
//! Mechanism: a controller that version 2 hands down is used there; else the version 1 hierarchy that is mounted; else
//! the limit is named as one that is not enforced. There all pods are below one cgroup, whose name is the whole path of the
//! runner's own: what goes above that is nobody's to make or to remove.
//! Invariants: only cgroups below the runner's own are made, killed or removed.
//! Depends on: nothing.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the processes of a killed cgroup may take to go.
const GOING: Duration = Duration::from_secs(5);
/// The period of cpu limits, in microseconds.
const PERIOD: u64 = 100_000;

/// What a container may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// CPU in thousandths of a core.
    pub cpu: Option<u64>,
}

/// How limits are enforced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Enforced {
    /// Files to write `0` to.
    pub join: Vec<PathBuf>,
    /// Files that count kills.
    pub oom: Vec<PathBuf>,
    /// What is not enforced here.
    pub not: Vec<&'static str>,
}

/// The pods' cgroups.
#[derive(Clone, Debug)]
pub(super) struct Cgroups {
    root: PathBuf,
    memory: Option<PathBuf>,
    cpu: Option<PathBuf>,
}

impl Cgroups {
    /// Makes the root, hands down what can be handed down, and looks for version 1.
    ///
    /// # Errors
    /// If the root cannot be made.
    pub(super) fn make(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        fs::create_dir_all(root.join("holders"))?;
        hand_down(root);
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let name = flat(&within_version_2(&table, root));
        let find = |controller: &str| version_1(&table, controller).map(|mount| mount.join(&name));
        Ok(Self {
            root: root.to_owned(),
            memory: find("memory"),
            cpu: find("cpu"),
        })
    }

    /// Where the holders of containers are.
    #[must_use]
    pub(super) fn holders(&self) -> PathBuf {
        self.root.join("holders")
    }

    /// A pod's cgroup.
    #[must_use]
    pub(super) fn pod(&self, slot: &str) -> PathBuf {
        self.root.join(slot)
    }

    /// Makes a container's cgroup.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(super) fn container(&self, slot: &str, name: &str) -> io::Result<PathBuf> {
        let pod = self.pod(slot);
        fs::create_dir_all(&pod)?;
        hand_down(&pod);
        let path = pod.join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// Sets the limits of a container.
    pub(super) fn limit(&self, slot: &str, name: &str, limits: Limits) -> Enforced {
        let mut enforced = Enforced::default();
        let own = self.pod(slot).join(name);
        if let Some(bytes) = limits.memory {
            let one = self.memory.as_ref().map(|root| root.join(slot).join(name));
            if fs::write(own.join("memory.max"), bytes.to_string()).is_ok() {
                let _ = fs::write(own.join("memory.swap.max"), "0");
                let _ = fs::write(own.join("memory.oom.group"), "1");
                enforced.oom.push(own.join("memory.events"));
            } else if let Some(one) = one.filter(|one| set(one, "memory.limit_in_bytes", bytes)) {
                let _ = fs::write(one.join("memory.memsw.limit_in_bytes"), bytes.to_string());
                enforced.join.push(one.join("cgroup.procs"));
                enforced.oom.push(one.join("memory.oom_control"));
            } else {
                enforced.not.push("memory");
            }
        }
        if let Some(thousandths) = limits.cpu {
            let quota = (thousandths * PERIOD / 1000).max(1000);
            let one = self.cpu.as_ref().map(|root| root.join(slot).join(name));
            if fs::write(own.join("cpu.max"), format!("{quota} {PERIOD}")).is_ok() {
            } else if let Some(one) = one.filter(|one| set(one, "cpu.cfs_quota_us", quota)) {
                enforced.join.push(one.join("cgroup.procs"));
            } else {
                enforced.not.push("cpu");
            }
        }
        enforced
    }

    /// Kills all that is in a pod's cgroup and removes it; what still goes is waited for.
    pub(super) fn end(&self, slot: &str) {
        let pod = self.pod(slot);
        kill(&pod);
        let until = Instant::now() + GOING;
        while remove(&pod).is_err() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        for one in [&self.memory, &self.cpu].into_iter().flatten() {
            let _ = remove(&one.join(slot));
        }
    }

    /// Ends all pods and removes the root.
    pub(super) fn end_all(&self) {
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                self.end(&entry.file_name().to_string_lossy());
            }
        }
        for root in [&self.memory, &self.cpu].into_iter().flatten().chain([&self.root]) {
            let _ = remove(root);
        }
    }
}

/// Kills every process of a cgroup and of those below it.
pub(super) fn kill(cgroup: &Path) {
    let _ = fs::write(cgroup.join("cgroup.kill"), "1");
}

/// Hands controllers down, each by itself: one that cannot be is no reason to lose the others.
fn hand_down(cgroup: &Path) {
    let have = fs::read_to_string(cgroup.join("cgroup.controllers")).unwrap_or_default();
    for controller in have.split_whitespace().filter(|name| ["memory", "cpu"].contains(name)) {
        let _ = fs::write(cgroup.join("cgroup.subtree_control"), format!("+{controller}"));
    }
}

fn set(cgroup: &Path, file: &str, value: u64) -> bool {
    fs::create_dir_all(cgroup).is_ok() && fs::write(cgroup.join(file), value.to_string()).is_ok()
}

/// Removes a cgroup and those below it; what is not there is gone.
fn remove(cgroup: &Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(cgroup) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(cgroup)
}

/// A row of `mountinfo` (proc_pid_mountinfo(5)).
struct Mounted<'a> {
    /// What of the file system is seen there.
    top: &'a str,
    place: &'a str,
    /// Of the file system; of version 1 its controllers are among them.
    options: &'a str,
}

/// Where a file system of this type is mounted.
fn mounts<'a>(table: &'a str, system: &str) -> impl Iterator<Item = Mounted<'a>> {
    table.lines().filter_map(move |line| {
        let (mount, of_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let mut of_system = of_system.split(' ');
        let is_meant = of_system.next() == Some(system);
        let found = Mounted {
            top: mount.next()?,
            place: mount.next()?,
            options: of_system.nth(1)?,
        };
        is_meant.then_some(found)
    })
}

/// Where a controller of version 1 is mounted.
fn version_1(table: &str, controller: &str) -> Option<PathBuf> {
    mounts(table, "cgroup").find_map(|mount| {
        let is_meant = mount.options.split(',').any(|one| one == controller);
        is_meant.then(|| mount.place.into())
    })
}

/// A cgroup's path in version 2, from the root of all; its path on this machine if no mount has it.
fn within_version_2(table: &str, cgroup: &Path) -> PathBuf {
    let found = mounts(table, "cgroup2").filter_map(|mount| {
        let below = cgroup.strip_prefix(mount.place).ok()?;
        Some((mount.place.len(), Path::new(mount.top).join(below)))
    });
    let nearest = found.max_by_key(|(length, _)| *length);
    nearest.map_or_else(|| cgroup.to_owned(), |(_, path)| path)
}

/// One name for a whole path; no two paths have the same.
fn flat(path: &Path) -> OsString {
    let path = path.strip_prefix("/").unwrap_or(path);
    let mut name = Vec::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' => name.extend(b"%2F"),
            b'%' => name.extend(b"%25"),
            other => name.push(*other),
        }
    }
    OsString::from_vec(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cgroups_share_no_name_in_version_1() {
        let table = "30 23 0:26 / / rw - ext4 /dev/vda rw\n\
                     41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n\
                     52 31 0:38 /a/deep /mnt/deep rw,relatime - cgroup2 cgroup2 rw\n";
        let name = |cgroup: &str| flat(&within_version_2(table, Path::new(cgroup)));
        assert_eq!(name("/sys/fs/cgroup/sluice"), "sluice");
        assert_eq!(name("/sys/fs/cgroup/a/pods"), "a%2Fpods");
        assert_eq!(name("/sys/fs/cgroup/b/pods"), "b%2Fpods");
        assert_eq!(name("/sys/fs/cgroup/a%2Fpods"), "a%252Fpods");
        assert_eq!(name("/mnt/deep/pods"), name("/sys/fs/cgroup/a/deep/pods"));
        assert_eq!(name("/elsewhere/pods"), "elsewhere%2Fpods");
    }

    #[test]
    fn controllers_of_version_1_are_found_where_they_are_mounted() {
        let table = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
                     41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        assert_eq!(
            version_1(table, "cpu"),
            Some(PathBuf::from("/sys/fs/cgroup/cpu,cpuacct"))
        );
        assert_eq!(version_1(table, "memory"), None);
    }
}
