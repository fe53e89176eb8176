// SPDX-License-Identifier: Apache-2.0
//! Whether the programs that count still run.
//!
//! Problem: somebody may detach them or remove their pins while the figures are shown; counters that stand still look like
//! a server at rest.
//! Mechanism: what was attached at the beginning is compared with what the kernel says, every [`PAUSE`].
//! Invariants: pure: time and what was found are arguments. What could not be asked is not known.
//! Depends on: kernel (`Attachment`).

use std::{
    path::Path,
    time::{Duration, Instant},
};

use kernel::{Attached, Attachment, Hook};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(10);

/// What should run, and what of it does not.
#[derive(Debug)]
pub(crate) struct Watch {
    expected: Vec<Attached>,
    lost: Option<Vec<Attached>>,
    is_emptied: bool,
    due: Instant,
}

impl Watch {
    /// Expects what counts in `found`, also what is pinned there and does not run.
    pub(crate) fn begin(found: Attachment, now: Instant) -> Self {
        let mut watch = Self {
            expected: found.links.iter().filter(|link| counts(link.hook)).cloned().collect(),
            lost: None,
            is_emptied: false,
            due: now,
        };
        watch.compare(Some(found), now);
        watch
    }

    /// Whether it is time to ask the kernel again.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now >= self.due
    }

    /// Takes in what the kernel says now; `None` = it could not be asked.
    pub(crate) fn compare(&mut self, found: Option<Attachment>, now: Instant) {
        let links = found.map(|found| found.links);
        self.is_emptied = !self.expected.is_empty() && links.as_ref().is_some_and(Vec::is_empty);
        self.lost = links.map(|links| {
            let runs = |expected: &&Attached| links.iter().any(|link| is_same(link, expected));
            self.expected
                .iter()
                .filter(|expected| !runs(expected))
                .cloned()
                .collect()
        });
        self.due = now + PAUSE;
    }

    /// Whether no pin is left: what took them away took the counting.
    pub(crate) fn is_emptied(&self) -> bool {
        self.is_emptied
    }

    /// Places from which the programs are gone that counted sockets of `cgroup`.
    pub(crate) fn lost(&self, cgroup: &Path) -> Option<Vec<Hook>> {
        let lost = self.lost.as_ref()?;
        let covers = |link: &&Attached| cgroup.starts_with(&link.cgroup);
        if !self.expected.iter().any(|link| covers(&link)) {
            // Without this one nothing is counted, in any tier.
            return Some(vec![Hook::SockOps]);
        }
        Some(lost.iter().filter(covers).map(|link| link.hook).collect())
    }
}

fn counts(hook: Hook) -> bool {
    matches!(hook, Hook::Ingress | Hook::Egress | Hook::SockOps)
}

/// The program may be another one where others swap it.
fn is_same(found: &Attached, expected: &Attached) -> bool {
    found.is_effective
        && (&found.cgroup, found.hook) == (&expected.cgroup, expected.hook)
        && (found.is_ours || !expected.is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(cgroup: &str, hook: Hook) -> Attached {
        Attached {
            cgroup: cgroup.into(),
            hook,
            program: 1,
            is_ours: true,
            is_effective: true,
        }
    }

    fn all(cgroup: &str) -> Attachment {
        let hooks = [Hook::Ingress, Hook::Egress, Hook::SockOps, Hook::Connect4];
        Attachment {
            links: hooks.map(|hook| link(cgroup, hook)).into(),
        }
    }

    fn watch() -> Watch {
        Watch::begin(all("/c/a"), Instant::now())
    }

    #[test]
    fn a_link_that_is_missing_or_does_not_run_is_lost() {
        let mut watch = watch();
        assert_eq!(watch.lost(Path::new("/c/a/below")), Some(vec![]));
        let mut found = all("/c/a");
        found.links[0].is_effective = false;
        found.links.remove(1);
        watch.compare(Some(found), Instant::now());
        assert_eq!(watch.lost(Path::new("/c/a")), Some(vec![Hook::Ingress, Hook::Egress]));
        assert!(!watch.is_emptied());
        watch.compare(Some(all("/c/a")), Instant::now());
        assert_eq!(watch.lost(Path::new("/c/a")), Some(vec![]));
    }

    #[test]
    fn programs_for_clients_do_not_matter() {
        let mut watch = watch();
        let mut found = all("/c/a");
        found.links.pop();
        watch.compare(Some(found), Instant::now());
        assert_eq!(watch.lost(Path::new("/c/a")), Some(vec![]));
    }

    #[test]
    fn what_others_swap_is_not_lost_but_what_replaces_ours_is() {
        let mut found = all("/c/a");
        found.links[0].program = 2;
        found.links[0].is_ours = false;
        let mut watch = watch();
        watch.compare(Some(found.clone()), Instant::now());
        assert_eq!(watch.lost(Path::new("/c/a")), Some(vec![Hook::Ingress]));
        let mut theirs = all("/c/a");
        theirs.links.iter_mut().for_each(|link| link.is_ours = false);
        let mut watch = Watch::begin(theirs, Instant::now());
        watch.compare(Some(found), Instant::now());
        assert_eq!(watch.lost(Path::new("/c/a")), Some(vec![]));
    }

    #[test]
    fn what_cannot_be_asked_is_not_known_and_asked_again_later() {
        let begin = Instant::now();
        let mut watch = Watch::begin(all("/c/a"), begin);
        assert!(!watch.is_due(begin));
        assert!(watch.is_due(begin + PAUSE));
        watch.compare(None, begin + PAUSE);
        assert_eq!((watch.lost(Path::new("/c/a")), watch.is_emptied()), (None, false));
        assert!(!watch.is_due(begin + PAUSE));
    }

    #[test]
    fn without_any_pin_everything_is_lost() {
        let mut watch = watch();
        watch.compare(Some(Attachment::default()), Instant::now());
        assert!(watch.is_emptied());
        assert_eq!(watch.lost(Path::new("/c/a")).map(|lost| lost.len()), Some(3));
    }

    #[test]
    fn a_server_that_nothing_covers_is_not_counted() {
        assert_eq!(watch().lost(Path::new("/c/ab")), Some(vec![Hook::SockOps]));
    }
}
