// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! The words that both directions of a connection share.
//!
//! [`FLOW`] holds how many requests began and ended, and whether the account is closed, in one word, so that a
//! start, an end, a start found late and the close can never both win. [`CLAIM`] is the request side's lock
//! ([`crate::claim`]). The rest have one writer each, or only gain bits. The first eight share a cache line: requests and
//! responses run on different CPUs, and each line that both write costs more than the reading of a head.

/// Started (bits 0–29), [`EARLY`], [`CLOSED`], ended (bits 32–61).
pub const FLOW: usize = 0;
/// The request side's claim.
pub const CLAIM: usize = 1;
/// `MODE_*` bits; only gains bits.
pub const MODE: usize = 2;
/// Kinds of the last 32 requests, 2 bits each; written by the request side.
pub const KINDS: usize = 3;
/// Highest stream id seen from the client; written by the request side.
pub const HIGHEST: usize = 4;
/// Highest stream id the server will serve (GOAWAY) plus 1, 0 = no limit; written by the response side.
pub const GOAWAY: usize = 5;
/// HTTP/2 streams in flight without a slot.
pub const UNSLOTTED: usize = 6;
/// Start time of the request that found nothing pending; the lowest 8 bits are those of its number.
pub const RECENT: usize = 7;
/// HTTP/2: the lowest stream id that may have gone unseen, 0 = none; written by the request side. (This and the next
/// have the places of start times, which HTTP/2 keeps with its streams.)
pub const UNSEEN_FROM: usize = TIMES;
/// HTTP/2: the stream id before which the unseen ones end, `u64::MAX` while it is not known; written by the request side.
pub const UNSEEN_TO: usize = TIMES + 1;
/// First of the 8 start times of pipelined requests, numbered in the same way.
pub const TIMES: usize = 8;
/// How many words.
pub const COUNT: usize = 16;

/// A response was given before its request's head was complete: the head that completes next is not a new start.
pub const EARLY: u64 = 1 << 30;
/// Everything has ended; nothing starts any more.
pub const CLOSED: u64 = 1 << 31;
/// The counters of [`FLOW`].
pub const COUNTER: u64 = 0x3fff_ffff;

/// HTTP/2.
pub const MODE_HTTP2: u64 = 1;
/// Bytes after an upgrade or CONNECT.
pub const MODE_TUNNEL: u64 = 2;
/// Not HTTP as we read it: counted as a connection.
pub const MODE_OPAQUE: u64 = 4;
/// Counts may differ from the truth.
pub const MODE_UNCERTAIN: u64 = 8;
/// HTTP/2: frames of the client were lost, so ends of its half may be missing.
pub const MODE_HALF_LOST: u64 = 16;
/// Bytes of the client went unseen: requests may have, too, until their responses tell, and kinds may be out of step.
pub const MODE_WAS_LOST: u64 = 32;
