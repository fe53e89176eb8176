// SPDX-License-Identifier: Apache-2.0
//! Words that kernel and userspace both write: one cache line a pod or revision.
//!
//! Problem: a map update would overwrite the in-flight word while a program changes it.
//! Mechanism: the array is mapped into memory; each field is one atomic.
//! Invariants: `in_flight` of local pods is written by the programs only.
//! Depends on: `abi`, `sys`.

use std::{
    mem::offset_of,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use abi::{PodShared, RevisionShared};

use crate::sys::mapped::Mapped;

/// A pod's index in the maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodId(pub u32);

/// A revision's index in the maps; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RevisionId(pub u32);

/// What stands about a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// In flight.
    pub in_flight: i64,
    /// Highest in flight since [`Pods::reset_maximum`].
    pub maximum: u64,
    /// An event is raised here; 0 = never.
    pub threshold: u64,
    /// Remote pods: connections sent there since `in_flight` was written.
    pub assigned: u64,
    /// Gets no new connection.
    pub is_draining: bool,
    /// Its revision; 0 = none.
    pub revision: u32,
    /// Open counted connections.
    pub connections: i64,
}

/// What stands about a revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// In flight on this node's pods.
    pub in_flight: i64,
    /// Highest in flight since [`Revisions::reset_maximum`].
    pub maximum: u64,
    /// An event is raised here; 0 = never.
    pub threshold: u64,
}

/// All pods. An index outside of the room reads as 0, and writing there returns false.
#[derive(Debug)]
pub struct Pods(pub(crate) Mapped);

impl Pods {
    /// Reads one pod.
    pub fn get(&self, pod: PodId) -> Pod {
        let word = |offset| self.word(pod, offset).map_or(0, |word| word.load(Relaxed));
        let half = |offset| self.half(pod, offset).map_or(0, |half| half.load(Relaxed));
        Pod {
            in_flight: word(offset_of!(PodShared, in_flight)) as i64,
            maximum: word(offset_of!(PodShared, maximum)),
            threshold: word(offset_of!(PodShared, threshold)),
            assigned: word(offset_of!(PodShared, assigned)),
            is_draining: half(offset_of!(PodShared, draining)) != 0,
            revision: half(offset_of!(PodShared, revision)),
            connections: word(offset_of!(PodShared, connections)) as i64,
        }
    }

    /// Raises an event when in flight reaches this; 0 = never.
    pub fn set_threshold(&self, pod: PodId, threshold: u64) -> bool {
        set(self.word(pod, offset_of!(PodShared, threshold)), threshold)
    }

    /// Takes a pod out of the choice for new connections, or back in.
    pub fn set_draining(&self, pod: PodId, is_draining: bool) -> bool {
        set_half(self.half(pod, offset_of!(PodShared, draining)), is_draining.into())
    }

    /// Says which revision the pod belongs to.
    pub fn set_revision(&self, pod: PodId, revision: RevisionId) -> bool {
        set_half(self.half(pod, offset_of!(PodShared, revision)), revision.0)
    }

    /// Starts the maximum anew; returns what it was.
    pub fn reset_maximum(&self, pod: PodId) -> u64 {
        self.word(pod, offset_of!(PodShared, maximum))
            .map_or(0, |word| word.swap(0, Relaxed))
    }

    /// A pod of another node: what that node last said.
    pub fn set_remote(&self, pod: PodId, in_flight: u64) -> bool {
        set(self.word(pod, offset_of!(PodShared, in_flight)), in_flight)
            && set(self.word(pod, offset_of!(PodShared, assigned)), 0)
    }

    /// All words of a pod to 0.
    pub(crate) fn clear(&self, pod: PodId) {
        for offset in (0..size_of::<PodShared>()).step_by(8) {
            set(self.word(pod, offset), 0);
        }
    }

    fn word(&self, pod: PodId, offset: usize) -> Option<&AtomicU64> {
        self.0.word(pod.0, offset)
    }

    fn half(&self, pod: PodId, offset: usize) -> Option<&AtomicU32> {
        self.0.half(pod.0, offset)
    }
}

/// All revisions. An index outside of the room reads as 0, and writing there returns false.
#[derive(Debug)]
pub struct Revisions(pub(crate) Mapped);

impl Revisions {
    /// Reads one revision.
    pub fn get(&self, revision: RevisionId) -> Revision {
        let word = |offset| self.0.word(revision.0, offset).map_or(0, |word| word.load(Relaxed));
        Revision {
            in_flight: word(offset_of!(RevisionShared, in_flight)) as i64,
            maximum: word(offset_of!(RevisionShared, maximum)),
            threshold: word(offset_of!(RevisionShared, threshold)),
        }
    }

    /// Raises an event when in flight reaches this; 0 = never.
    pub fn set_threshold(&self, revision: RevisionId, threshold: u64) -> bool {
        set(
            self.0.word(revision.0, offset_of!(RevisionShared, threshold)),
            threshold,
        )
    }

    /// Starts the maximum anew; returns what it was.
    pub fn reset_maximum(&self, revision: RevisionId) -> u64 {
        self.0
            .word(revision.0, offset_of!(RevisionShared, maximum))
            .map_or(0, |word| word.swap(0, Relaxed))
    }
}

fn set(word: Option<&AtomicU64>, value: u64) -> bool {
    word.map(|word| word.store(value, Relaxed)).is_some()
}

fn set_half(half: Option<&AtomicU32>, value: u32) -> bool {
    half.map(|half| half.store(value, Relaxed)).is_some()
}
