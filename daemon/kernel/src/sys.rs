// SPDX-License-Identifier: Apache-2.0
//! The bpf(2) system call, as far as aya does not reach.
//!
//! Problem: aya 0.14 pins cgroup links but neither adopts nor updates them, copies per-CPU values through a fresh
//! allocation, and maps no array into memory.
//! Mechanism: one `repr(C)` attribute struct per command, in front of safe functions over file descriptors.
//! Invariants: attribute structs have no implicit padding (the kernel refuses stray bytes); every pointer inside one
//! outlives its call.
//! Depends on: libc.
#![expect(unsafe_code, reason = "system calls")]

pub mod link;
pub mod map;
pub mod mapped;
pub mod object;
pub mod program;
pub mod storage;

use std::{
    ffi::CString,
    io,
    os::{
        fd::{FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

/// Commands of bpf(2).
#[derive(Clone, Copy, Debug)]
#[repr(i64)]
pub(crate) enum Command {
    MapCreate = 0,
    MapLookup = 1,
    MapUpdate = 2,
    MapDelete = 3,
    MapNextKey = 4,
    ProgLoad = 5,
    ObjPin = 6,
    ObjGet = 7,
    ProgFdById = 13,
    InfoByFd = 15,
    ProgQuery = 16,
    MapUpdateBatch = 26,
    MapDeleteBatch = 27,
    LinkCreate = 28,
    LinkUpdate = 29,
    IterCreate = 33,
    LinkDetach = 34,
}

/// Calls bpf(2).
///
/// # Safety
/// `A` is the attribute struct of `command` without padding, and every pointer in it is valid for what the command
/// reads and writes there.
pub(crate) unsafe fn bpf<A>(command: Command, attr: &mut A) -> io::Result<i32> {
    // SAFETY: the caller vouches for `attr`; its size is passed along.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            std::ptr::from_mut(attr),
            size_of::<A>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result as i32)
    }
}

/// Takes over a descriptor that the kernel just returned.
pub(crate) fn owned(fd: i32) -> OwnedFd {
    // SAFETY: called only with a descriptor that a system call returned and that nobody else holds.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

pub(crate) fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

/// Number of CPUs the kernel may ever bring up: per-CPU values have that many parts.
pub fn possible_cpus() -> io::Result<usize> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/possible")?;
    parse_cpus(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unreadable list of possible CPUs"))
}

fn parse_cpus(text: &str) -> Option<usize> {
    let mut count = 0;
    for range in text.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        count += last.checked_sub(first)? + 1;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::parse_cpus;

    #[test]
    fn possible_cpus_are_counted_over_ranges() {
        assert_eq!(parse_cpus("0-1\n"), Some(2));
        assert_eq!(parse_cpus("0"), Some(1));
        assert_eq!(parse_cpus("0,2-3,8-11"), Some(7));
        assert_eq!(parse_cpus("3-1"), None);
        assert_eq!(parse_cpus(""), None);
    }
}
