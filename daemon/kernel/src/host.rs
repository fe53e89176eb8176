// SPDX-License-Identifier: Apache-2.0
//! What must be there before anything is loaded: privileges, a bpffs, cgroup v2.
//!
//! Problem: bpf(2) answers EPERM or EINVAL for all of them alike.
//! Mechanism: look first (CapEff, statfs, the mount table) and say which one is missing.
//! Depends on: libc.

use std::{
    ffi::CStr,
    fmt, fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use crate::sys;

/// A privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// CAP_BPF, or CAP_SYS_ADMIN before 5.8.
    Bpf,
    /// CAP_NET_ADMIN.
    NetAdmin,
    /// CAP_PERFMON: the verifier allows pointer arithmetic that it needs to trust.
    Perfmon,
    /// CAP_SYS_ADMIN: entering other network namespaces.
    SysAdmin,
}

impl Capability {
    const fn bit(self) -> u32 {
        match self {
            Self::Bpf => 39,
            Self::NetAdmin => 12,
            Self::Perfmon => 38,
            Self::SysAdmin => 21,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bpf => "CAP_BPF",
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::Perfmon => "CAP_PERFMON",
            Self::SysAdmin => "CAP_SYS_ADMIN",
        })
    }
}

/// Whether a procfs is there. Without it neither privileges nor cgroup v2 nor processes are found: each would be said to be
/// missing itself.
pub fn is_procfs(proc_root: &Path) -> bool {
    proc_root.join("self/status").exists()
}

/// Privileges that are missing for loading and attaching. Empty when all are there or nobody can tell.
pub fn missing_capabilities(proc_root: &Path) -> Vec<Capability> {
    let status = fs::read_to_string(proc_root.join("self/status")).unwrap_or_default();
    effective(&status).map(missing).unwrap_or_default()
}

fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn missing(effective: u64) -> Vec<Capability> {
    let has = |capability: Capability| effective >> capability.bit() & 1 == 1;
    let has_all_bpf = has(Capability::SysAdmin);
    let needed = [Capability::Bpf, Capability::Perfmon, Capability::NetAdmin];
    let is_covered = |capability| has(capability) || has_all_bpf && capability != Capability::NetAdmin;
    needed
        .into_iter()
        .filter(|capability| !is_covered(*capability))
        .collect()
}

const BPFFS: i64 = 0xcafe_4a11;
const CGROUP2: i64 = 0x6367_7270;

/// Whether a path, or its nearest parent that exists, is on a bpffs.
pub fn is_on_bpffs(path: &Path) -> bool {
    path.ancestors()
        .find(|ancestor| ancestor.exists())
        .is_some_and(|there| filesystem(there).is_ok_and(|kind| kind == BPFFS))
}

/// Whether a path is on cgroup v2.
pub fn is_on_cgroup2(path: &Path) -> bool {
    filesystem(path).is_ok_and(|kind| kind == CGROUP2)
}

#[expect(unsafe_code, reason = "statfs is not in std")]
#[allow(clippy::unnecessary_cast, reason = "f_type has another width elsewhere")]
fn filesystem(path: &Path) -> io::Result<i64> {
    let path = sys::c_path(path)?;
    let path: &CStr = &path;
    let mut found = std::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: a C string and room for one statfs.
    if unsafe { libc::statfs(path.as_ptr(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed integers are valid, and the call succeeded.
    Ok(unsafe { found.assume_init() }.f_type as i64)
}

/// Where cgroup v2 is mounted, in pure and hybrid set-ups.
pub fn find_cgroup2(proc_root: &Path) -> Option<PathBuf> {
    let mounts = fs::read(proc_root.join("self/mounts")).ok()?;
    cgroup2_of(&mounts)
}

fn cgroup2_of(mounts: &[u8]) -> Option<PathBuf> {
    mounts.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let (_, place, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == b"cgroup2").then(|| unescape(place))
    })
}

/// The mount table writes blanks as octal escapes.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = (*first == b'\\').then(|| tail.get(..3)).flatten();
        let code = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|text| u8::from_str_radix(text, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[3..] } else { tail };
    }
    PathBuf::from(std::ffi::OsStr::from_bytes(&bytes))
}

/// The cgroup v2 folder of a process.
pub fn cgroup_of(proc_root: &Path, pid: u32) -> io::Result<PathBuf> {
    let none = |text: &str| io::Error::new(io::ErrorKind::NotFound, text.to_owned());
    let text = fs::read_to_string(proc_root.join(format!("{pid}/cgroup")))?;
    let path = text
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .ok_or_else(|| none("not in a cgroup of version 2"))?;
    let mount = find_cgroup2(proc_root).ok_or_else(|| none("cgroup v2 is not mounted"))?;
    Ok(mount.join(path))
}

/// Before 5.11 maps count against RLIMIT_MEMLOCK; a refusal shows itself when a map is made.
#[expect(unsafe_code, reason = "setrlimit is not in std")]
pub(crate) fn lift_memory_limit() {
    let limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: reads one struct.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_effective_set() {
        assert_eq!(
            effective("Name:\tx\nCapEff:\t000001fffeffffff\n"),
            Some(0x1ff_feff_ffff)
        );
        assert_eq!(missing(0), [Capability::Bpf, Capability::Perfmon, Capability::NetAdmin]);
        assert_eq!(missing(1 << 39 | 1 << 38), [Capability::NetAdmin]);
        assert_eq!(missing(1 << 21), [Capability::NetAdmin]);
        assert_eq!(missing(1 << 21 | 1 << 12), []);
        assert_eq!(effective("nothing"), None);
    }

    #[test]
    fn cgroup2_is_found_in_hybrid_mount_tables() {
        let hybrid = b"proc /proc proc rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/uni\\040fied cgroup2 rw 0 0\n";
        assert_eq!(cgroup2_of(hybrid), Some(PathBuf::from("/sys/fs/cgroup/uni fied")));
        assert_eq!(cgroup2_of(b"proc /proc proc rw 0 0\n"), None);
        assert_eq!(cgroup2_of(b""), None);
    }
}
