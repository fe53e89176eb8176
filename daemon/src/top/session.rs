// SPDX-License-Identifier: Apache-2.0
//! What `sluice top` attaches, and what it takes away again.
//!
//! Problem: counting must survive kill -9 of whoever shows it, and must not stay when it ends as asked.
//! Mechanism: all of it is pinned by `kernel`; a port that is tracked already keeps its index and so its totals. At the
//! end, ports of this session are untracked; when no other port is left there, the whole pin folder goes.
//! Invariants: a cgroup is not attached to when one above it is: its packets would be seen twice. Dropping undoes what
//! this session added; only `end` with `keep` leaves it. A pin folder that another made in the place of ours is left alone.
//! Depends on: `counted`, `servers`, kernel.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use kernel::{Hooks, Kernel, PodKey, Settings};

use crate::{
    failure::{Exit, Failure},
    top::{
        counted::{self, Counted},
        servers::Server,
    },
};

/// Attached and counting.
#[derive(Debug)]
pub(crate) struct Session {
    settings: Settings,
    kernel: Option<Kernel>,
    pub(crate) counted: Vec<Counted>,
    /// Keys that this session tracked first.
    new: Vec<PodKey>,
    /// Whether something was pinned before.
    pub(crate) is_adopted: bool,
    /// Whether programs were attached before: if not, ports tracked before are of servers that are gone.
    was_attached: bool,
    is_begun: bool,
}

/// What is left behind at the end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing.
    Nothing,
    /// Ports that others track.
    Others(usize),
    /// Everything, as asked.
    Kept,
}

const ALONE: Hooks = Hooks {
    account: true,
    redirect: false,
};

impl Session {
    /// Tracks the ports, attaches to their cgroups.
    pub(crate) fn begin(settings: Settings, kernel: Kernel, servers: Vec<Server>) -> Result<Self, Failure> {
        let is_adopted = !kernel.tracked().is_empty();
        let was_attached = kernel.verify().is_ok_and(|found| !found.links.is_empty());
        let mut session = Self {
            settings,
            kernel: Some(kernel),
            counted: Vec::new(),
            new: Vec::new(),
            is_adopted,
            was_attached,
            is_begun: false,
        };
        for server in servers {
            session.track(server)?;
        }
        session.attach()?;
        session.is_begun = true;
        Ok(session)
    }

    /// The kernel side.
    pub(crate) fn kernel(&self) -> Result<&Kernel, Failure> {
        let closed = || Failure::new(Exit::Failed, "the session has ended", "");
        self.kernel.as_ref().ok_or_else(closed)
    }

    fn track(&mut self, server: Server) -> Result<(), Failure> {
        let kernel = self.kernel()?;
        let keys = counted::keys_of(kernel.view(), &server)?;
        let known = counted::pod_of(kernel.view(), &keys);
        let pod = known.unwrap_or_else(|| kernel.free_pod());
        // Before tracking: what goes wrong in the middle is undone, too.
        if known.is_none() {
            self.new.extend(&keys);
        }
        self.counted.push(Counted::new(server, pod, keys.clone()));
        let kernel = self.kernel()?;
        keys.iter().try_for_each(|key| Ok(kernel.track(*key, pod, 0)?))
    }

    fn attach(&self) -> Result<(), Failure> {
        let kernel = self.kernel()?;
        let known = kernel.verify()?;
        let attached: Vec<PathBuf> = known.links.iter().map(|link| link.cgroup.clone()).collect();
        let wanted: Vec<PathBuf> = self
            .counted
            .iter()
            .map(|counted| counted.server.cgroup.clone())
            .collect();
        let places = topmost(attached.iter().chain(&wanted));
        for place in places {
            kernel.attach(place, ALONE)?;
        }
        for below in attached.iter().filter(|path| is_covered(path, &wanted)) {
            kernel.detach(below)?;
        }
        self.check_attachment(kernel)
    }

    /// What was attached may still not run: a program above may forbid more.
    fn check_attachment(&self, kernel: &Kernel) -> Result<(), Failure> {
        let found = kernel.verify()?;
        match found
            .links
            .iter()
            .find(|link| !link.is_effective && self.needs(&link.cgroup))
        {
            None => Ok(()),
            Some(link) => Err(Failure::new(
                Exit::Gone,
                format!(
                    "{} is attached to {} but does not run",
                    link.hook.word(),
                    link.cgroup.display()
                ),
                "the cgroup has gone, or a program above it forbids others",
            )),
        }
    }

    fn needs(&self, cgroup: &Path) -> bool {
        self.counted
            .iter()
            .any(|counted| counted.server.cgroup.starts_with(cgroup))
    }

    /// Ends counting, or leaves it.
    pub(crate) fn end(mut self, keep: bool) -> Result<Left, Failure> {
        if keep && self.kernel.as_ref().is_some_and(Kernel::has_its_folder) {
            self.kernel = None;
            return Ok(Left::Kept);
        }
        self.undo(true)
    }

    /// Untracks ports of this session (all of them, or those it tracked first) and, when nothing else is tracked,
    /// removes the pin folder.
    fn undo(&mut self, all: bool) -> Result<Left, Failure> {
        let Some(kernel) = self.kernel.take() else {
            return Ok(Left::Nothing);
        };
        if !kernel.has_its_folder() {
            return Ok(Left::Nothing);
        }
        let ours = self.counted.iter().flat_map(|counted| &counted.keys);
        for key in ours.filter(|key| all || self.new.contains(key)) {
            kernel.untrack(key)?;
        }
        let others = kernel.tracked().len();
        // The lock on the pin folder goes with it.
        drop(kernel);
        if others > 0 && self.was_attached {
            return Ok(Left::Others(others));
        }
        let cleaned = kernel::cleanup(&self.settings)?;
        match cleaned.left.first() {
            None => Ok(Left::Nothing),
            Some(path) => Err(Failure::new(
                Exit::Foreign,
                format!("{} was left alone, because we did not make it", path.display()),
                "look at it, then remove it by hand",
            )),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The error or panic that led here is the one to tell.
        let _ = self.undo(self.is_begun);
    }
}

/// Of the paths those with no other above them, each once.
fn topmost<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> BTreeSet<&'a Path> {
    let all: BTreeSet<&Path> = paths.map(PathBuf::as_path).collect();
    let has_none_above = |path: &&Path| !path.ancestors().skip(1).any(|above| all.contains(above));
    all.iter().copied().filter(has_none_above).collect()
}

fn is_covered(path: &Path, by: &[PathBuf]) -> bool {
    path.ancestors()
        .skip(1)
        .any(|above| by.iter().any(|other| other == above))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_below_another_is_not_attached_to() {
        let paths = ["/c/a/b", "/c/a", "/c/x", "/c/x", "/c/ab"].map(PathBuf::from);
        let found: Vec<_> = topmost(paths.iter()).into_iter().collect();
        assert_eq!(found, [Path::new("/c/a"), Path::new("/c/ab"), Path::new("/c/x")]);
        assert!(is_covered(Path::new("/c/a/b"), &paths));
        assert!(!is_covered(Path::new("/c/a"), &paths));
    }
}
