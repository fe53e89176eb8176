// SPDX-License-Identifier: Apache-2.0
//! Clients whose bytes and segments are in our hands, and the well-known ones.
//!
//! Problem: boundaries go wrong where libraries never write.
//! Mechanism: [`Http1`] writes what it is told, in segments of any size; [`frames`] composes HTTP/2 frames by hand;
//! [`Clock`] adds up how long requests took *outside*, which bounds the kernel's integral from above.
//! Depends on: tokio, httparse for answers.

mod http1;
mod http2;

pub use http1::{Http1, Reply, get};
pub use http2::{Frames, frames};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What clients measured: from before a request's last head byte was sent until all of its answer was read.
#[derive(Clone, Default)]
pub struct Clock {
    outer: Arc<AtomicU64>,
    measured: Arc<AtomicU64>,
}

impl Clock {
    /// One request took so long, seen from outside.
    pub fn add(&self, time: Duration) {
        self.outer
            .fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.measured.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests measured, and the sum of their times in ns.
    pub fn sum(&self) -> (u64, u64) {
        (
            self.measured.load(Ordering::Relaxed),
            self.outer.load(Ordering::Relaxed),
        )
    }
}
