// SPDX-License-Identifier: Apache-2.0
//! What must be looked at.
//!
//! Problem: many changes of one object want one look at it, never two at once, and not at every turn after a failure.
//! Mechanism: a key waits at most once; one that changes while it is looked at waits again afterwards; failures of a key
//! double its delay up to a limit until [`Queue::forget`].
//! Invariants: no key is given out twice at a time; none that was added is lost; of two delays of a key the shorter holds.
//! Depends on: key, tokio (time).

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::key::Key;

/// The delay after the first failure.
const FIRST_DELAY: Duration = Duration::from_millis(5);
/// The longest delay after failures.
const LONGEST_DELAY: Duration = Duration::from_secs(300);

/// Keys that wait.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<Key>,
    /// Those in `ready`, and those that shall be once they were looked at.
    waiting: HashSet<Key>,
    busy: HashSet<Key>,
    due: HashMap<Key, Instant>,
    by_time: BTreeSet<(Instant, Key)>,
    failures: HashMap<Key, u32>,
}

impl Queue {
    /// Wants a look at a key.
    pub fn add(&self, key: Key) {
        if self.state().add(key) {
            self.changed.notify_one();
        }
    }

    /// Wants a look at a key a while from now.
    pub fn add_after(&self, key: Key, delay: Duration) {
        let Some(due) = Instant::now().checked_add(delay).filter(|_| !delay.is_zero()) else {
            return self.add(key);
        };
        if self.state().delay(key, due) {
            self.changed.notify_one();
        }
    }

    /// Wants another look at a key that failed, later each time.
    pub fn add_failed(&self, key: Key) {
        let failures = {
            let mut state = self.state();
            let failures = state.failures.entry(key.clone()).or_default();
            *failures = failures.saturating_add(1);
            *failures
        };
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
        self.add_after(key, FIRST_DELAY.saturating_mul(factor).min(LONGEST_DELAY));
    }

    /// A key is well again: its next failure is its first.
    pub fn forget(&self, key: &Key) {
        self.state().failures.remove(key);
    }

    /// The next key; it is nobody else's until [`Queue::done`].
    pub async fn next(&self) -> Key {
        loop {
            let mut changed = pin!(self.changed.notified());
            // Before the look, so that what is added after it is heard of.
            changed.as_mut().enable();
            let due = match self.state().take(Instant::now()) {
                Ok(key) => return key,
                Err(due) => due,
            };
            match due {
                Some(due) => tokio::select! {
                    () = &mut changed => {}
                    () = tokio::time::sleep_until(due) => {}
                },
                None => changed.await,
            }
        }
    }

    /// A key that was given out was looked at.
    pub fn done(&self, key: &Key) {
        let mut state = self.state();
        state.busy.remove(key);
        if state.waiting.contains(key) {
            state.ready.push_back(key.clone());
            drop(state);
            self.changed.notify_one();
        }
    }

    /// How many keys wait for a look now.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.state().ready.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether it is ready now.
    fn add(&mut self, key: Key) -> bool {
        if !self.waiting.insert(key.clone()) || self.busy.contains(&key) {
            return false;
        }
        self.ready.push_back(key);
        true
    }

    /// Whether it is due sooner than before.
    fn delay(&mut self, key: Key, due: Instant) -> bool {
        match self.due.get(&key) {
            Some(earlier) if *earlier <= due => return false,
            Some(later) => {
                self.by_time.remove(&(*later, key.clone()));
            }
            None => {}
        }
        self.due.insert(key.clone(), due);
        self.by_time.insert((due, key));
        true
    }

    /// A key, or when the next one is due.
    fn take(&mut self, now: Instant) -> Result<Key, Option<Instant>> {
        while self.by_time.first().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, key)) = self.by_time.pop_first() {
                self.due.remove(&key);
                self.add(key);
            }
        }
        let Some(key) = self.ready.pop_front() else {
            return Err(self.by_time.first().map(|(due, _)| *due));
        };
        self.waiting.remove(&key);
        self.busy.insert(key.clone());
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    fn key(name: &str) -> Key {
        Key::new("default", name)
    }

    fn is_waiting(next: impl Future<Output = Key>) -> bool {
        pin!(next).poll(&mut Context::from_waker(Waker::noop())) == Poll::Pending
    }

    #[tokio::test(start_paused = true)]
    async fn many_changes_are_one_look() {
        let queue = Queue::default();
        for _ in 0..3 {
            queue.add(key("a"));
        }
        assert_eq!(queue.next().await, key("a"));
        assert!(is_waiting(queue.next()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_changes_while_it_is_looked_at_comes_again_afterwards() {
        let queue = Queue::default();
        queue.add(key("a"));
        let first = queue.next().await;
        queue.add(key("a"));
        assert!(is_waiting(queue.next()), "it is nobody else's meanwhile");
        queue.done(&first);
        assert_eq!(queue.next().await, key("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_wait_longer_each_time_up_to_a_limit() {
        let queue = Queue::default();
        let mut waits = Vec::new();
        for _ in 0..40 {
            let before = Instant::now();
            queue.add_failed(key("a"));
            let next = queue.next().await;
            queue.done(&next);
            waits.push(before.elapsed());
        }
        assert!(waits.is_sorted());
        assert_eq!(waits.first(), Some(&FIRST_DELAY));
        assert_eq!(waits.last(), Some(&LONGEST_DELAY));
        queue.forget(&key("a"));
        let before = Instant::now();
        queue.add_failed(key("a"));
        queue.next().await;
        assert_eq!(before.elapsed(), FIRST_DELAY);
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_delays_the_shorter_holds() {
        let queue = Queue::default();
        let before = Instant::now();
        queue.add_after(key("a"), Duration::from_secs(5));
        queue.add_after(key("a"), Duration::from_secs(2));
        queue.add_after(key("a"), Duration::from_secs(9));
        let next = queue.next().await;
        queue.done(&next);
        assert_eq!(before.elapsed(), Duration::from_secs(2));
        assert!(is_waiting(queue.next()), "the other delays went with it");
    }

    #[tokio::test]
    async fn every_key_that_is_added_is_looked_at_however_many_look() {
        let queue = std::sync::Arc::new(Queue::default());
        let workers = (0..4).map(|_| async {
            for _ in 0..25 {
                let key = queue.next().await;
                tokio::task::yield_now().await;
                queue.done(&key);
            }
        });
        let all = futures::future::join_all(workers);
        for index in 0..100 {
            queue.add(key(&index.to_string()));
        }
        all.await;
        assert_eq!(queue.depth(), 0);
    }
}
