// SPDX-License-Identifier: Apache-2.0
//! Pins: any BPF object under a path of a bpffs, and back.
//!
//! Problem: links and maps must outlive the daemon.
//! Mechanism: BPF_OBJ_PIN, BPF_OBJ_GET, BPF_OBJ_GET_INFO_BY_FD.
//! Depends on: `sys`.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
    path::Path,
};

use super::{Command, bpf, c_path, owned};

#[repr(C)]
struct ObjAttr {
    path: u64,
    fd: u32,
    flags: u32,
}

#[repr(C)]
struct InfoAttr {
    fd: u32,
    length: u32,
    info: u64,
}

/// Pins an object; the path must not exist.
pub fn pin(fd: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    let mut attr = ObjAttr {
        path: path.as_ptr() as u64,
        fd: fd.as_raw_fd() as u32,
        flags: 0,
    };
    // SAFETY: ObjAttr is what OBJ_PIN reads; `path` lives until the call is over.
    unsafe { bpf(Command::ObjPin, &mut attr) }.map(drop)
}

/// Opens a pinned object.
pub fn get(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let mut attr = ObjAttr {
        path: path.as_ptr() as u64,
        fd: 0,
        flags: 0,
    };
    // SAFETY: ObjAttr is what OBJ_GET reads; `path` lives until the call is over.
    unsafe { bpf(Command::ObjGet, &mut attr) }.map(owned)
}

/// Fills `info` with what the kernel says about the object.
///
/// # Safety
/// `I` is a prefix of the info struct of the descriptor's kind, of integers only; pointers in it are 0 or valid.
pub(crate) unsafe fn info<I>(fd: BorrowedFd<'_>, info: &mut I) -> io::Result<()> {
    let mut attr = InfoAttr {
        fd: fd.as_raw_fd() as u32,
        length: size_of::<I>() as u32,
        info: std::ptr::from_mut(info) as u64,
    };
    // SAFETY: InfoAttr is what OBJ_GET_INFO_BY_FD reads; the caller vouches for `info`.
    unsafe { bpf(Command::InfoByFd, &mut attr) }.map(drop)
}
