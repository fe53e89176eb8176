// SPDX-License-Identifier: Apache-2.0
//! What must be looked at.
//!
//! Problem: many changes of one object want one look at it, never two at once, and not at every turn after a failure.
//! Mechanism: a key waits at most once; one that changes while it is looked at waits again afterwards; failures of a key
//! double its delay up to a limit until [`Queue::forget`].
//! Invariants: no key is given out twice at a time; none that was added is lost; of two delays of a key the shorter holds.
//! Depends on: key, life (metrics), tokio (time).

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use life::metrics::{Histogram, Page, names};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::key::Key;

/// The delay after the first failure.
const FIRST_DELAY: Duration = Duration::from_millis(5);
/// The longest delay after failures.
const LONGEST_DELAY: Duration = Duration::from_secs(300);

/// Keys that wait.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
    /// In seconds: until a look, and at it.
    waited: Histogram,
    took: Histogram,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<Key>,
    /// Those in `ready`, and those that shall be once they were looked at; since when.
    waiting: HashMap<Key, Instant>,
    /// Those that are looked at; since when.
    busy: HashMap<Key, Instant>,
    due: HashMap<Key, Instant>,
    by_time: BTreeSet<(Instant, Key)>,
    failures: HashMap<Key, u32>,
    adds: u64,
    retries: u64,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            waited: Histogram::new(names::SECONDS),
            took: Histogram::new(names::SECONDS),
        }
    }
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
        let is_sooner = {
            let mut state = self.state();
            state.retries += 1;
            state.delay(key, due)
        };
        if is_sooner {
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
            let now = Instant::now();
            let due = match self.state().take(now) {
                Ok((key, since)) => {
                    self.waited.observe(now.saturating_duration_since(since).as_secs_f64());
                    return key;
                }
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
        if let Some(since) = state.busy.remove(key) {
            self.took.observe(since.elapsed().as_secs_f64());
        }
        if state.waiting.contains_key(key) {
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

    /// Adds its figures to a page, as those of the queue of that name (data-plane spec 1.17).
    pub fn tell(&self, name: &str, page: &mut Page) {
        let (waiting, adds, retries, running) = {
            let state = self.state();
            let running: Vec<f64> = state.busy.values().map(|since| since.elapsed().as_secs_f64()).collect();
            (state.ready.len(), state.adds, state.retries, running)
        };
        page.sample(&names::QUEUE_WAITING, &[name], waiting as f64);
        page.sample(&names::QUEUE_ADDS, &[name], adds as f64);
        page.sample(&names::QUEUE_RETRIES, &[name], retries as f64);
        // The sum of nothing is below zero for `sum`.
        let all = running.iter().fold(0.0, |all, one| all + one);
        page.sample(&names::QUEUE_UNFINISHED, &[name], all);
        page.sample(
            &names::QUEUE_LONGEST,
            &[name],
            running.iter().copied().fold(0.0, f64::max),
        );
        page.histogram(&names::QUEUE_WAITED, &[name], &self.waited);
        page.histogram(&names::QUEUE_TOOK, &[name], &self.took);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether it is ready now.
    fn add(&mut self, key: Key) -> bool {
        if self.waiting.contains_key(&key) {
            return false;
        }
        self.waiting.insert(key.clone(), Instant::now());
        self.adds += 1;
        if self.busy.contains_key(&key) {
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

    /// A key and since when it waits, or when the next one is due.
    fn take(&mut self, now: Instant) -> Result<(Key, Instant), Option<Instant>> {
        while self.by_time.first().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, key)) = self.by_time.pop_first() {
                self.due.remove(&key);
                self.add(key);
            }
        }
        let Some(key) = self.ready.pop_front() else {
            return Err(self.by_time.first().map(|(due, _)| *due));
        };
        let since = self.waiting.remove(&key).unwrap_or(now);
        self.busy.insert(key.clone(), now);
        Ok((key, since))
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
