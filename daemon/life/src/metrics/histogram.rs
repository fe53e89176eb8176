// SPDX-License-Identifier: Apache-2.0
//! A distribution that is counted as it happens.
//!
//! Mechanism: one atomic a class; the sum is kept in billionths of the unit, so adding is one addition as well.
//! Invariants: nothing allocates or waits after the beginning; what is no number is left out.
//! Depends on: nothing.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Parts of the unit in which the sum is kept.
const PARTS: f64 = 1e9;

/// How often which size occurred.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One a bound, and one above them.
    classes: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    /// An empty one over these upper bounds, in rising order.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            classes: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts one; sizes below zero count as zero.
    pub fn observe(&self, size: f64) {
        if size.is_nan() {
            return;
        }
        let class = self.bounds.partition_point(|bound| *bound < size);
        if let Some(count) = self.classes.get(class) {
            count.fetch_add(1, Relaxed);
        }
        // The conversion saturates.
        self.sum.fetch_add((size * PARTS) as u64, Relaxed);
    }

    /// Upper bounds and how many were not above them; the last bound is infinite.
    pub fn cumulated(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.classes.iter().scan(0_u64, |below, count| {
            *below += count.load(Relaxed);
            Some(*below)
        });
        bounds.zip(counts)
    }

    /// The sum of all sizes.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum.load(Relaxed) as f64 / PARTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_at_a_bound_is_within_it() {
        let histogram = Histogram::new(&[0.1, 1.0]);
        for size in [0.1, 0.2, 5.0, f64::NAN, -1.0] {
            histogram.observe(size);
        }
        let counts: Vec<_> = histogram.cumulated().map(|(_, count)| count).collect();
        assert_eq!(counts, [2, 3, 4]);
        assert!((histogram.sum() - 5.3).abs() < 1e-6);
    }
}
