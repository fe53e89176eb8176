// SPDX-License-Identifier: Apache-2.0
//! How far the trace is read, on stderr.
//!
//! Mechanism: on a terminal one line that is redrawn; elsewhere a line after two seconds and then every five.
//! Invariants: nothing is written about what takes less than half a second.
//! Depends on: nothing.

use std::{
    cell::Cell,
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

/// The clock is looked at each time so many bytes are read.
const STRIDE: u64 = 1 << 18;

/// Says how far it is.
pub(super) struct Meter {
    name: String,
    size: Option<u64>,
    read: u64,
    next_look: u64,
    begun: Instant,
    next: Duration,
    is_terminal: bool,
    is_shown: Cell<bool>,
}

impl Meter {
    pub(super) fn new(name: &str, size: Option<u64>) -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self {
            name: name.to_owned(),
            size: size.filter(|size| *size > 0),
            read: 0,
            next_look: STRIDE,
            begun: Instant::now(),
            next: Duration::from_millis(if is_terminal { 500 } else { 2000 }),
            is_terminal,
            is_shown: Cell::new(false),
        }
    }

    /// So many bytes more are read.
    pub(super) fn add(&mut self, bytes: u64) {
        self.read += bytes;
        if self.read >= self.next_look {
            self.next_look = self.read + STRIDE;
            self.look();
        }
    }

    fn look(&mut self) {
        let passed = self.begun.elapsed();
        if passed < self.next {
            return;
        }
        let megabytes = self.read >> 20;
        let far = match self.size {
            Some(size) => format!("{} % of {} MiB", self.read * 100 / size, size >> 20),
            None => format!("{megabytes} MiB"),
        };
        if self.is_terminal {
            self.next = passed + Duration::from_millis(200);
            self.is_shown.set(true);
            eprint!("\r{} … {far}, {} s \x1b[K", self.name, passed.as_secs());
            // A terminal that is gone needs no progress.
            let _ = io::stderr().flush();
        } else {
            self.next = passed + Duration::from_secs(5);
            eprintln!("{} … {far}, {} s", self.name, passed.as_secs());
        }
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        if self.is_shown.replace(false) {
            eprint!("\r\x1b[K");
        }
    }
}
