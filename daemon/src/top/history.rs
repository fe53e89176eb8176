// SPDX-License-Identifier: Apache-2.0
//! Snapshots of the last minute.
//!
//! Problem: means over 1, 10 and 60 s must be exact, not averages of samples.
//! Mechanism: each snapshot has the integral of concurrency up to its time; the difference of two over the time between
//! them is the exact mean. The ring keeps what the longest window needs.
//! Invariants: time is an argument and never goes back; there is always at least one snapshot.
//! Depends on: nothing.

use std::{collections::VecDeque, time::Duration};

/// Values with the time (ns of one monotonic clock) they were true at, oldest first.
#[derive(Debug)]
pub(crate) struct History<T> {
    reach: u64,
    ring: VecDeque<(u64, T)>,
}

/// Two snapshots and the time between them.
#[derive(Debug)]
pub(crate) struct Span<'a, T> {
    pub(crate) from: &'a T,
    pub(crate) to: &'a T,
    pub(crate) nanoseconds: u64,
}

impl<T> History<T> {
    /// Begins with one snapshot; `reach` is the longest window that will be asked for.
    pub(crate) fn new(reach: Duration, now: u64, first: T) -> Self {
        Self {
            reach: nanoseconds(reach),
            ring: VecDeque::from([(now, first)]),
        }
    }

    /// Adds a snapshot and forgets those that no window reaches any more.
    pub(crate) fn push(&mut self, now: u64, value: T) {
        self.ring.push_back((now, value));
        // The second oldest serves the longest window, so the oldest is not needed.
        while self
            .ring
            .get(1)
            .is_some_and(|(time, _)| now.saturating_sub(*time) >= self.reach)
        {
            self.ring.pop_front();
        }
    }

    /// From the snapshot nearest to `window` ago (the oldest, when the history is shorter) to the newest. `None` while
    /// there is only one.
    pub(crate) fn over(&self, window: Duration) -> Option<Span<'_, T>> {
        let (now, to) = self.ring.back()?;
        let wanted = now.saturating_sub(nanoseconds(window));
        let earlier = self.ring.iter().rev().skip(1);
        let (then, from) = earlier.min_by_key(|(time, _)| time.abs_diff(wanted))?;
        Some(Span {
            from,
            to,
            nanoseconds: now.saturating_sub(*then),
        })
    }

    /// From the snapshot before the newest.
    pub(crate) fn last(&self) -> Option<Span<'_, T>> {
        self.over(Duration::ZERO)
    }

    /// How far back the oldest snapshot is.
    pub(crate) fn length(&self) -> Duration {
        let ends = self.ring.front().zip(self.ring.back());
        Duration::from_nanos(ends.map_or(0, |((from, _), (to, _))| to.saturating_sub(*from)))
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn one_snapshot_is_no_span() {
        let history = History::new(seconds(60), 5, 'a');
        assert!(history.over(seconds(1)).is_none());
        assert_eq!(history.length(), Duration::ZERO);
    }

    #[test]
    fn a_window_takes_the_snapshot_nearest_to_its_begin() {
        let mut history = History::new(seconds(60), 0, 0);
        for tick in 1..=20 {
            // Ticks are late by some milliseconds, each by another number.
            history.push(tick * SECOND + tick % 3 * 4_000_000, tick);
        }
        let span = |window| history.over(window).unwrap();
        assert_eq!((*span(seconds(1)).from, *span(seconds(1)).to), (19, 20));
        assert_eq!(*span(seconds(10)).from, 10);
        assert_eq!(*span(Duration::ZERO).from, 19);
        assert_eq!(*history.last().unwrap().from, 19);
    }

    #[test]
    fn a_short_history_gives_what_it_has() {
        let mut history = History::new(seconds(60), 0, 'a');
        history.push(3 * SECOND, 'b');
        let span = history.over(seconds(60)).unwrap();
        assert_eq!((*span.from, *span.to, span.nanoseconds), ('a', 'b', 3 * SECOND));
    }

    #[test]
    fn an_interval_longer_than_the_window_is_the_window() {
        let mut history = History::new(seconds(60), 0, 0);
        history.push(300 * SECOND, 1);
        history.push(600 * SECOND, 2);
        assert_eq!(history.over(seconds(1)).unwrap().nanoseconds, 300 * SECOND);
        assert_eq!(*history.over(seconds(60)).unwrap().from, 1);
    }

    #[test]
    fn what_no_window_reaches_is_forgotten() {
        let mut history = History::new(seconds(60), 0, 0);
        for tick in 1..=1000 {
            history.push(tick * SECOND / 10, tick);
        }
        assert_eq!(history.ring.len(), 601);
        assert_eq!(history.over(seconds(60)).unwrap().nanoseconds, 60 * SECOND);
        assert_eq!(history.length(), seconds(60));
    }
}
