// SPDX-License-Identifier: Apache-2.0
//! How long requests waited, as a histogram of fixed size.
//!
//! Mechanism: 64 buckets for each doubling of the time: a quantile is right within 1.6 %.
//! Invariants: no wait is lost; quantiles never exceed the largest wait.
//! Depends on: nothing.

use std::time::Duration;

/// Buckets for each doubling, as a power of two.
const FINENESS: u32 = 6;
const BUCKETS: usize = (65 - FINENESS as usize) << FINENESS;

/// Waits of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waits {
    buckets: Box<[u64]>,
    count: u64,
    longest: u64,
    total: u128,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            buckets: vec![0; BUCKETS].into_boxed_slice(),
            count: 0,
            longest: 0,
            total: 0,
        }
    }
}

impl Waits {
    /// Adds a wait, in nanoseconds.
    pub fn add(&mut self, nanoseconds: u64) {
        self.count += 1;
        self.total += u128::from(nanoseconds);
        self.longest = self.longest.max(nanoseconds);
        if let Some(bucket) = self.buckets.get_mut(index(nanoseconds)) {
            *bucket += 1;
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All of them together.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.total).unwrap_or(u64::MAX))
    }

    /// The longest.
    pub fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest)
    }

    /// The wait that this part of all did not exceed; nothing without any.
    pub fn quantile(&self, part: f64) -> Duration {
        let rank = (part * self.count as f64).ceil().max(1.0) as u64;
        let mut passed = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            passed += count;
            if passed >= rank {
                return Duration::from_nanos(most(index).min(self.longest));
            }
        }
        Duration::ZERO
    }
}

/// The bucket of a number: itself while it is small, then by its highest bits.
fn index(value: u64) -> usize {
    let bits = 64 - value.leading_zeros();
    let shift = bits.saturating_sub(FINENESS + 1);
    ((shift as usize) << FINENESS) + (value >> shift) as usize
}

/// The largest number of a bucket.
fn most(index: usize) -> u64 {
    let shift = (index >> FINENESS).saturating_sub(1);
    let base = (index - (shift << FINENESS)) as u64;
    base.checked_add(1)
        .and_then(|next| next.checked_shl(shift as u32))
        .filter(|next| next >> shift == base + 1)
        .map_or(u64::MAX, |next| next - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_bucket_that_is_hardly_larger() {
        for value in (0..64)
            .flat_map(|bit| [1_u64 << bit, (1 << bit) - 1, (1 << bit) | 12345])
            .chain([u64::MAX])
        {
            let most = most(index(value));
            assert!(index(value) < BUCKETS && most >= value, "{value}");
            assert!(most - value <= value / 64 + 1, "{value} {most}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_numbers() {
        let mut waits = Waits::default();
        (1..=1000).for_each(|ms| waits.add(ms * 1_000_000));
        for (part, ms) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = waits.quantile(part).as_secs_f64() * 1e3;
            assert!((found / ms - 1.0).abs() < 0.016, "{part} {found}");
        }
        assert_eq!(Waits::default().quantile(0.99), Duration::ZERO);
    }
}
