// SPDX-License-Identifier: Apache-2.0
//! The scale-down delay: the largest number asked for lately (data-plane spec 1.7).
//!
//! Mechanism: a queue of slots with falling values; an older value that is not larger can never be the maximum again.
//! Invariants: at most one entry a slot; slots rise, values fall.
//! Depends on: moment.

use crate::kpa::moment::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// Seconds a slot lasts: one tick.
const SLOT: i64 = 2;

/// What was asked for, as long as it may still count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelayWindow {
    /// Slot and the largest number in it.
    maxima: VecDeque<(i64, i32)>,
    slots: i64,
}

impl DelayWindow {
    /// A window of `delay`, rounded up to whole slots; `None` for no delay.
    pub fn new(delay: Duration) -> Option<Self> {
        let slots = delay.as_nanos().div_ceil(Duration::from_secs(SLOT as u64).as_nanos());
        (slots > 0).then(|| Self {
            maxima: VecDeque::new(),
            slots: i64::try_from(slots).unwrap_or(i64::MAX),
        })
    }

    /// Changes the delay; what was asked for stays as far as it still counts. `None` for no delay.
    pub fn resized(self, delay: Duration) -> Option<Self> {
        Self::new(delay).map(|new| Self {
            maxima: self.maxima,
            slots: new.slots,
        })
    }

    /// Adds what is asked for now, and gives the largest number still in the window.
    pub fn record(&mut self, now: Moment, desired: i32) -> i32 {
        let slot = now.second() / SLOT;
        let mut desired = desired;
        while let Some((_, value)) = self.maxima.back()
            && *value <= desired
        {
            self.maxima.pop_back();
        }
        while let Some((oldest, _)) = self.maxima.front()
            && slot.saturating_sub(*oldest) >= self.slots
        {
            self.maxima.pop_front();
        }
        if let Some((last, value)) = self.maxima.back()
            && *last >= slot
        {
            desired = *value;
        } else {
            self.maxima.push_back((slot, desired));
        }
        self.maxima.front().map_or(desired, |(_, value)| *value)
    }
}

#[cfg(test)]
mod tests;
