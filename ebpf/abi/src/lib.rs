// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! Layouts that the kernel programs and userspace share.
//!
//! Problem: a pinned map outlives the binary that made it; both sides must agree on every byte.
//! Mechanism: `repr(C)` structs of fixed-width integers with explicit padding; sizes and offsets are asserted at
//! compile time; [`FINGERPRINT`] folds all of them into one number, which stands in the object and beside the pins.
//! Invariants: a change of any layout or map needs a new [`ABI`]. [`Core`] and [`names::GENERATION`] are frozen for
//! ever: readers of another generation rely on them.
//! Depends on: nothing (aya only to mark the layouts as plain data).
#![no_std]

mod account;
mod event;
pub mod names;
mod redirect;

pub use account::*;
pub use event::*;
pub use redirect::*;

/// Version of every layout here. The pin folder is `v<ABI>`. `SLUICE_ABI` at build time makes an object of another
/// generation, which only the tests of two generations side by side do.
pub const ABI: u64 = match option_env!("SLUICE_ABI") {
    Some(text) => decimal(text.as_bytes()),
    None => 1,
};

/// One number for all sizes and offsets: FNV-1a over them. The loader refuses an object or a pin folder whose number
/// is another.
pub const FINGERPRINT: u64 = {
    let shape = [
        ABI,
        size_of::<Core>() as u64,
        size_of::<PodCounts>() as u64,
        size_of::<PodShared>() as u64,
        size_of::<RevisionShared>() as u64,
        size_of::<PodKey>() as u64,
        size_of::<PodSlot>() as u64,
        size_of::<Event>() as u64,
        size_of::<Config>() as u64,
        size_of::<TargetKey>() as u64,
        size_of::<BackendKey>() as u64,
        size_of::<Backend>() as u64,
        size_of::<Origin>() as u64,
        size_of::<PeerKey>() as u64,
        size_of::<Redirects>() as u64,
        core::mem::offset_of!(PodCounts, status) as u64,
        core::mem::offset_of!(PodCounts, latency) as u64,
        core::mem::offset_of!(Config, gateway4) as u64,
    ];
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut i = 0;
    while i < shape.len() {
        hash = (hash ^ shape[i]).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
};

const fn decimal(text: &[u8]) -> u64 {
    let mut value = 0;
    let mut i = 0;
    while i < text.len() {
        assert!(text[i].is_ascii_digit(), "SLUICE_ABI must be a decimal number");
        value = value * 10 + (text[i] - b'0') as u64;
        i += 1;
    }
    value
}
