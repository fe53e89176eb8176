// SPDX-License-Identifier: Apache-2.0
//! How long requests were held, added up: what the autoscaler must know beside the kernel's counts (design 4.2).
//!
//! Mechanism: the number of held requests integrated over time, brought up to date whenever it changes. Only requests that
//! wait pay for it.
//! Depends on: nothing.

use std::sync::{Mutex, OnceLock, PoisonError};
use tokio::time::Instant;

/// The held requests of a revision.
pub struct Held {
    area: Mutex<Area>,
    bell: OnceLock<Box<Bell>>,
}

/// Rung when somebody has to wait and nobody did.
type Bell = dyn Fn() + Send + Sync;

#[derive(Debug, Clone, Copy)]
struct Area {
    now: u64,
    begun: u64,
    sum: u64,
    last: Instant,
}

impl Default for Held {
    fn default() -> Self {
        let area = Area {
            now: 0,
            begun: 0,
            sum: 0,
            last: Instant::now(),
        };
        Self {
            area: Mutex::new(area),
            bell: OnceLock::new(),
        }
    }
}

/// One held request, until it is dropped.
#[must_use]
pub(crate) struct Holding<'a>(&'a Held);

impl Held {
    /// Has this called whenever a request has to wait and no other does; the first to ask is the one who is told.
    pub fn ring(&self, bell: impl Fn() + Send + Sync + 'static) {
        drop(self.bell.set(Box::new(bell)));
    }

    /// How many there are now.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.change(|area| area.now)
    }

    /// Request-nanoseconds until now, wrapping: the difference of two of them over the time between is the exact mean.
    #[must_use]
    pub fn integral(&self) -> u64 {
        self.change(|area| area.sum)
    }

    /// How many there ever were.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.change(|area| area.begun)
    }

    pub(crate) fn begin(&self) -> Holding<'_> {
        let is_first = self.change(|area| {
            area.now += 1;
            area.begun += 1;
            area.now == 1
        });
        if is_first && let Some(bell) = self.bell.get() {
            bell();
        }
        Holding(self)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Area) -> T) -> T {
        let mut area = self.area.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let time = u64::try_from(now.saturating_duration_since(area.last).as_nanos()).unwrap_or(u64::MAX);
        area.sum = area.sum.wrapping_add(area.now.wrapping_mul(time));
        area.last = now;
        change(&mut area)
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.0.change(|area| area.now = area.now.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn two_requests_held_for_a_second_are_two_request_seconds() {
        let held = Held::default();
        let two = (held.begin(), held.begin());
        tokio::time::advance(Duration::from_secs(1)).await;
        drop(two);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!((held.now(), held.begun(), held.integral()), (0, 2, 2_000_000_000));
    }
}
