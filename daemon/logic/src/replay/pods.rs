// SPDX-License-Identifier: Apache-2.0
//! The pods of a simulated revision: they start late, take requests, drain.
//!
//! Mechanism: fewer pods: those that still start go first, then the youngest; one that goes takes nothing new and is gone
//! when its requests are.
//! Invariants: starting pods stand in order of readiness; a pod is in one list.
//! Depends on: limiter (ids).

use crate::limiter::{Home, PodId, PodSpec};
use std::collections::VecDeque;

/// The pods of one revision.
#[derive(Debug, Default)]
pub(super) struct Pods {
    created: u64,
    starting: VecDeque<(u64, PodId)>,
    ready: Vec<PodSpec>,
    draining: Vec<PodId>,
}

impl Pods {
    /// So many, all ready.
    pub(super) fn new(ready: u32) -> Self {
        let mut pods = Self::default();
        pods.scale(ready, 0);
        pods.start(0);
        pods
    }

    /// Pods that take requests.
    pub(super) fn ready(&self) -> &[PodSpec] {
        &self.ready
    }

    /// How many take requests.
    pub(super) fn count_ready(&self) -> u32 {
        u32::try_from(self.ready.len()).unwrap_or(u32::MAX)
    }

    /// How many are starting.
    pub(super) fn count_starting(&self) -> usize {
        self.starting.len()
    }

    /// How many there are, draining ones too.
    pub(super) fn count(&self) -> usize {
        self.starting.len() + self.ready.len() + self.draining.len()
    }

    /// Makes or removes pods until so many are wanted; new ones are ready at `ready_at`. Whether those that take requests
    /// changed.
    pub(super) fn scale(&mut self, wanted: u32, ready_at: u64) -> bool {
        let wanted = wanted as usize;
        while self.starting.len() + self.ready.len() < wanted {
            self.starting.push_back((ready_at, PodId(self.created)));
            self.created += 1;
        }
        while self.starting.len() + self.ready.len() > wanted && self.starting.pop_back().is_some() {}
        let stay = wanted.min(self.ready.len());
        let leaving = self.ready.split_off(stay);
        self.draining.extend(leaving.iter().map(|pod| pod.id));
        !leaving.is_empty()
    }

    /// When the next pod is ready.
    pub(super) fn next_ready(&self) -> Option<u64> {
        self.starting.front().map(|(at, _)| *at)
    }

    /// Makes those ready whose time has come. Whether there were any.
    pub(super) fn start(&mut self, now: u64) -> bool {
        let before = self.ready.len();
        while let Some((_, id)) = self.starting.pop_front_if(|(at, _)| *at <= now) {
            self.ready.push(PodSpec {
                id,
                home: Home::Here,
                accepting: true,
            });
        }
        self.ready.len() > before
    }

    /// Whether any drain.
    pub(super) fn are_draining(&self) -> bool {
        !self.draining.is_empty()
    }

    /// Forgets pods that drained and have nothing left to do.
    pub(super) fn retain_draining(&mut self, is_busy: impl Fn(PodId) -> bool) {
        self.draining.retain(|id| is_busy(*id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starting_pods_go_first_then_the_youngest() {
        let mut pods = Pods::new(3);
        assert!(!pods.scale(5, 10));
        assert_eq!((pods.count_ready(), pods.count_starting()), (3, 2));
        assert!(!pods.scale(4, 20));
        assert!(!pods.start(9) && pods.start(10));
        assert_eq!(pods.count_ready(), 4);
        assert!(pods.scale(1, 30));
        assert_eq!(pods.ready()[0].id, PodId(0));
        assert_eq!(pods.count(), 4);
        pods.retain_draining(|id| id == PodId(3));
        assert_eq!(pods.count(), 2);
    }
}
