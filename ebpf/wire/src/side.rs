// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! One direction of one connection.

use crate::line::BUFFER;

/// What the next byte belongs to. A number, not an enum: the kernel keeps it in a map value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct Phase(pub u8);

impl Phase {
    /// The line that begins a message.
    pub const FIRST: Self = Self(0);
    /// A field line or the empty line after them.
    pub const FIELDS: Self = Self(1);
    /// The line before a chunk.
    pub const CHUNK: Self = Self(2);
    /// A trailer line or the empty line after them.
    pub const TRAILER: Self = Self(3);
    /// A body of known length.
    pub const BODY: Self = Self(4);
    /// A chunk and its line end.
    pub const DATA: Self = Self(5);
    /// The rest of the HTTP/2 client preface.
    pub const PREFACE: Self = Self(6);
    /// An HTTP/2 frame's payload.
    pub const PAYLOAD: Self = Self(7);
    /// An HTTP/2 frame header.
    pub const FRAME: Self = Self(8);
    /// A body that ends with the connection.
    pub const UNTIL_CLOSE: Self = Self(9);
    /// After an upgrade.
    pub const TUNNEL: Self = Self(10);
    /// Not HTTP.
    pub const OPAQUE: Self = Self(11);
    /// Bytes are missing and no boundary is known.
    pub const LOST: Self = Self(12);

    /// Lines are being read.
    #[inline(always)]
    pub(crate) const fn is_line(self) -> bool {
        self.0 <= Self::TRAILER.0
    }
    /// `Side::rest` bytes can be skipped unread.
    #[inline(always)]
    pub(crate) const fn is_counted(self) -> bool {
        self.0 >= Self::BODY.0 && self.0 <= Self::PAYLOAD.0
    }
    /// Inside a chunked body.
    #[inline(always)]
    pub(crate) const fn is_chunked(self) -> bool {
        self.0 == Self::CHUNK.0 || self.0 == Self::TRAILER.0 || self.0 == Self::DATA.0
    }
    /// No byte matters until something outside happens.
    #[inline(always)]
    pub(crate) const fn is_deaf(self) -> bool {
        self.0 >= Self::UNTIL_CLOSE.0
    }
}

/// Content-Length was given.
pub(crate) const HAS_LENGTH: u8 = 1;
/// Transfer-Encoding was given.
pub(crate) const HAS_CODING: u8 = 2;
/// Its last coding is chunked.
pub(crate) const CHUNKED: u8 = 4;
/// The framing can be read in two ways.
pub(crate) const DOUBT: u8 = 8;
/// The last field line was one of the framing: a fold after it would change it.
pub(crate) const FOLDABLE: u8 = 16;
/// User-Agent says kube-probe.
pub(crate) const PROBE: u8 = 32;
/// A response that answers no counted request.
pub(crate) const ORPHAN: u8 = 64;
/// The response may answer a HEAD that went unseen: what follows its head tells whether it has a body.
pub(crate) const GUESS: u8 = 128;

/// State of one direction; plain data of a fixed layout, all zero at first.
#[repr(C, align(8))]
#[derive(Clone, Debug)]
pub struct Side {
    /// Bytes left of a counted phase.
    pub rest: u64,
    /// Content-Length of the message at hand.
    pub length: u64,
    /// When the first byte of the message came, ns.
    pub since: u64,
    /// When the segment at hand came, ns; 0 = not asked yet.
    pub now: u64,
    /// For [`crate::Words::unknown`].
    pub scratch: u64,
    /// The stream slot that comes next in a sweep, or the kept segment that comes next in a search.
    pub slot: u64,
    /// Search of kept segments, for the surroundings: what was found, how many stay.
    pub found: u64,
    /// See `found`.
    pub live: u32,
    /// Not 0 while a kept segment is read.
    pub reading_kept: u32,
    /// Where in the segment at hand the next byte stands, and where the segment ends.
    pub at: u32,
    /// See `at`.
    pub end: u32,
    /// Sequence number of `end`.
    pub end_seq: u32,
    /// The block in the buffer: where it begins in the segment, its length, where it begins in the buffer.
    pub block: u32,
    /// See `block`.
    pub length_of_block: u32,
    /// See `block`.
    pub base: u32,
    /// Next sequence number (response side; the request side's stands in its claim).
    pub seq: u32,
    /// Bytes of the current line before the buffered ones began to be dropped.
    pub line: u32,
    /// Status of the response at hand.
    pub status: u16,
    /// What comes next.
    pub phase: Phase,
    /// Bytes of the current line or frame header kept in `buffer` from earlier segments, ≤ 64.
    pub kept: u8,
    /// Bits of the message at hand.
    pub marks: u8,
    /// Kind of the request at hand.
    pub kind: u8,
    /// Not 0 once a segment was kept.
    pub has_kept: u8,
    #[doc(hidden)]
    pub _pad: u8,
    /// The line or frame header at hand, and what was read with it.
    pub buffer: [u8; BUFFER],
}

impl Default for Side {
    fn default() -> Self {
        Self {
            rest: 0,
            length: 0,
            since: 0,
            now: 0,
            scratch: 0,
            slot: 0,
            found: 0,
            live: 0,
            reading_kept: 0,
            at: 0,
            end: 0,
            end_seq: 0,
            block: 0,
            length_of_block: 0,
            base: 0,
            seq: 0,
            line: 0,
            status: 0,
            phase: Phase::FIRST,
            kept: 0,
            marks: 0,
            kind: 0,
            has_kept: 0,
            _pad: 0,
            buffer: [0; BUFFER],
        }
    }
}

const _: () = assert!(size_of::<Side>() == 104 + BUFFER);
