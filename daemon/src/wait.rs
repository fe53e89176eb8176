// SPDX-License-Identifier: Apache-2.0
//! Waiting for time, a signal or a key, whatever comes first.
//!
//! Problem: whoever ends must undo what it attached, so signals must be seen as events and never kill in the middle.
//! Mechanism: SIGINT, SIGTERM and SIGHUP are blocked and read from a signalfd; one poll over it and, on a terminal, the
//! keyboard.
//! Invariants: made before any other thread, which then inherits the mask. A second signal still ends the program
//! after this value is dropped, which gives the mask back.
//! Depends on: nix.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
    unistd,
};

/// Why waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The time has come.
    Time,
    /// The user or the system wants an end.
    End,
}

const CTRL_C: u8 = 3;

/// The end is asked for here.
#[derive(Debug)]
pub(crate) struct Wait {
    signals: SignalFd,
    before: SigSet,
    has_keyboard: bool,
}

impl Wait {
    pub(crate) fn new() -> io::Result<Self> {
        let mut mask = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            mask.add(signal);
        }
        let before = SigSet::thread_get_mask()?;
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self {
            signals,
            before,
            has_keyboard: false,
        })
    }

    /// Reads keys too; stdin must be a terminal in raw mode.
    pub(crate) fn use_keyboard(&mut self, has_keyboard: bool) {
        self.has_keyboard = has_keyboard;
    }

    /// Until `deadline`, or an end.
    pub(crate) fn until(&mut self, deadline: Instant) -> io::Result<Wake> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let (signal, key) = self.poll(left)?;
            if signal || key && self.is_end_key()? {
                return Ok(Wake::End);
            }
            if Instant::now() >= deadline {
                return Ok(Wake::Time);
            }
        }
    }

    fn poll(&self, time: Duration) -> io::Result<(bool, bool)> {
        let stdin = io::stdin();
        let mut watched = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if self.has_keyboard {
            watched.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
        // Rounded up: waking early would only poll again.
        let millis = time.as_micros().div_ceil(1000).min(60_000) as u16;
        match poll(&mut watched, PollTimeout::from(millis)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready = |at: usize| watched.get(at).and_then(|watched| watched.any()).unwrap_or_default();
        Ok((is_ready(0), is_ready(1)))
    }

    /// q, Ctrl-C (raw mode gives no signal), or a keyboard that is gone.
    fn is_end_key(&mut self) -> io::Result<bool> {
        let stdin = io::stdin();
        let keyboard: BorrowedFd<'_> = stdin.as_fd();
        let mut keys = [0; 32];
        let length = match unistd::read(keyboard, &mut keys) {
            Ok(0) | Err(Errno::EIO) => {
                self.has_keyboard = false;
                return Ok(false);
            }
            Ok(length) => length,
            Err(Errno::EINTR | Errno::EAGAIN) => 0,
            Err(error) => return Err(error.into()),
        };
        Ok(keys[..length].iter().any(|key| [b'q', b'Q', CTRL_C].contains(key)))
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        // Signals that came meanwhile were the reason to end: they are taken, not delivered again.
        while let Ok(Some(_)) = self.signals.read_signal() {}
        let _ = self.before.thread_set_mask();
    }
}
