// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! Atomic operations on map values. The target has no `core::sync::atomic` of its own; each of these is one BPF
//! instruction. Those that return a value are full barriers (kernel Documentation/bpf/standardization).

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_or, atomic_xadd, atomic_xchg};

const RELAXED: AtomicOrdering = AtomicOrdering::Relaxed;
const SEQ_CST: AtomicOrdering = AtomicOrdering::SeqCst;

/// Adds; nothing is ordered by it.
#[inline(always)]
pub(crate) fn add(word: *mut u64, value: u64) {
    // SAFETY: callers pass fields of map values, 8-byte aligned.
    unsafe { atomic_xadd::<u64, u64, { RELAXED }>(word, value) };
}

/// Adds and tells the new value.
#[inline(always)]
pub(crate) fn add_and_get(word: *mut u64, value: u64) -> u64 {
    // SAFETY: as `add`.
    unsafe { atomic_xadd::<u64, u64, { SEQ_CST }>(word, value) }.wrapping_add(value)
}

/// Replaces `old` by `new`; true when `old` was there.
#[inline(always)]
pub(crate) fn compare_exchange(word: *mut u64, old: u64, new: u64) -> bool {
    // SAFETY: as `add`.
    let (before, _) = unsafe { atomic_cxchg::<u64, { SEQ_CST }, { SEQ_CST }>(word, old, new) };
    before == old
}

/// Sets bits; the value before.
#[inline(always)]
pub(crate) fn or(word: *mut u64, bits: u64) -> u64 {
    // SAFETY: as `add`.
    unsafe { atomic_or::<u64, u64, { SEQ_CST }>(word, bits) }
}

/// Writes and tells what was there. (Also a write with release semantics: BPF before v4 has no store-release.)
#[inline(always)]
pub(crate) fn swap(word: *mut u64, value: u64) -> u64 {
    // SAFETY: as `add`.
    unsafe { atomic_xchg::<u64, { SEQ_CST }>(word, value) }
}

/// One aligned read.
#[inline(always)]
pub(crate) fn load(word: *const u64) -> u64 {
    // SAFETY: as `add`.
    unsafe { core::ptr::read_volatile(word) }
}

/// One aligned write.
#[inline(always)]
pub(crate) fn store(word: *mut u64, value: u64) {
    // SAFETY: as `add`.
    unsafe { core::ptr::write_volatile(word, value) };
}
