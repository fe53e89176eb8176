// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! What the kernel side tells at once, through the ring buffer.

/// A pod's in-flight reached its threshold; `value` is the new in-flight.
pub const EVENT_POD_BURST: u32 = 1;
/// A revision's in-flight on this node reached its threshold; `index` is the revision.
pub const EVENT_REVISION_BURST: u32 = 2;
/// A socket started to listen: `netns`, `addr`, `port`.
pub const EVENT_LISTEN: u32 = 3;

/// One event.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// `EVENT_*`.
    pub kind: u32,
    /// Pod or revision.
    pub index: u32,
    /// In flight.
    pub value: u64,
    /// When, ns of CLOCK_MONOTONIC.
    pub time: u64,
    /// Cookie of the socket's network namespace (LISTEN), 0 where the kernel does not tell.
    pub netns: u64,
    /// Local address, network order, IPv4 as v4-mapped (LISTEN).
    pub addr: [u32; 4],
    /// Local port, host order (LISTEN).
    pub port: u16,
    #[doc(hidden)]
    pub _pad: [u16; 3],
}

const _: () = assert!(size_of::<Event>() == 56);
