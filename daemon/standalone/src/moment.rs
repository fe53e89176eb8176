// SPDX-License-Identifier: Apache-2.0
//! What a call takes from outside: the time and chance.
//!
//! Invariants: everything below is a function of the store, the call and this.
//! Depends on: nothing.

use std::time::SystemTime;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// The letters of generated names.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// How many a generated name ends with.
const SUFFIX: usize = 5;

/// The time and a source of chance.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The time.
    pub now: Timestamp,
    /// For UIDs and generated names.
    pub random: fastrand::Rng,
}

impl Moment {
    /// Now, and chance: for the edges of this crate and for who writes to the state from outside.
    #[must_use]
    pub fn current() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let micros = since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        Self {
            now: Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX),
            random: fastrand::Rng::new(),
        }
    }

    /// The time in seconds, as `creationTimestamp` has it.
    #[must_use]
    pub fn written(&self) -> String {
        self.after(0)
    }

    /// The time some seconds later.
    #[must_use]
    pub fn after(&self, seconds: i64) -> String {
        let later = self.now.saturating_add(SignedDuration::from_secs(seconds));
        later.unwrap_or(self.now).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// A random UUID (RFC 9562, version 4).
    pub fn uid(&mut self) -> String {
        let random = self.random.u128(..);
        let bits = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let hex = format!("{bits:032x}");
        let part = |from, to| hex.get(from..to).unwrap_or_default();
        [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
    }

    /// The end of a generated name.
    pub fn suffix(&mut self) -> String {
        (0..SUFFIX)
            .filter_map(|_| self.random.choice(LETTERS).map(|&letter| char::from(letter)))
            .collect()
    }
}
