// SPDX-License-Identifier: Apache-2.0
//! Medians and their intervals.
//!
//! Mechanism: order statistics: the interval needs no assumption about how foreign load is distributed.
//! Depends on: nothing.

use std::fmt;

/// The median of a sample and the interval that holds the true one with 95 %.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) size: usize,
}

impl Estimate {
    /// Of a sample; below 6 values the interval is the whole range and holds less than 95 %.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else {
            return Self::default();
        };
        let rank = rank(sorted.len());
        Self {
            median: (sorted[last / 2] + sorted[last.div_ceil(2)]) / 2.0,
            low: sorted[rank],
            high: sorted[last - rank],
            size: sorted.len(),
        }
    }

    /// Every value times a factor (a change of unit).
    pub(crate) fn scaled(self, factor: f64) -> Self {
        Self {
            median: self.median * factor,
            low: self.low * factor,
            high: self.high * factor,
            size: self.size,
        }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        write!(
            f,
            "{:.digits$} [{:.digits$}, {:.digits$}]",
            self.median, self.low, self.high
        )
    }
}

/// The middle of a sample that is large enough to need no interval.
pub(crate) fn median(values: &[f64]) -> f64 {
    Estimate::of(values).median
}

/// A quantile of a large sample.
pub(crate) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (q * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(at).copied().unwrap_or_default()
}

/// How many values may be cut at each end so that the rest holds the median with 95 %.
fn rank(size: usize) -> usize {
    let mut probability = 0.5_f64.powi(i32::try_from(size).unwrap_or(i32::MAX));
    let mut below = probability;
    let mut rank = 0;
    while below <= 0.025 && rank < size / 2 {
        rank += 1;
        probability *= (size - rank + 1) as f64 / rank as f64;
        below += probability;
    }
    rank.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_sign_test() {
        // Table of the binomial: 15 values, 4th and 12th; 25 values, 8th and 18th; 6 values, all.
        assert_eq!(rank(15), 3);
        assert_eq!(rank(25), 7);
        assert_eq!(rank(6), 0);
        assert_eq!(rank(3), 0);
    }

    #[test]
    fn one_wild_value_moves_neither_median_nor_interval() {
        let mut values: Vec<f64> = (1..=15).map(f64::from).collect();
        let calm = Estimate::of(&values);
        values[14] = 1e9;
        assert_eq!(Estimate::of(&values), calm);
        assert_eq!((calm.median, calm.low, calm.high), (8.0, 4.0, 12.0));
    }

    #[test]
    fn an_even_sample_has_its_median_between_two() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 1.0), 3.0);
    }
}
