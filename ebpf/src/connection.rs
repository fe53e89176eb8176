// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! State of a counted connection, in the storage of its socket: freed with it, nothing to size.

use wire::{SLOTS, Side};

/// One connection. The storage's bytes begin 8 behind the start of a cache line (its own header), which every packet's
/// look-up reads: what is written lies in other lines.
#[repr(C)]
pub(crate) struct Connection {
    /// Index in COUNTS and SHARED.
    pub(crate) pod: u32,
    #[doc(hidden)]
    pub(crate) _line: [u32; 13],
    /// Shared words ([`wire::words`]).
    pub(crate) words: [u64; wire::words::COUNT],
    /// From the client; whoever holds the claim may touch it.
    pub(crate) request: Side,
    /// Keeps the two sides, written by two CPUs, out of one line.
    #[doc(hidden)]
    pub(crate) _between: [u64; 8],
    /// To the client; under the socket's lock.
    pub(crate) response: Side,
}

/// Bytes before the state's own in its cache line.
const HEADER: usize = 8;
const _: () = assert!((HEADER + core::mem::offset_of!(Connection, words)) % 64 == 0);

/// Streams of an HTTP/2 connection.
#[repr(C)]
pub(crate) struct Streams {
    /// Slot words.
    pub(crate) slots: [u64; SLOTS as usize],
    /// When each began.
    pub(crate) times: [u64; SLOTS as usize],
}

/// Segments a stash keeps.
pub(crate) const KEPT: usize = 16;
/// Most bytes of one.
pub(crate) const KEPT_BYTES: usize = wire::LARGEST_KEPT as usize;
/// Stashes of a connection.
pub(crate) const STASHES: u32 = 4;
/// Bytes of a stash: an initial window of ten Ethernet segments. Before Linux 6.7 optmem_max (20 KiB) leaves room for one.
pub(crate) const KEPT_ROOM: usize = 15_360;

/// A segment that came too early.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Kept {
    /// Its first sequence number.
    pub(crate) seq: u32,
    /// Its bytes in `Stash::bytes`; length 0 = free.
    pub(crate) at: u16,
    /// See `at`.
    pub(crate) length: u16,
}

/// Segments of a request side that came too early: before others, or before their connection was known.
#[repr(C)]
pub(crate) struct Stash {
    /// Not 0: a CPU is at it that has no connection yet, and so no claim.
    pub(crate) guard: u64,
    /// Bytes used.
    pub(crate) used: u32,
    /// Entries used.
    pub(crate) count: u32,
    /// The segments.
    pub(crate) kept: [Kept; KEPT],
    /// Their bytes.
    pub(crate) bytes: [u8; KEPT_ROOM + wire::SPAN as usize],
}

/// Payload that came with the handshake, before its socket existed: seen with the listener, replayed by the
/// establishment that follows at once on the same CPU.
#[repr(C)]
pub(crate) struct Handshake {
    /// Remote port (network order) and sequence number tell whose it is.
    pub(crate) port: u32,
    /// First sequence number.
    pub(crate) seq: u32,
    /// Bytes, 0 = none.
    pub(crate) length: u32,
    #[doc(hidden)]
    pub(crate) _pad: u32,
    /// The payload.
    pub(crate) bytes: [u8; 2 * HANDSHAKE_BYTES],
}

/// Most bytes kept of it (MSS of an Ethernet, and room).
pub(crate) const HANDSHAKE_BYTES: usize = 2048;

/// One number for the layouts here and the machine's.
pub(crate) const SHAPE: u64 = {
    let shape = [
        size_of::<Connection>(),
        size_of::<Side>(),
        wire::BUFFER,
        wire::words::COUNT,
        size_of::<Streams>(),
        size_of::<Stash>(),
        KEPT_ROOM,
        size_of::<Handshake>(),
        // Meaning, not size: raise it when a field changes what it says.
        STATE_VERSION,
    ];
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut i = 0;
    while i < shape.len() {
        hash = (hash ^ shape[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
};

/// See [`SHAPE`].
const STATE_VERSION: usize = 1;
