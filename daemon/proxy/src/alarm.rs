// SPDX-License-Identifier: Apache-2.0
//! One timer a connection, whatever its requests wait for.
//!
//! Problem: a timer of its own for each request costs two locks of the runtime's wheel, and nearly none ever fires.
//! Mechanism: the timer is set earlier when an earlier time is asked for, and never later: when it fires too early it is set
//! anew. Requests that end in time do not touch it.
//! Invariants: it never rings before the time asked for; a connection is woken in vain at most once a time asked for.
//! Depends on: nothing.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// Times to come, one after the other.
#[derive(Debug)]
pub(crate) struct Alarm {
    sleep: Pin<Box<Sleep>>,
}

impl Alarm {
    /// Set to no time yet.
    pub(crate) fn new() -> Self {
        Self {
            sleep: Box::pin(sleep(Duration::from_secs(3600))),
        }
    }

    /// Returns when it is as late as that.
    pub(crate) async fn ring(&mut self, at: Instant) {
        std::future::poll_fn(|context| self.poll_ring(at, context)).await;
    }

    /// Ready when it is as late as that.
    pub(crate) fn poll_ring(&mut self, at: Instant, context: &mut Context<'_>) -> Poll<()> {
        if self.sleep.deadline() > at {
            self.sleep.as_mut().reset(at);
        }
        loop {
            ready!(self.sleep.as_mut().poll(context));
            if Instant::now() >= at {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_each_time_asked_for() {
        let mut alarm = Alarm::new();
        let begin = Instant::now();
        let seconds = |seconds| begin + Duration::from_secs(seconds);
        for at in [5, 7, 7, 10_000, 10_001] {
            alarm.ring(seconds(at)).await;
            assert_eq!(Instant::now(), seconds(at));
        }
        // A time that was given up does not disturb a later one, nor an earlier one after it.
        for (given_up, at) in [(20_000, 30_000), (50_000, 40_000)] {
            let waited = tokio::time::timeout(Duration::from_secs(1), alarm.ring(seconds(given_up))).await;
            assert!(waited.is_err());
            alarm.ring(seconds(at)).await;
            assert_eq!(Instant::now(), seconds(at));
        }
    }
}
