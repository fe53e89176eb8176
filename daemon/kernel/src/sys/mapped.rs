// SPDX-License-Identifier: Apache-2.0
//! Arrays mapped into memory: words that userspace reads and writes without a system call.
//!
//! Problem: writing one field of an array element with BPF_MAP_UPDATE_ELEM overwrites its neighbours, which the programs
//! change at the same time (the in-flight word beside the threshold).
//! Mechanism: arrays created with BPF_F_MMAPABLE, mapped shared, accessed as atomics.
//! Invariants: the mapping lives as long as `Mapped`; all access is atomic and in bounds.
//! Depends on: `sys`, libc.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    path::Path,
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicU64},
};

use super::{
    map::{self, MMAPABLE, MapInfo, TYPE_ARRAY},
    object,
};

/// A mapped array.
#[derive(Debug)]
pub struct Mapped {
    _fd: OwnedFd,
    info: MapInfo,
    start: NonNull<AtomicU64>,
    bytes: usize,
}

// SAFETY: the memory is shared with the kernel and only ever accessed through atomics.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// Maps an array created with BPF_F_MMAPABLE.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let info = map::info(fd.as_fd())?;
        if info.kind != TYPE_ARRAY || info.flags & MMAPABLE == 0 || info.value_size % 8 != 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "not an array that can be mapped",
            ));
        }
        let bytes = info.value_size as usize * info.max_entries as usize;
        // SAFETY: a fresh shared mapping at an address the kernel chooses; the length is the array's.
        let start = unsafe {
            let flags = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(std::ptr::null_mut(), bytes, flags, libc::MAP_SHARED, fd.as_raw_fd(), 0)
        };
        let start = if start == libc::MAP_FAILED {
            None
        } else {
            NonNull::new(start.cast())
        };
        start
            .map(|start| Self {
                _fd: fd,
                info,
                start,
                bytes,
            })
            .ok_or_else(io::Error::last_os_error)
    }

    /// Maps a pinned array.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::new(object::get(path)?)
    }

    /// What the kernel said about it.
    pub fn info(&self) -> MapInfo {
        self.info
    }

    /// The u64 at byte `offset` (a multiple of 8) of element `index`.
    pub fn word(&self, index: u32, offset: usize) -> Option<&AtomicU64> {
        let byte = self.byte(index, offset, 8)?;
        // SAFETY: in bounds and aligned (`byte`), valid while `self` lives, atomics only.
        Some(unsafe { &*self.start.as_ptr().byte_add(byte) })
    }

    /// The u32 at byte `offset` (a multiple of 4) of element `index`.
    pub fn half(&self, index: u32, offset: usize) -> Option<&AtomicU32> {
        let byte = self.byte(index, offset, 4)?;
        // SAFETY: in bounds and aligned (`byte`), valid while `self` lives, atomics only.
        Some(unsafe { &*self.start.as_ptr().byte_add(byte).cast::<AtomicU32>() })
    }

    fn byte(&self, index: u32, offset: usize, size: usize) -> Option<usize> {
        let value_size = self.info.value_size as usize;
        let is_inside = index < self.info.max_entries && offset.is_multiple_of(size) && offset + size <= value_size;
        is_inside.then_some(index as usize * value_size + offset)
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `new`; no reference outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}
