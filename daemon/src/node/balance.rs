// SPDX-License-Identifier: Apache-2.0
//! Whether pods share the load (design 4.2: no pod above 1.5 times the mean).
//!
//! Problem: what is in flight at one moment is chance: when clients wait for a CPU, all pods look idle.
//! Mechanism: looks are summed, and judged ten at a time.
//! Depends on: nothing.

/// Looks that are judged together.
const LOOKS: u64 = 10;

/// What pods had in flight, look by look.
#[derive(Debug, Default)]
pub(super) struct Shares {
    sums: Vec<u64>,
    looks: u64,
}

impl Shares {
    /// Takes a look; true when the last ten together say that no pod has more than 1.5 times the mean in flight.
    pub(super) fn take(&mut self, loads: &[u64]) -> bool {
        if self.sums.len() != loads.len() {
            self.sums = vec![0; loads.len()];
            self.looks = 0;
        }
        for (sum, load) in self.sums.iter_mut().zip(loads) {
            *sum = sum.saturating_add(*load);
        }
        self.looks += 1;
        if self.looks < LOOKS {
            return false;
        }
        let is_balanced = is_balanced(&self.sums, self.looks);
        *self = Self::default();
        is_balanced
    }
}

/// One request more is chance: it has to be somewhere.
fn is_balanced(sums: &[u64], looks: u64) -> bool {
    let sum: u64 = sums.iter().sum();
    let most = sums.iter().max().copied().unwrap_or(0);
    let count = sums.len() as u64;
    2 * count * most.saturating_sub(looks) <= 3 * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_a_half_of_the_mean_is_balanced_and_more_is_not() {
        assert!(is_balanced(&[], 1) && is_balanced(&[64], 1) && is_balanced(&[0, 0], 1));
        assert!(is_balanced(&[8; 8], 1));
        assert!(is_balanced(&[1, 0, 0, 0], 1), "one request has to be somewhere");
        assert!(is_balanced(&[10, 0, 0, 0], 10) && !is_balanced(&[20, 0, 0, 0], 10));
        assert!(!is_balanced(&[64, 0, 0, 0, 0, 0, 0, 0], 1));
        assert!(is_balanced(&[150, 50], 1) && !is_balanced(&[160, 40], 1));
    }

    #[test]
    fn a_moment_without_requests_does_not_make_a_balance() {
        let mut shares = Shares::default();
        for look in 0..4 * LOOKS {
            let loads = if look % 2 == 0 { [0, 0] } else { [30, 2] };
            assert!(!shares.take(&loads), "look {look}");
        }
    }

    #[test]
    fn ten_looks_are_judged_together_and_other_pods_begin_anew() {
        let mut shares = Shares::default();
        assert!(!(0..LOOKS - 1).any(|_| shares.take(&[30, 2])));
        let verdicts: Vec<bool> = (0..2 * LOOKS).map(|_| shares.take(&[5, 5, 5])).collect();
        let balanced: Vec<usize> = (0..verdicts.len()).filter(|look| verdicts[*look]).collect();
        assert_eq!(balanced, [9, 19]);
    }
}
