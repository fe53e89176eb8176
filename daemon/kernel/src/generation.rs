// SPDX-License-Identifier: Apache-2.0
//! Generations of other ABIs beside ours.
//!
//! Problem: connections established before an upgrade (or downgrade) have their state in maps that we cannot read; they
//! must be counted until they close, and their folder must go afterwards.
//! Mechanism: the frozen part of their counters is read and added; pods are matched by key through the text record. A
//! folder goes when nothing is in flight there and no socket anywhere has a value in its connection storage: the kernel
//! enumerates that map itself (BPF iterator), whatever the namespace. Where it has no such iterator (before 5.9) the
//! folder stays until `sluice cleanup`.
//! Invariants: nothing but the frozen counters, the text record and map names is assumed of another generation.
//! Depends on: `pins`, `counts`, `sys`.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::PathBuf,
};

use abi::{PodKey, names};

use crate::{
    attach,
    counts::{Counts, ReadError, Reader},
    pins::Folder,
    sys::{self, map::PerCpu, storage},
};

/// Another generation whose connections may still be open.
#[derive(Debug)]
pub(crate) struct Older {
    pub(crate) abi: u64,
    pub(crate) folder: Folder,
    reader: Reader,
    pods: HashMap<PodKey, u32>,
    connections: OwnedFd,
}

impl Older {
    pub(crate) fn open(abi: u64, folder: Folder) -> io::Result<Self> {
        let reader = Reader::new(PerCpu::open(&folder.map(names::COUNTS))?)?;
        let connections = sys::object::get(&folder.map(names::CONNECTIONS))?;
        let pods = folder.pods()?.into_iter().map(|(key, index, _)| (key, index)).collect();
        Ok(Self {
            abi,
            folder,
            reader,
            pods,
            connections,
        })
    }

    /// Index there of a pod.
    pub(crate) fn index(&self, key: &PodKey) -> Option<u32> {
        self.pods.get(key).copied()
    }

    pub(crate) fn add(&self, index: u32, sum: &mut Counts) -> Result<(), ReadError> {
        self.reader.add(index, false, sum)
    }

    /// The map in which its connections have a value.
    pub(crate) fn connections(&self) -> BorrowedFd<'_> {
        self.connections.as_fd()
    }

    /// Whether nothing is in flight and no socket has state there.
    pub(crate) fn is_empty(&self) -> Result<bool, ReadError> {
        for index in self.pods.values() {
            let mut counts = Counts::default();
            self.add(*index, &mut counts)?;
            if counts.in_flight_raw() != 0 {
                return Ok(false);
            }
        }
        Ok(storage::count(self.connections())? == 0)
    }

    /// Removes the folder.
    pub(crate) fn retire(self) -> io::Result<()> {
        dismantle(&self.folder, &mut Vec::new()).map(drop)
    }
}

/// Detaches and removes what a folder records; returns what is not ours and stays.
pub(crate) fn dismantle(folder: &Folder, removed: &mut Vec<PathBuf>) -> io::Result<Vec<PathBuf>> {
    removed.extend(attach::detach_where(folder, |_, _| true)?);
    folder.remove(removed)
}
