// SPDX-License-Identifier: Apache-2.0
//! A point in time, as the autoscaler counts it: nanoseconds since the Unix epoch.
//!
//! Invariants: arithmetic saturates. Whoever makes moments takes them from a clock that does not jump (a monotonic clock
//! tied to Unix time once), so that a correction of the wall clock is no load.
//! Depends on: nothing.

use std::time::Duration;

/// Nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

const SECOND: u64 = 1_000_000_000;

impl Moment {
    /// The moment so long after the Unix epoch; saturates in the year 2554.
    pub fn from_unix(since_epoch: Duration) -> Self {
        Self(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The beginning of that Unix second.
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(SECOND))
    }

    /// The Unix second it lies in.
    pub const fn second(self) -> i64 {
        // At most 2^64 / 10^9, which fits.
        (self.0 / SECOND) as i64
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn nanoseconds(self) -> u64 {
        self.0
    }

    /// That much later.
    pub fn plus(self, time: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// Time since `earlier`; zero if that is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
