// SPDX-License-Identifier: Apache-2.0
//! Attaching programs to cgroups, with pinned links.
//!
//! Problem: a restart must find what is attached and swap it without a gap; a call that goes wrong in the middle must
//! leave nothing of its own behind.
//! Mechanism: one pinned link per cgroup and hook. One that is there is adopted (and its program replaced, atomically);
//! one that is not is made, and undone in reverse order when a later step fails.
//! Invariants: the cgroup's path is recorded before its first link; never detach-then-attach.
//! Depends on: `hooks`, `pins`, `object`, `sys`.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::{Path, PathBuf},
};

use crate::{
    hooks::{Hook, Hooks},
    host,
    object::Loaded,
    pins::Folder,
    sys::{self, link},
};

/// Why a cgroup could not be attached to, or let go.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Not (or no longer) there. Nothing of the call is left.
    #[error("cgroup {cgroup} is not there, or vanished meanwhile")]
    Gone {
        /// Asked for.
        cgroup: PathBuf,
    },
    /// On another filesystem.
    #[error("{cgroup} is not a cgroup of version 2")]
    NotCgroup2 {
        /// Asked for.
        cgroup: PathBuf,
    },
    /// Above or beside the folder that the settings allow.
    #[error("{cgroup} is not below {root}")]
    Outside {
        /// Asked for.
        cgroup: PathBuf,
        /// Allowed.
        root: PathBuf,
    },
    /// This kernel cannot do it.
    #[error("this kernel cannot {what}: {why}")]
    Unsupported {
        /// Asked for.
        what: &'static str,
        /// In words.
        why: String,
    },
    /// The pin names another place than the link has.
    #[error("{pin} is not a link of ours")]
    Foreign {
        /// Where it is pinned.
        pin: PathBuf,
    },
    /// The kernel refused. Nothing of the call is left.
    #[error("{step} {hook} at {cgroup}")]
    Kernel {
        /// What was done.
        step: &'static str,
        /// Which program.
        hook: &'static str,
        /// Where.
        cgroup: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The record could not be written.
    #[error("the record of attachments could not be written")]
    Record(#[source] io::Error),
}

impl AttachError {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Gone { .. } => "the pod has ended, or the path is wrong: list cgroups with `systemd-cgls`",
            Self::NotCgroup2 { .. } => "use a folder below the cgroup2 mount (see `sluice check`)",
            Self::Outside { .. } => "choose another --cgroup-root",
            Self::Unsupported { .. } => "see `sluice check` for what this kernel offers",
            Self::Foreign { .. } => "choose another --pin-dir, or remove the pin by hand",
            Self::Kernel { .. } => {
                "run as root or with CAP_BPF and CAP_NET_ADMIN; a program of another owner may forbid more (cgroup_skb without multi)"
            }
            Self::Record(_) => "check that the pin folder is on a writable bpffs",
        }
    }
}

/// An open cgroup.
#[derive(Debug)]
pub(crate) struct Cgroup {
    file: File,
    pub(crate) id: u64,
    pub(crate) path: PathBuf,
}

impl Cgroup {
    pub(crate) fn open(path: &Path) -> Result<Self, AttachError> {
        let gone = || AttachError::Gone {
            cgroup: path.to_owned(),
        };
        let file = File::open(path).map_err(|_| gone())?;
        if !host::is_on_cgroup2(path) {
            // It may have gone since it was opened.
            return Err(if path.exists() {
                AttachError::NotCgroup2 {
                    cgroup: path.to_owned(),
                }
            } else {
                gone()
            });
        }
        // On 64 bit a cgroup's inode number is its id.
        let id = file.metadata().map_err(|_| gone())?.ino();
        Ok(Self {
            file,
            id,
            path: path.to_owned(),
        })
    }

    fn is_still_there(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|now| now.ino() == self.id)
    }

    pub(crate) fn attached(&self, hook: Hook) -> io::Result<Vec<u32>> {
        sys::program::attached(self.file.as_fd(), hook.point())
    }
}

/// Attaches what `hooks` ask for and `programs` has; all or nothing of what is new.
pub(crate) fn attach(
    folder: &Folder,
    programs: &HashMap<Hook, Loaded>,
    cgroup: &Cgroup,
    hooks: Hooks,
) -> Result<(), AttachError> {
    let wanted = Hook::ALL
        .into_iter()
        .filter(|hook| hook.is_asked_by(hooks))
        .filter_map(|hook| Some((hook, programs.get(&hook)?)));
    attach_each(folder, wanted, cgroup)
}

pub(crate) fn attach_each<'a>(
    folder: &Folder,
    wanted: impl Iterator<Item = (Hook, &'a Loaded)>,
    cgroup: &Cgroup,
) -> Result<(), AttachError> {
    let was_known = folder
        .links()
        .map_err(AttachError::Record)?
        .iter()
        .any(|(id, _)| *id == cgroup.id);
    folder
        .set_cgroup(cgroup.id, &cgroup.path)
        .map_err(AttachError::Record)?;
    let mut made = Made {
        folder,
        cgroup,
        links: Vec::new(),
        was_known,
    };
    for (hook, program) in wanted {
        made.add(hook, program)?;
    }
    if !cgroup.is_still_there() {
        return Err(AttachError::Gone {
            cgroup: cgroup.path.clone(),
        });
    }
    made.keep();
    Ok(())
}

/// Links made by one call; undone when dropped before `keep`.
struct Made<'a> {
    folder: &'a Folder,
    cgroup: &'a Cgroup,
    links: Vec<(Hook, OwnedFd)>,
    was_known: bool,
}

impl Made<'_> {
    fn add(&mut self, hook: Hook, program: &Loaded) -> Result<(), AttachError> {
        let pin = self.folder.link(self.cgroup.id, hook);
        if pin.exists() && self.adopt(hook, program, &pin)? {
            return Ok(());
        }
        let link = link::create(program.fd.as_fd(), self.cgroup.file.as_fd(), hook.point());
        let link = link.map_err(|source| self.refused("attaching", hook, source))?;
        let pinned = sys::object::pin(link.as_fd(), &pin);
        self.links.push((hook, link));
        pinned.map_err(|source| self.refused("pinning", hook, source))
    }

    /// Whether the pinned link is alive; it has our program then.
    fn adopt(&self, hook: Hook, program: &Loaded, pin: &Path) -> Result<bool, AttachError> {
        let refused = |source| self.refused("adopting", hook, source);
        let link = sys::object::get(pin).map_err(refused)?;
        let Ok(info) = link::info(link.as_fd()) else {
            return Err(AttachError::Foreign { pin: pin.to_owned() });
        };
        if info.cgroup == 0 {
            fs::remove_file(pin).map_err(refused)?;
            return Ok(false);
        }
        if info.cgroup != self.cgroup.id || info.attach_point != hook.point() as u32 {
            return Err(AttachError::Foreign { pin: pin.to_owned() });
        }
        swap(&link, info.program, program).map_err(|source| self.refused("swapping", hook, source))?;
        Ok(true)
    }

    fn refused(&self, step: &'static str, hook: Hook, source: io::Error) -> AttachError {
        let cgroup = self.cgroup.path.clone();
        if !self.cgroup.is_still_there() {
            return AttachError::Gone { cgroup };
        }
        AttachError::Kernel {
            step,
            hook: hook.word(),
            cgroup,
            source,
        }
    }

    fn keep(mut self) {
        self.links.clear();
        self.was_known = true;
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        // Undoing goes on whatever goes wrong: the error that led here is the one to tell.
        for (hook, link) in self.links.drain(..).rev() {
            let _ = link::detach(link.as_fd());
            let _ = fs::remove_file(self.folder.link(self.cgroup.id, hook));
        }
        if !self.was_known {
            let _ = self.folder.forget_cgroup(self.cgroup.id);
        }
    }
}

/// Puts our program in the place of the one with id `current`.
fn swap(link: &OwnedFd, current: u32, program: &Loaded) -> io::Result<()> {
    if current == program.info.id {
        return Ok(());
    }
    let old = sys::program::by_id(current)?;
    link::replace(link.as_fd(), program.fd.as_fd(), old.as_fd())
}

/// Swaps the programs of all pinned links for ours and drops the pins of links whose cgroup is gone.
pub(crate) fn adopt_all(folder: &Folder, programs: &HashMap<Hook, Loaded>) -> Result<usize, AttachError> {
    let mut adopted = 0;
    for (cgroup, hook) in folder.links().map_err(AttachError::Record)? {
        let pin = folder.link(cgroup, hook);
        let failed = |step, source| AttachError::Kernel {
            step,
            hook: hook.word(),
            cgroup: pin.clone(),
            source,
        };
        let link = sys::object::get(&pin).map_err(|source| failed("adopting", source))?;
        let Ok(info) = link::info(link.as_fd()) else {
            return Err(AttachError::Foreign { pin });
        };
        if info.cgroup == 0 {
            fs::remove_file(&pin).map_err(|source| failed("forgetting", source))?;
            continue;
        }
        let Some(program) = programs.get(&hook) else { continue };
        swap(&link, info.program, program).map_err(|source| failed("swapping", source))?;
        adopted += 1;
    }
    forget_idle(folder).map_err(AttachError::Record)?;
    Ok(adopted)
}

/// Detaches and unpins everything of a cgroup, given by its path (it may be gone already).
pub(crate) fn detach(folder: &Folder, path: &Path) -> Result<(), AttachError> {
    let recorded = folder.cgroups().map_err(AttachError::Record)?;
    let mut ids: Vec<u64> = recorded
        .iter()
        .filter(|(_, known)| known == path)
        .map(|(id, _)| *id)
        .collect();
    ids.extend(fs::metadata(path).ok().map(|now| now.ino()));
    detach_where(folder, |cgroup, _| ids.contains(&cgroup)).map_err(AttachError::Record)?;
    forget_idle(folder).map_err(AttachError::Record)
}

/// Detaches and unpins the links chosen; returns their pins.
pub(crate) fn detach_where(folder: &Folder, is_chosen: impl Fn(u64, Hook) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut gone = Vec::new();
    // The reverse of attaching: no connection gets state whose packets are not seen.
    let mut links = folder.links()?;
    links.sort_by_key(|(_, hook)| std::cmp::Reverse(*hook));
    for (cgroup, hook) in links.into_iter().filter(|(cgroup, hook)| is_chosen(*cgroup, *hook)) {
        let pin = folder.link(cgroup, hook);
        let link = sys::object::get(&pin)?;
        match link::detach(link.as_fd()) {
            // Its cgroup is gone, and the kernel detached it then.
            Err(error) if error.raw_os_error() != Some(libc::ENOLINK) && link::info(link.as_fd())?.cgroup != 0 => {
                return Err(error);
            }
            _ => fs::remove_file(&pin)?,
        }
        gone.push(pin);
    }
    Ok(gone)
}

/// Forgets the paths of cgroups without links.
fn forget_idle(folder: &Folder) -> io::Result<()> {
    let links = folder.links()?;
    for (id, _) in folder.cgroups()? {
        if !links.iter().any(|(cgroup, _)| *cgroup == id) {
            folder.forget_cgroup(id)?;
        }
    }
    Ok(())
}
