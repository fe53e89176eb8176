// SPDX-License-Identifier: Apache-2.0
//! Whether pods share the load (design 4.2: no pod above 1.5 times the mean).
//!
//! Depends on: nothing.

/// Whether no pod has more than 1.5 times the mean in flight; one request more is chance.
pub(super) fn is_balanced(loads: &[u64]) -> bool {
    let sum: u64 = loads.iter().sum();
    let most = loads.iter().max().copied().unwrap_or(0);
    let count = loads.len() as u64;
    2 * count * most.saturating_sub(1) <= 3 * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_a_half_of_the_mean_is_balanced_and_more_is_not() {
        assert!(is_balanced(&[]) && is_balanced(&[64]) && is_balanced(&[0, 0]));
        assert!(is_balanced(&[8; 8]));
        assert!(is_balanced(&[1, 0, 0, 0]), "one request has to be somewhere");
        assert!(!is_balanced(&[64, 0, 0, 0, 0, 0, 0, 0]));
        assert!(is_balanced(&[150, 50]) && !is_balanced(&[160, 40]));
    }
}
