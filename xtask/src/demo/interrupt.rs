// SPDX-License-Identifier: Apache-2.0
//! Ctrl-C ends the demo in order.
//!
//! Mechanism: the signals are blocked and awaited by a thread; whoever waits asks.
//! Depends on: nothing.

use anyhow::{Context, Result, bail};
use nix::sys::signal::{SigSet, Signal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a wait may be before it asks.
pub(crate) const MOMENT: Duration = Duration::from_millis(50);

/// Whether somebody wants it to end.
pub(crate) struct Interrupt {
    came: Arc<AtomicBool>,
}

impl Interrupt {
    /// From now on SIGINT and SIGTERM are only noted; call it before the first thread starts.
    pub(crate) fn expect() -> Result<Self> {
        let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
        signals.thread_block().context("blocking signals")?;
        let came = Arc::new(AtomicBool::new(false));
        let note = Arc::clone(&came);
        thread::spawn(move || {
            // It fails for no set of valid signals.
            let _ = signals.wait();
            note.store(true, Ordering::Relaxed);
        });
        Ok(Self { came })
    }

    /// An error once it came.
    pub(crate) fn check(&self) -> Result<()> {
        if self.came.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        Ok(())
    }

    /// Sleeps, unless it comes.
    pub(crate) fn sleep(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.check()?;
            thread::sleep(MOMENT.min(end.saturating_duration_since(Instant::now())));
        }
        self.check()
    }
}
