// SPDX-License-Identifier: Apache-2.0
//! How far a request has come, and when it has taken too long (data-plane spec 4.6).
//!
//! Problem: three timers look at one request while its bytes are on their way.
//! Mechanism: whoever writes to the client says so here; the timers read. One request, one task: no contention.
//! Invariants: a timer that is off never fires; nothing here allocates.
//! Depends on: nothing.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

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
    status: AtomicU16,
    bytes: AtomicU64,
    /// Milliseconds after the beginning; 0: never.
    last_write: AtomicU64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            has_answer: AtomicBool::new(false),
            status: AtomicU16::new(0),
            bytes: AtomicU64::new(0),
            last_write: AtomicU64::new(0),
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
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_write.store(now.max(1), Relaxed);
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
    pub(crate) async fn overdue(&self, timeouts: &Timeouts) {
        tokio::select! {
            () = after(self.begun, timeouts.request) => {}
            () = self.late_to_start(timeouts.response_start) => {}
            () = self.idle(timeouts.idle) => {}
        }
    }

    async fn late_to_start(&self, most: Duration) {
        after(self.begun, most).await;
        if self.last_write.load(Relaxed) != 0 {
            std::future::pending::<()>().await;
        }
    }

    async fn idle(&self, most: Duration) {
        let mut since = self.begun;
        loop {
            after(since, most).await;
            let last = self.begun + Duration::from_millis(self.last_write.load(Relaxed));
            if last + most <= Instant::now() {
                return;
            }
            since = last;
        }
    }
}

async fn after(begin: Instant, time: Duration) {
    match begin.checked_add(time) {
        Some(end) if !time.is_zero() => sleep_until(end).await,
        _ => std::future::pending().await,
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
        progress.touch();
        tokio::time::sleep(Duration::from_millis(500)).await;
        progress.touch();
        progress.overdue(&timeouts).await;
        assert_eq!(progress.begun.elapsed().as_millis(), 2500);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_of_zero_is_off() {
        let progress = Progress::new();
        let off = Timeouts::default();
        let overdue = progress.overdue(&off);
        assert!(
            tokio::time::timeout(Duration::from_secs(1_000_000), overdue)
                .await
                .is_err()
        );
    }
}
