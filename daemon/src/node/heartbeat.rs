// SPDX-License-Identifier: Apache-2.0
//! The heartbeat that the programs look at: it stops when the main loop does.
//!
//! Problem: a daemon that hangs would keep clients waiting at a gateway that does not answer.
//! Mechanism: a thread of its own beats as long as the main loop made progress a moment ago; where the beat is stale the
//! programs leave addresses alone (design 3.3).
//! Depends on: kernel.

use kernel::{Kernel, Pulse, monotonic};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Between two beats.
const BEAT: Duration = Duration::from_millis(100);
/// A main loop that stood still for so long has stopped.
const PATIENCE: u64 = 600_000_000;
/// A process that loads for so long hangs: by then three times what an emulated machine took.
const LOADING: u64 = 60_000_000_000;

/// Beats until it is dropped.
pub(super) struct Heartbeat {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// When the main loop was last seen.
pub(super) struct Progress(Arc<AtomicU64>);

impl Progress {
    /// The main loop has gone round once more.
    pub(super) fn made(&self) {
        self.0.store(monotonic(), Relaxed);
    }
}

impl Heartbeat {
    /// Starts to beat.
    pub(super) fn start(kernel: &Arc<Kernel>) -> io::Result<(Self, Progress)> {
        let seen = Arc::new(AtomicU64::new(monotonic()));
        let (kernel, last) = (Arc::clone(kernel), Arc::clone(&seen));
        let beat = move |now| {
            if is_alive(last.load(Relaxed), now) {
                kernel.beat(now);
            }
        };
        Ok((Self::run(beat)?, Progress(seen)))
    }

    /// Beats for the daemon before while its successor loads: [`LOADING`] at most.
    pub(super) fn loading(pulse: Pulse) -> io::Result<Self> {
        let begun = monotonic();
        pulse.beat(begun);
        Self::run(move |now| {
            if now.saturating_sub(begun) < LOADING {
                pulse.beat(now);
            }
        })
    }

    fn run(beat: impl Fn(u64) + Send + 'static) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let beats = move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(BEAT) {
                beat(monotonic());
            }
        };
        let thread = thread::Builder::new().name("heartbeat".to_owned()).spawn(beats)?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to lose.
            drop(thread.join());
        }
    }
}

fn is_alive(last: u64, now: u64) -> bool {
    now.saturating_sub(last) < PATIENCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_stands_still_is_not_alive() {
        assert!(is_alive(1_000, 1_000) && is_alive(2_000, 1_000));
        assert!(!is_alive(1_000, 1_000 + PATIENCE));
    }
}
