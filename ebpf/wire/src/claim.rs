// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! The claim of the request side: one CPU at a time reads segments of a flow.
//!
//! Problem: cgroup ingress runs before the socket's lock, so two CPUs can hold segments of one flow at once.
//! Mechanism: one word, IDLE(sequence number, hints) or BUSY, taken by an exchange and released by a store;
//! a segment that finds BUSY tries a bounded number of turns and is then dealt with as out of order.
//! Invariants: who holds BUSY is the only one to touch the request [`crate::Side`]; the sequence number only grows.
//! The hints let the response side see, without a claim, whether a head is half read or bytes are missing.

use crate::env::{LARGEST_KEPT, Repeat, Turn, Words};
use crate::words::CLAIM;

/// Held: a segment is being read.
pub const BUSY: u64 = 1 << 32;
/// A head is half read.
pub const IN_HEAD: u64 = 1 << 33;
/// Bytes are missing: requests may have gone unseen.
pub const LOST: u64 = 1 << 34;

/// A chunked body is being read: bytes missing from it end certainty.
pub const IN_CHUNKS: u64 = 1 << 35;

/// Turns (some tens of microseconds) to wait: for a busy claim, whose holder reads one segment but may be on a virtual
/// CPU that is taken away meanwhile; and for the bytes before a segment that is too large to be kept. Only a sender on
/// this machine makes such segments, and only by moving between CPUs does it get them out of order: what is missing
/// lies in the other CPU's queue.
pub const PATIENCE: u32 = 1 << 15;

/// The word as it was when the claim was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct Claim {
    /// Next sequence number wanted.
    pub seq: u32,
}

struct Attempt<'a, W> {
    words: &'a W,
    /// First and one past the last sequence number of the segment.
    seq: u32,
    end: u32,
    /// Waits for the bytes before it.
    waits: bool,
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Busy,
    Old,
    Taken(u32),
}

impl<W: Words> Turn for Attempt<'_, W> {
    #[inline(always)]
    fn turn(&mut self) -> bool {
        // Exchanging BUSY for BUSY changes nothing; anything else is ours.
        let word = self.words.swap(CLAIM, BUSY);
        if word & BUSY != 0 {
            return true;
        }
        let next = word as u32;
        if self.end.wrapping_sub(next) as i32 <= 0 {
            // Nothing in it is new: a retransmission.
            self.words.store(CLAIM, word);
            self.outcome = Outcome::Old;
            return false;
        }
        if self.waits && word & IN_CHUNKS != 0 && self.seq.wrapping_sub(next) as i32 > 0 {
            self.words.store(CLAIM, word);
            return true;
        }
        self.outcome = Outcome::Taken(next);
        false
    }
}

/// How a claim ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Ours until [`release`].
    Yes(Claim),
    /// The segment holds nothing new.
    Old,
    /// Another CPU held on.
    Busy,
}

/// Tries to claim the request side for a segment of sequence numbers `seq..end`.
#[inline(always)]
pub fn take<W: Words, R: Repeat>(words: &W, seq: u32, end: u32) -> Taken {
    let waits = end.wrapping_sub(seq) > LARGEST_KEPT;
    let mut attempt = Attempt {
        words,
        seq,
        end,
        waits,
        outcome: Outcome::Busy,
    };
    // The common case without a loop.
    if attempt.turn() {
        R::repeat(PATIENCE, &mut attempt);
        if waits && attempt.outcome == Outcome::Busy {
            attempt.waits = false;
            R::repeat(PATIENCE, &mut attempt);
        }
    }
    match attempt.outcome {
        Outcome::Busy => Taken::Busy,
        Outcome::Old => Taken::Old,
        Outcome::Taken(seq) => Taken::Yes(Claim { seq }),
    }
}

/// Gives the claim back with the next sequence number wanted and hints.
#[inline(always)]
pub fn release<W: Words>(words: &W, seq: u32, hints: u64) {
    words.store(CLAIM, u64::from(seq) | hints);
}

/// What the response side may know: next sequence number wanted and hints. While a segment is being read they are not
/// known: it waits as others wait for the claim, whose holder needs nothing that the response side holds. BUSY: in vain.
#[inline(always)]
pub fn look<W: Words, R: Repeat>(words: &W) -> (u32, u64) {
    let mut look = Look { words, word: 0 };
    if look.turn() {
        R::repeat(PATIENCE, &mut look);
    }
    (look.word as u32, look.word & (BUSY | IN_HEAD | LOST))
}

struct Look<'a, W> {
    words: &'a W,
    word: u64,
}

impl<W: Words> Turn for Look<'_, W> {
    #[inline(always)]
    fn turn(&mut self) -> bool {
        self.word = self.words.load(CLAIM);
        self.word & BUSY != 0
    }
}
