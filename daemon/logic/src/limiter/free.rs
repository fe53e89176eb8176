// SPDX-License-Identifier: Apache-2.0
//! Which positions of a list are free: one bit each, so that the first free one of some hundred pods is found in a few
//! steps.
//!
//! Depends on: nothing.

use std::ops::Range;

/// The bits.
#[derive(Debug, Clone, Default)]
pub(super) struct FreeSet {
    words: Vec<u64>,
}

impl FreeSet {
    /// Forgets all and makes room for `len` positions, none of them free.
    pub(super) fn reset(&mut self, len: usize) {
        self.words.clear();
        self.words.resize(len.div_ceil(64), 0);
    }

    /// Says whether `position` is free; one beyond the end is left alone.
    pub(super) fn set(&mut self, position: usize, free: bool) {
        if let Some(word) = self.words.get_mut(position / 64) {
            let bit = 1 << (position % 64);
            *word = if free { *word | bit } else { *word & !bit };
        }
    }

    /// The first free position in `range`.
    pub(super) fn first_in(&self, range: Range<usize>) -> Option<usize> {
        let mut start = range.start;
        while start < range.end {
            let index = start / 64;
            let rest = self.words.get(index)? >> (start % 64);
            if rest != 0 {
                let found = start + rest.trailing_zeros() as usize;
                return (found < range.end).then_some(found);
            }
            start = (index + 1) * 64;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_free_position_is_within_the_range() {
        let mut set = FreeSet::default();
        set.reset(200);
        for position in [0, 63, 64, 130, 199] {
            set.set(position, true);
        }
        assert_eq!(set.first_in(0..200), Some(0));
        assert_eq!(set.first_in(1..200), Some(63));
        assert_eq!(set.first_in(65..130), None);
        assert_eq!(set.first_in(65..131), Some(130));
        set.set(130, false);
        assert_eq!(set.first_in(65..500), Some(199));
        assert_eq!(set.first_in(200..500), None);
    }
}
