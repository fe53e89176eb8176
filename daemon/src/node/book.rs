// SPDX-License-Identifier: Apache-2.0
//! The numbers of pods and revisions in the kernel's maps.
//!
//! Problem: numbers outlive the daemon, names do not: after a restart a pod must get the number it had, and its revision the
//! one that the pod's word still names, or what is in flight would be taken from another sum than it was added to.
//! Mechanism: what is pinned is read first (`adopted`); a pod that comes with a key of it claims its number, and with it its
//! revision's. A number given back is the last to be given again, and not while an open connection names it: after a restart
//! nobody else knows which were given back.
//! Invariants: one number has one owner.
//! Depends on: kernel (words only).

use kernel::{PodId, PodKey, RevisionId};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A pod of a revision, as who watches pods knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pod {
    /// Unlike any other, ever.
    pub(crate) uid: String,
    /// Where it serves.
    pub(crate) address: SocketAddr,
    /// Its network namespace; none: of another node, or not to be found, and so not counted.
    pub(crate) netns: Option<PathBuf>,
    /// Whether it may have new connections.
    pub(crate) takes_requests: bool,
    /// Whether it lives on another node.
    pub(crate) is_remote: bool,
}

/// Why a pod is not counted, and gets no direct connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PodError {
    /// No number is left.
    #[error("no room for more pods: start with more")]
    Full,
    /// Its namespace.
    #[error(transparent)]
    Netns(#[from] kernel::NetnsError),
    /// The kernel.
    #[error(transparent)]
    Track(#[from] kernel::TrackError),
}

/// Numbers from 1 on.
#[derive(Debug)]
struct Numbers {
    next: u32,
    room: u32,
    free: VecDeque<u32>,
}

impl Numbers {
    fn new(room: u32) -> Self {
        Self {
            next: 1,
            room,
            free: VecDeque::new(),
        }
    }

    /// One that nobody owns; one that is still open is kept for later.
    fn take(&mut self, is_owned: impl Fn(u32) -> bool, is_open: impl Fn(u32) -> bool) -> Option<u32> {
        while self.next < self.room {
            let number = self.next;
            self.next += 1;
            match (is_owned(number), is_open(number)) {
                (true, _) => {}
                (false, true) => self.free.push_back(number),
                (false, false) => return Some(number),
            }
        }
        let is_free = |number: &u32| !is_owned(*number) && !is_open(*number);
        let place = self.free.iter().position(is_free)?;
        self.free.remove(place)
    }
}

/// What a daemon before has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Adopted {
    pub(super) key: PodKey,
    pub(super) pod: PodId,
    pub(super) revision: RevisionId,
}

/// Who has which number.
#[derive(Debug)]
pub(super) struct Book {
    pods: Numbers,
    revisions: Numbers,
    adopted: Vec<Adopted>,
    by_uid: HashMap<String, PodId>,
    by_name: HashMap<String, RevisionId>,
}

impl Book {
    pub(super) fn new(pods: u32, revisions: u32, adopted: Vec<Adopted>) -> Self {
        Self {
            pods: Numbers::new(pods),
            revisions: Numbers::new(revisions),
            adopted,
            by_uid: HashMap::new(),
            by_name: HashMap::new(),
        }
    }

    /// The number of a pod that has one.
    pub(super) fn pod(&self, uid: &str) -> Option<PodId> {
        self.by_uid.get(uid).copied()
    }

    /// A revision's number, if it has one.
    pub(super) fn revision(&self, name: &str) -> Option<RevisionId> {
        self.by_name.get(name).copied()
    }

    /// Whose number that is.
    pub(super) fn name_of(&self, revision: RevisionId) -> Option<&str> {
        let mut all = self.by_name.iter();
        all.find(|(_, id)| **id == revision).map(|(name, _)| name.as_str())
    }

    /// A pod's number and its revision's, those they had before if `key` was tracked. A number under which something
    /// `is_open` is not given to another pod.
    pub(super) fn claim(
        &mut self,
        uid: &str,
        revision: &str,
        key: Option<&PodKey>,
        is_open: impl Fn(PodId) -> bool,
    ) -> Option<(PodId, RevisionId)> {
        let had = key.and_then(|key| self.adopted.iter().position(|adopted| adopted.key == *key));
        let had = had.map(|place| self.adopted.swap_remove(place));
        let pod = match had {
            Some(adopted) => adopted.pod,
            None => PodId(self.free_pod(is_open)?),
        };
        let revision = match (self.by_name.get(revision), had) {
            (Some(id), _) => *id,
            (None, Some(adopted)) if adopted.revision.0 != 0 && self.name_of(adopted.revision).is_none() => {
                self.by_name.insert(revision.to_owned(), adopted.revision);
                adopted.revision
            }
            (None, _) => {
                let id = RevisionId(self.free_revision()?);
                self.by_name.insert(revision.to_owned(), id);
                id
            }
        };
        self.by_uid.insert(uid.to_owned(), pod);
        Some((pod, revision))
    }

    fn free_pod(&mut self, is_open: impl Fn(PodId) -> bool) -> Option<u32> {
        let (adopted, owned) = (&self.adopted, &self.by_uid);
        let is_owned =
            |number| adopted.iter().any(|adopted| adopted.pod.0 == number) || owned.values().any(|pod| pod.0 == number);
        self.pods.take(is_owned, |number| is_open(PodId(number)))
    }

    fn free_revision(&mut self) -> Option<u32> {
        let (adopted, owned) = (&self.adopted, &self.by_name);
        let is_owned = |number| {
            adopted.iter().any(|adopted| adopted.revision.0 == number) || owned.values().any(|id| id.0 == number)
        };
        self.revisions.take(is_owned, |_| false)
    }

    /// Gives a pod's number back.
    pub(super) fn release(&mut self, uid: &str) {
        if let Some(pod) = self.by_uid.remove(uid) {
            self.pods.free.push_back(pod.0);
        }
    }

    /// Gives a revision's number back.
    pub(super) fn release_revision(&mut self, name: &str) -> Option<RevisionId> {
        let id = self.by_name.remove(name)?;
        self.revisions.free.push_back(id.0);
        Some(id)
    }

    /// What nobody has claimed.
    pub(super) fn unclaimed(&mut self) -> Vec<Adopted> {
        let left = std::mem::take(&mut self.adopted);
        self.pods.free.extend(left.iter().map(|adopted| adopted.pod.0));
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(port: u16) -> PodKey {
        PodKey {
            netns: 7,
            port,
            ..PodKey::default()
        }
    }

    fn left(port: u16, pod: u32, revision: u32) -> Adopted {
        Adopted {
            key: key(port),
            pod: PodId(pod),
            revision: RevisionId(revision),
        }
    }

    fn nothing(_: PodId) -> bool {
        false
    }

    #[test]
    fn a_number_that_a_connection_still_names_is_not_given_to_another_pod() {
        let mut book = Book::new(4, 4, Vec::new());
        let ended_before = |pod| pod == PodId(1);
        assert_eq!(
            book.claim("a", "x", None, ended_before).map(|both| both.0),
            Some(PodId(2))
        );
        assert_eq!(
            book.claim("b", "x", None, ended_before).map(|both| both.0),
            Some(PodId(3))
        );
        assert_eq!(book.claim("c", "x", None, ended_before), None);
        assert_eq!(book.claim("c", "x", None, nothing).map(|both| both.0), Some(PodId(1)));
    }

    #[test]
    fn after_a_restart_everybody_has_the_number_he_had() {
        let mut book = Book::new(8, 8, vec![left(80, 2, 3), left(81, 1, 3), left(82, 4, 1)]);
        assert_eq!(
            book.claim("new", "green", Some(&key(99)), nothing),
            Some((PodId(3), RevisionId(2)))
        );
        assert_eq!(
            book.claim("a", "blue", Some(&key(80)), nothing),
            Some((PodId(2), RevisionId(3)))
        );
        assert_eq!(
            book.claim("b", "blue", Some(&key(81)), nothing),
            Some((PodId(1), RevisionId(3)))
        );
        assert_eq!(book.name_of(RevisionId(3)), Some("blue"));
        assert_eq!(book.unclaimed(), [left(82, 4, 1)]);
    }

    #[test]
    fn a_number_given_back_is_the_last_to_be_given_again() {
        let mut book = Book::new(4, 4, Vec::new());
        assert_eq!(book.claim("a", "x", None, nothing).map(|both| both.0), Some(PodId(1)));
        book.release("a");
        assert_eq!(book.claim("b", "x", None, nothing).map(|both| both.0), Some(PodId(2)));
        assert_eq!(book.claim("c", "x", None, nothing).map(|both| both.0), Some(PodId(3)));
        assert_eq!(book.claim("d", "x", None, nothing).map(|both| both.0), Some(PodId(1)));
        assert_eq!(book.claim("e", "x", None, nothing), None);
    }
}
