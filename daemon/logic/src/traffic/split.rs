// SPDX-License-Identifier: Apache-2.0
//! A split: destinations with weights, one of which a draw picks.
//!
//! Mechanism: the weights cut the numbers below their sum into ranges; a draw of 64 random bits is scaled onto that sum
//! by one multiplication. The bias of that is below sum / 2^64: no count of requests ever shows it.
//! A sticky client carries its draw in a cookie: the same draw picks the same destination as long as the ranges stand
//! where they stood, and when shares move only the clients in the moved range change sides.
//! Invariants: a weight of zero is never picked; a sum above zero always picks.
//! Depends on: nothing.

/// 64 uniform random bits, fresh or from a client's cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw(u64);

impl Draw {
    /// From a source of uniform numbers.
    #[must_use]
    pub fn new(uniform: u64) -> Self {
        Self(uniform)
    }

    /// From the value of a cookie that `text` made; anything else is none.
    #[must_use]
    pub fn from_cookie(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u64::from_str_radix(text, 16).ok().map(Self))?
    }

    /// The value of the cookie: sixteen hexadecimal digits.
    #[must_use]
    pub fn to_cookie(self) -> String {
        format!("{:016x}", self.0)
    }
}

/// Destinations with weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split<D> {
    /// Sum of the weights up to and with this one.
    parts: Box<[(u64, D)]>,
    sum: u64,
}

/// The percents of a KIngress path do not sum to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("percents of a split must sum to 100, these sum to {sum}")]
pub struct NotPercents {
    /// What they sum to.
    pub sum: u64,
}

impl<D> Split<D> {
    /// With any weights; if all are zero nothing is ever picked.
    pub fn weighted(parts: impl IntoIterator<Item = (u32, D)>) -> Self {
        let mut sum = 0_u64;
        let parts = parts
            .into_iter()
            .filter(|(weight, _)| *weight > 0)
            .map(|(weight, destination)| {
                sum = sum.saturating_add(weight.into());
                (sum, destination)
            })
            .collect();
        Self { parts, sum }
    }

    /// With the percents of a KIngress path, which must sum to 100.
    pub fn percents(parts: impl IntoIterator<Item = (u32, D)>) -> Result<Self, NotPercents> {
        let split = Self::weighted(parts);
        if split.sum == 100 {
            Ok(split)
        } else {
            Err(NotPercents { sum: split.sum })
        }
    }

    /// All to one.
    pub fn whole(destination: D) -> Self {
        Self::weighted([(1, destination)])
    }

    /// The destination that `draw` falls on; none if no weight is above zero.
    #[must_use]
    pub fn pick(&self, draw: Draw) -> Option<&D> {
        let at = (u128::from(draw.0) * u128::from(self.sum)) >> 64;
        self.parts
            .iter()
            .find(|(end, _)| u128::from(*end) > at)
            .map(|(_, destination)| destination)
    }

    /// The same shares of other destinations.
    #[must_use]
    pub fn map<E>(self, mut to: impl FnMut(D) -> E) -> Split<E> {
        let parts = self.parts.into_iter().map(|(end, destination)| (end, to(destination)));
        Split {
            parts: parts.collect(),
            sum: self.sum,
        }
    }

    /// The destinations that can be picked, in order.
    pub fn destinations(&self) -> impl ExactSizeIterator<Item = &D> {
        self.parts.iter().map(|(_, destination)| destination)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// SplitMix64: uniform and repeatable.
    fn numbers(mut state: u64) -> impl Iterator<Item = u64> {
        std::iter::repeat_with(move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^ (word >> 31)
        })
    }

    /// Pearson's statistic of a million picks.
    fn chi_square(weights: &[u32], seed: u64) -> f64 {
        const PICKS: u32 = 1_000_000;
        let split = Split::weighted(weights.iter().copied().zip(0_usize..));
        let mut counts = vec![0_u32; weights.len()];
        for number in numbers(seed).take(PICKS as usize) {
            counts[*split.pick(Draw::new(number)).unwrap()] += 1;
        }
        let sum: u32 = weights.iter().sum();
        let part = |(weight, count): (&u32, &u32)| {
            let expected = f64::from(PICKS) * f64::from(*weight) / f64::from(sum);
            if *weight == 0 {
                f64::from(*count) * 1e9
            } else {
                (f64::from(*count) - expected).powi(2) / expected
            }
        };
        weights.iter().zip(&counts).map(part).sum()
    }

    #[test]
    fn a_million_picks_pass_the_chi_square_test() {
        // Above the 99.9th percentile of chi-square with that many degrees of freedom one run in a thousand lies; the
        // seeds are fixed, so this is a fact and no chance.
        let cases: [(&[u32], f64); 5] = [
            (&[50, 50], 10.83),
            (&[1, 99], 10.83),
            (&[33, 33, 34, 0], 13.82),
            (&[7, 1, 1_000_003, 12, 999], 18.47),
            (&[10; 10], 27.88),
        ];
        for (weights, limit) in cases {
            for seed in [1, 2, 3] {
                let found = chi_square(weights, seed);
                assert!(found < limit, "{weights:?} seed {seed}: {found}");
            }
        }
    }

    #[test]
    fn percents_must_sum_to_a_hundred() {
        assert_eq!(Split::percents([(50, 'a'), (49, 'b')]), Err(NotPercents { sum: 99 }));
        assert!(Split::percents([(100, 'a'), (0, 'b')]).is_ok());
    }

    #[test]
    fn nothing_is_picked_from_nothing() {
        assert_eq!(Split::<char>::weighted([]).pick(Draw::new(7)), None);
        assert_eq!(Split::weighted([(0, 'a')]).pick(Draw::new(u64::MAX)), None);
    }

    #[test]
    fn a_cookie_holds_the_draw_and_nothing_else_is_one() {
        let draw = Draw::new(0xfeed);
        assert_eq!(Draw::from_cookie(draw.to_cookie().as_bytes()), Some(draw));
        for bad in [
            &b""[..],
            b"feed",
            b"+00000000000feed",
            b"000000000000feedx",
            b"\xff\xff",
        ] {
            assert_eq!(Draw::from_cookie(bad), None);
        }
    }

    proptest! {
        #[test]
        fn a_growing_last_share_moves_clients_only_there(draw: u64, before in 1_u32..99, more in 1_u32..50) {
            let after = (before + more).min(99);
            let split = |newest: u32| Split::weighted([(100 - newest, "old"), (newest, "new")]);
            let (first, second) = (split(before), split(after));
            if first.pick(Draw::new(draw)) == Some(&"new") {
                prop_assert_eq!(second.pick(Draw::new(draw)), Some(&"new"));
            }
        }

        #[test]
        fn zero_weights_are_never_picked(draw: u64, weights in proptest::collection::vec(0_u32..5, 1..8)) {
            let split = Split::weighted(weights.iter().copied().zip(0_usize..));
            match split.pick(Draw::new(draw)) {
                Some(index) => prop_assert!(weights[*index] > 0),
                None => prop_assert!(weights.iter().all(|weight| *weight == 0)),
            }
        }
    }
}
