// SPDX-License-Identifier: Apache-2.0
//! Whether a connection of many requests still answers any.
//!
//! Problem: a pod that dies with its node says no end; its connections stay open for a quarter of an hour, and one of HTTP/2
//! would take every new request.
//! Mechanism: who awaits an answer is counted. When somebody has waited for `SILENT` in which nobody was answered, the
//! connection is silent, until somebody is answered. That it is slow and not dead is as likely: nothing is ended for it.
//! Invariants: a connection of which nobody awaits anything does not become silent.
//! Depends on: nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::Instant;

/// So long an answer may be awaited before a connection is doubted: longer than most answers take.
pub(crate) const SILENT: Duration = Duration::from_secs(10);

/// What is awaited of a connection, and when it was heard last.
#[derive(Debug)]
pub(crate) struct Silence {
    begun: Instant,
    awaited: AtomicUsize,
    /// Milliseconds after the beginning: the last answer, or the first wait after none.
    since: AtomicU64,
    /// Somebody gave up waiting, and nobody was answered after that.
    is_doubted: AtomicBool,
}

impl Default for Silence {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            awaited: AtomicUsize::new(0),
            since: AtomicU64::new(0),
            is_doubted: AtomicBool::new(false),
        }
    }
}

impl Silence {
    /// One more waits for an answer.
    pub(crate) fn begin(&self) {
        if self.awaited.fetch_add(1, Relaxed) == 0 {
            self.since.store(self.now(), Relaxed);
        }
    }

    /// One of them has it.
    pub(crate) fn answered(&self) {
        self.since.store(self.now(), Relaxed);
        self.is_doubted.store(false, Relaxed);
        self.awaited.fetch_sub(1, Relaxed);
    }

    /// One of them waits no more.
    pub(crate) fn given_up(&self) {
        if self.is_silent() {
            self.is_doubted.store(true, Relaxed);
        }
        self.awaited.fetch_sub(1, Relaxed);
    }

    /// Whether answers have been awaited for too long.
    pub(crate) fn is_silent(&self) -> bool {
        let waited = || Duration::from_millis(self.now().saturating_sub(self.since.load(Relaxed)));
        self.is_doubted.load(Relaxed) || self.awaited.load(Relaxed) > 0 && waited() >= SILENT
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_an_answer_ends_the_doubt() {
        let silence = Silence::default();
        let wait = |seconds| tokio::time::advance(Duration::from_secs(seconds));
        wait(100).await;
        silence.begin();
        assert!(!silence.is_silent(), "nobody has waited yet");
        wait(9).await;
        silence.begin();
        assert!(!silence.is_silent());
        wait(1).await;
        assert!(silence.is_silent());
        silence.answered();
        assert!(!silence.is_silent(), "one of two was answered");
        wait(9).await;
        silence.given_up();
        assert!(!silence.is_silent(), "a client may be impatient");
        silence.begin();
        wait(10).await;
        silence.given_up();
        wait(100).await;
        assert!(silence.is_silent(), "nobody waits, and nobody was answered");
        silence.begin();
        silence.answered();
        assert!(!silence.is_silent());
    }
}
