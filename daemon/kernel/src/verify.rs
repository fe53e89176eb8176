// SPDX-License-Identifier: Apache-2.0
//! What is really attached.
//!
//! Problem: memory says what was attached, not what is.
//! Mechanism: for each pinned link the kernel is asked twice: the link (which cgroup, which program), and the cgroup
//! (BPF_PROG_QUERY: does it run that program).
//! Invariants: nothing is changed.
//! Depends on: `pins`, `attach`, `sys`.

use std::{collections::HashMap, io, os::fd::AsFd as _, path::PathBuf};

use crate::{
    attach::Cgroup,
    hooks::Hook,
    object::Loaded,
    pins::Folder,
    sys::{self, link},
};

/// One pinned link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Where it should be.
    pub cgroup: PathBuf,
    /// Which program.
    pub hook: Hook,
    /// Id of the program behind the link.
    pub program: u32,
    /// Whether that is the one this process loaded (who only looks has loaded none).
    pub is_ours: bool,
    /// Whether the cgroup runs it.
    pub is_effective: bool,
}

/// All pinned links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// One by one.
    pub links: Vec<Attached>,
}

impl Attachment {
    /// Whether something is attached, and all of it is ours and effective.
    pub fn is_complete(&self) -> bool {
        !self.links.is_empty() && self.links.iter().all(|link| link.is_ours && link.is_effective)
    }
}

pub(crate) fn verify(folder: &Folder, programs: &HashMap<Hook, Loaded>) -> io::Result<Attachment> {
    let paths: HashMap<u64, PathBuf> = folder.cgroups()?.into_iter().collect();
    let mut links = Vec::new();
    for (id, hook) in folder.links()? {
        let link = sys::object::get(&folder.link(id, hook))?;
        let info = link::info(link.as_fd())?;
        let cgroup = paths.get(&id).cloned().unwrap_or_default();
        let is_there = info.cgroup == id && info.attach_point == hook.point() as u32;
        let runs = match Cgroup::open(&cgroup) {
            Ok(open) if open.id == id => open.attached(hook)?.contains(&info.program),
            _ => false,
        };
        let is_ours = programs
            .get(&hook)
            .is_some_and(|program| program.info.id == info.program);
        links.push(Attached {
            cgroup,
            hook,
            program: info.program,
            is_ours,
            is_effective: is_there && runs,
        });
    }
    Ok(Attachment { links })
}
