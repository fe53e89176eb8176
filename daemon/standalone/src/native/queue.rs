// SPDX-License-Identifier: Apache-2.0
//! What is to be looked at, now or later.
//!
//! Invariants: a job is queued once; later looks do not replace earlier ones; failures wait twice as long each time.
//! Depends on: nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// The first wait after a failure, and the longest.
const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(60);

/// Jobs in order, once each.
#[derive(Debug)]
pub(super) struct Queue<J> {
    ready: VecDeque<J>,
    queued: HashSet<J>,
    later: BTreeMap<Instant, BTreeSet<J>>,
    failures: HashMap<J, u32>,
}

impl<J> Default for Queue<J> {
    fn default() -> Self {
        Self {
            ready: VecDeque::new(),
            queued: HashSet::new(),
            later: BTreeMap::new(),
            failures: HashMap::new(),
        }
    }
}

impl<J: Clone + Eq + Hash + Ord> Queue<J> {
    pub(super) fn push(&mut self, job: J) {
        if self.queued.insert(job.clone()) {
            self.ready.push_back(job);
        }
    }

    pub(super) fn push_at(&mut self, job: J, time: Instant) {
        self.later.entry(time).or_default().insert(job);
    }

    pub(super) fn failed(&mut self, job: J, now: Instant) {
        let count = self.failures.entry(job.clone()).or_default();
        let wait = FIRST.saturating_mul(1 << (*count).min(13)).min(LONGEST);
        *count = count.saturating_add(1);
        self.push_at(job, now + wait);
    }

    pub(super) fn succeeded(&mut self, job: &J) {
        self.failures.remove(job);
    }

    pub(super) fn pop(&mut self) -> Option<J> {
        let job = self.ready.pop_front()?;
        self.queued.remove(&job);
        Some(job)
    }

    /// Queues what is due.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some(entry) = self.later.first_entry().filter(|entry| *entry.key() <= now) {
            for job in entry.remove() {
                self.push(job);
            }
        }
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.later.first_key_value().map(|(time, _)| *time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_queued_once_and_failures_wait_longer_each_time() {
        let mut queue = Queue::default();
        let now = Instant::now();
        queue.push("a");
        queue.push("b");
        queue.push("a");
        assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some("a"), Some("b"), None));
        queue.failed("a", now);
        let first = queue.next().unwrap();
        queue.wake(first);
        assert_eq!(queue.pop(), Some("a"));
        queue.failed("a", now);
        assert_eq!(queue.next().unwrap() - now, (first - now) * 2);
        queue.succeeded(&"a");
        queue.failed("a", now);
        assert_eq!(queue.next().unwrap(), first);
    }
}
