// SPDX-License-Identifier: Apache-2.0
//! The truth: what a server application read and wrote.
//!
//! Problem: the kernel's counts need a judge that does not share their code.
//! Mechanism: servers enter every request in a [`Ledger`] when they have *read* its head and strike it out when they
//! have *written* its last byte; `httparse`, hyper and h2 decide where messages begin and end, not `ebpf/wire`.
//! Invariants: `started = ended + aborted + in_flight`; `inner` measures from the head being read to just before the
//! last write, so the kernel's interval (arrival to departure) always contains it, whatever the scheduler does.
//! Depends on: nothing of the product.

mod http1;
mod http2;
mod hyper;
mod serve;
mod stream;

pub use serve::{Bind, Protocol, Server, serve};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What a server saw so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// Connections accepted.
    pub connections: u64,
    /// Of these, open now.
    pub open: u64,
    /// Requests whose head was read (or that were refused before it was complete).
    pub started: u64,
    /// Requests answered to the last byte.
    pub ended: u64,
    /// Requests that ended because their connection (or stream) did.
    pub aborted: u64,
    /// Requests neither answered nor aborted.
    pub in_flight: u64,
    /// Requests whose interval (see `inner`) is open.
    pub inside: u64,
    /// Most of these at one moment: the kernel must have seen as many at once.
    pub maximum: u64,
    /// Σ over closed requests of the time that the kernel's interval must contain, ns.
    pub inner: u64,
    /// Answers by class: 0 = unknown, 1…5.
    pub status: [u64; 6],
    /// Body bytes read.
    pub body: u64,
}

impl Truth {
    /// Adds what another server saw; the maximum is the larger one.
    pub fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        self.open += other.open;
        self.started += other.started;
        self.ended += other.ended;
        self.aborted += other.aborted;
        self.in_flight += other.in_flight;
        self.maximum = self.maximum.max(other.maximum);
        self.inner += other.inner;
        self.body += other.body;
        for (sum, part) in self.status.iter_mut().zip(other.status) {
            *sum += part;
        }
    }
}

/// The book a server keeps; cheap to clone.
#[derive(Clone, Default)]
pub struct Ledger {
    truth: Arc<Mutex<Truth>>,
}

/// An accepted connection; closed when dropped.
pub struct Connection {
    ledger: Ledger,
}

/// A request in flight; aborted when dropped without [`Request::end`].
#[must_use = "a dropped request is aborted"]
pub struct Request {
    ledger: Ledger,
    began: Instant,
    last_write: Option<Instant>,
    ended: bool,
}

impl Ledger {
    /// What was seen so far.
    pub fn truth(&self) -> Truth {
        self.lock().clone()
    }

    /// A connection was accepted.
    pub fn connection(&self) -> Connection {
        let mut truth = self.lock();
        truth.connections += 1;
        truth.open += 1;
        Connection { ledger: self.clone() }
    }

    /// A request's head was read.
    pub fn begin(&self) -> Request {
        let mut truth = self.lock();
        truth.started += 1;
        truth.in_flight += 1;
        truth.inside += 1;
        truth.maximum = truth.maximum.max(truth.inside);
        Request {
            ledger: self.clone(),
            began: Instant::now(),
            last_write: None,
            ended: false,
        }
    }

    /// Body bytes were read.
    pub fn body(&self, bytes: u64) {
        self.lock().body += bytes;
    }

    fn lock(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.ledger.lock().open -= 1;
    }
}

impl Request {
    /// The final status is about to be written.
    pub fn answer(&self, status: u16) {
        let class = usize::from(status / 100);
        self.ledger.lock().status[if class < 6 { class } else { 0 }] += 1;
    }

    /// The last write is about to happen: the interval that the kernel's must contain ends here (the first call counts).
    pub fn last_write(&mut self) {
        if self.last_write.is_none() {
            self.last_write = Some(Instant::now());
            self.ledger.lock().inside -= 1;
        }
    }

    /// The last byte was written.
    pub fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let inner = match self.last_write {
            Some(at) => at.duration_since(self.began),
            // Aborted: the application learns of it after the kernel does, so no time is certain.
            None => Duration::ZERO,
        };
        let mut truth = self.ledger.lock();
        truth.in_flight -= 1;
        truth.inside -= u64::from(self.last_write.is_none());
        truth.inner += u64::try_from(inner.as_nanos()).unwrap_or(u64::MAX);
        *(if self.ended {
            &mut truth.ended
        } else {
            &mut truth.aborted
        }) += 1;
    }
}
