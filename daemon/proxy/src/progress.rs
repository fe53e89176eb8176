// SPDX-License-Identifier: Apache-2.0
//! How far a request has come, and when it has taken too long (data-plane spec 4.6).
//!
//! Problem: three timers look at one request while its bytes are on their way.
//! Mechanism: whoever writes to the client says so here; the timers read. One request, one task: no contention.
//! Invariants: a timer that is off never fires; nothing here allocates.
//! Depends on: alarm.

use crate::alarm::Alarm;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::Relaxed};
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// What a request may take; zero: any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// The whole request.
    pub request: Duration,
    /// Until the response begins.
    pub response_start: Duration,
    /// Between two writes to the client.
    pub idle: Duration,
}

/// How far one request has come.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) begun: Instant,
    has_answer: AtomicBool,
    /// Somebody wants to know when something went out last.
    is_timed: AtomicBool,
    status: AtomicU16,
    bytes: AtomicU64,
    /// Milliseconds after the beginning; 0: never.
    last_write: AtomicU64,
    /// Microseconds after the beginning, and one; 0: never.
    sent: AtomicU64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            has_answer: AtomicBool::new(false),
            is_timed: AtomicBool::new(true),
            status: AtomicU16::new(0),
            bytes: AtomicU64::new(0),
            last_write: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }
    }

    /// The head of the final response goes out now.
    pub(crate) fn answering(&self, status: u16) {
        self.status.store(status, Relaxed);
        self.has_answer.store(true, Relaxed);
        self.touch();
    }

    /// Bytes of the body went out.
    pub(crate) fn wrote(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
        self.touch();
    }

    /// Something went out.
    pub(crate) fn touch(&self) {
        let now = match self.is_timed.load(Relaxed) {
            true => u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            false => 1,
        };
        self.last_write.store(now.max(1), Relaxed);
    }

    /// These timers are the ones that look: without the idle timer nobody asks the clock at every write.
    pub(crate) fn heed(&self, timeouts: &Timeouts) {
        self.is_timed.store(!timeouts.idle.is_zero(), Relaxed);
    }

    /// It has room on a pod now; only the first time counts.
    pub(crate) fn sent(&self) {
        if self.sent.load(Relaxed) == 0 {
            let now = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.sent.store(now.saturating_add(1), Relaxed);
        }
    }

    /// From its beginning until it first had room on a pod, if it had.
    pub(crate) fn waited(&self) -> Option<Duration> {
        let sent = self.sent.load(Relaxed).checked_sub(1)?;
        Some(Duration::from_micros(sent))
    }

    /// Whether the client has the head of a response.
    pub(crate) fn has_answer(&self) -> bool {
        self.has_answer.load(Relaxed)
    }

    /// The status that went out; 0: none.
    pub(crate) fn status(&self) -> u16 {
        self.status.load(Relaxed)
    }

    /// Bytes of the body that went out.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Returns when the request has taken too long.
    pub(crate) async fn overdue(&self, timeouts: &Timeouts, alarm: &mut Alarm) {
        poll_fn(|context| {
            loop {
                let Some(end) = self.end(timeouts) else {
                    return Poll::Pending;
                };
                ready!(alarm.poll_ring(end, context));
                // Bytes that went out in the meantime put it off.
                if self.end(timeouts).is_some_and(|end| end <= Instant::now()) {
                    return Poll::Ready(());
                }
            }
        })
        .await;
    }

    /// When the first timer fires, if nothing more goes out.
    fn end(&self, timeouts: &Timeouts) -> Option<Instant> {
        let last_write = self.last_write.load(Relaxed);
        let after = |begin: Instant, time: Duration| (!time.is_zero()).then(|| begin.checked_add(time))?;
        let start = match last_write {
            0 => after(self.begun, timeouts.response_start),
            _ => None,
        };
        let idle = after(self.begun + Duration::from_millis(last_write), timeouts.idle);
        [after(self.begun, timeouts.request), start, idle]
            .into_iter()
            .flatten()
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_write_puts_the_idle_timer_off_but_not_the_others() {
        let timeouts = Timeouts {
            request: Duration::from_secs(3),
            response_start: Duration::from_secs(1),
            idle: Duration::from_secs(2),
        };
        let progress = Progress::new();
        progress.heed(&timeouts);
        progress.touch();
        tokio::time::sleep(Duration::from_millis(500)).await;
        progress.touch();
        progress.overdue(&timeouts, &mut Alarm::new()).await;
        assert_eq!(progress.begun.elapsed().as_millis(), 2500);
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_idle_timer_a_write_still_ends_the_wait_for_the_response() {
        let timeouts = Timeouts {
            request: Duration::from_secs(3),
            response_start: Duration::from_secs(1),
            idle: Duration::ZERO,
        };
        let progress = Progress::new();
        progress.heed(&timeouts);
        tokio::time::sleep(Duration::from_millis(500)).await;
        progress.answering(200);
        progress.overdue(&timeouts, &mut Alarm::new()).await;
        assert_eq!(progress.begun.elapsed().as_millis(), 3000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_of_zero_is_off() {
        let progress = Progress::new();
        let off = Timeouts::default();
        let mut alarm = Alarm::new();
        let overdue = progress.overdue(&off, &mut alarm);
        assert!(
            tokio::time::timeout(Duration::from_secs(1_000_000), overdue)
                .await
                .is_err()
        );
    }
}
