// SPDX-License-Identifier: Apache-2.0
//! Where bytes are cut when they arrive in pieces.
//!
//! Mechanism: the bytes themselves seed the generator, so that an input is nothing but a message and a crash comes again.
//! Depends on: nothing.

/// Up to eight places in these bytes, in order.
pub fn of(bytes: &[u8]) -> Vec<usize> {
    let seed = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut cuts: Vec<_> = (0..chance.usize(0..=8))
        .map(|_| chance.usize(0..=bytes.len()))
        .collect();
    cuts.sort_unstable();
    cuts
}
