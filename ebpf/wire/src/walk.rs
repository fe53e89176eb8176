// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! One segment, a bounded step at a time.
//!
//! A turn skips a counted piece, reads one line, or reads one frame header. Lines are found in blocks of
//! [`crate::SPAN`] bytes read into the side's own buffer; several lines of a block cost one read.

use crate::env::{Env, Turn};
use crate::field::Line;
use crate::line::{KEEP, SPAN, byte, keep_end, line_feed};
use crate::side::{GUESS, Phase, Side};
use crate::{flow, h1, h2};

/// Most turns for one segment: a turn takes a line, a frame or a piece, so 64 KiB of anything sensible fits.
pub(crate) const TURNS: u32 = 1 << 14;

/// Bytes that tell a response.
const RESPONSE_BEGINS: u32 = 9;

/// Reads the segment at hand, then kept segments that follow it. Where it stands is part of the [`Side`]: the verifier
/// does not look into map values, so one turn is like any other to it.
#[derive(Debug)]
pub struct Walk<'a, E, const REQUEST: bool> {
    pub(crate) env: &'a mut E,
    pub(crate) side: &'a mut Side,
}

impl<E: Env, const REQUEST: bool> Turn for Walk<'_, E, REQUEST> {
    #[inline(always)]
    fn turn(&mut self) -> bool {
        if self.side.at >= self.side.end {
            return REQUEST && self.continue_kept();
        }
        let phase = self.side.phase;
        if phase.is_line() {
            self.line()
        } else if phase.is_counted() {
            self.skip()
        } else if phase == Phase::FRAME {
            self.frame()
        } else {
            self.side.at = self.side.end;
            true
        }
    }
}

impl<E: Env, const REQUEST: bool> Walk<'_, E, REQUEST> {
    #[inline(always)]
    fn continue_kept(&mut self) -> bool {
        if self.side.has_kept == 0 {
            return false;
        }
        let Some((at, end)) = self.env.continue_from(self.side.end_seq) else {
            return false;
        };
        if at >= end {
            return false;
        }
        self.side.at = at;
        self.side.end = end;
        self.side.end_seq = self.side.end_seq.wrapping_add(end - at);
        self.side.length_of_block = 0;
        true
    }

    #[inline(always)]
    fn skip(&mut self) -> bool {
        if !REQUEST && self.side.marks & GUESS != 0 && self.guess() {
            return true;
        }
        let left = u64::from(self.side.end - self.side.at);
        let count = if self.side.rest < left { self.side.rest } else { left };
        self.side.at += count as u32;
        advance::<E, REQUEST>(self.env, self.side, count);
        true
    }

    /// Whether no body came after all: what stands there is the next response.
    #[inline(always)]
    fn guess(&mut self) -> bool {
        self.side.marks &= !GUESS;
        self.side.length_of_block = 0;
        let none = self.side.phase == Phase::BODY
            && self.side.end - self.side.at >= RESPONSE_BEGINS
            && self.env.read(self.side.at, RESPONSE_BEGINS, &mut self.side.buffer, 0)
            && h1::is_response(&self.side.buffer);
        if none {
            h1::message_end::<E, false>(self.env, self.side);
        }
        none
    }

    /// The bytes of the segment cannot be read, which the kernel never says of bytes inside the packet.
    #[inline(always)]
    fn unreadable(&mut self) -> bool {
        self.side.at = self.side.end;
        h1::lose(self.env, self.side);
        true
    }

    #[inline(always)]
    fn line(&mut self) -> bool {
        let left = self.side.end - self.side.at;
        let mut offset = self.side.at.wrapping_sub(self.side.block);
        if offset >= self.side.length_of_block || (offset != 0 && self.side.base != 0) {
            let count = if left < SPAN { left } else { SPAN };
            let base = u32::from(self.side.kept);
            if base > KEEP || !self.env.read(self.side.at, count, &mut self.side.buffer, base) {
                return self.unreadable();
            }
            self.side.block = self.side.at;
            self.side.length_of_block = count;
            self.side.base = base;
            offset = 0;
        }
        let from = self.env.unknown(self.side.base + offset);
        if self.side.line == 0 && self.side.phase == Phase::FIRST && !self.first_byte(byte(&self.side.buffer, from)) {
            return true;
        }
        let distance = self.env.unknown(line_feed(&self.side.buffer, from));
        if distance < self.side.length_of_block - offset {
            self.complete(from, distance);
        } else if offset == 0 {
            self.keep();
        } else {
            // The line may be longer than the rest of the block: read again from its start.
            self.side.length_of_block = 0;
        }
        true
    }

    /// The first byte of a message tells whether it can be one. False: it cannot, or is not a line.
    #[inline(always)]
    fn first_byte(&mut self, first: u8) -> bool {
        self.side.since = self.env.now();
        let empty = first == b'\r' || first == b'\n';
        if REQUEST {
            if empty || (first > b' ' && first < 0x7f) {
                return true;
            }
        } else if empty || first == b'H' {
            return true;
        } else if first == 0 && flow::is_fresh(self.env) {
            // A server may send its SETTINGS before the client's preface (RFC 9113 section 3.4).
            self.side.phase = Phase::FRAME;
            return false;
        }
        if flow::is_fresh(self.env) {
            h1::go_opaque(self.env, self.side);
        } else {
            h1::lose(self.env, self.side);
        }
        false
    }

    #[inline(always)]
    fn complete(&mut self, from: u32, distance: u32) {
        let feed = from + distance;
        let whole = self.side.line == u32::from(self.side.kept);
        let start = if self.side.line == 0 { from } else { 0 };
        let mut end = feed;
        if end > start && byte(&self.side.buffer, end.wrapping_sub(1)) == b'\r' {
            end -= 1;
        }
        self.side.at += distance + 1;
        self.side.line = 0;
        self.side.kept = 0;
        let line = Line { start, end, whole };
        if REQUEST {
            h1::request_line(self.env, self.side, line);
        } else {
            h1::response_line(self.env, self.side, line);
        }
    }

    /// The segment or the block ends inside a line.
    #[inline(always)]
    fn keep(&mut self) {
        let kept = u32::from(self.side.kept) + self.side.length_of_block;
        if kept > KEEP {
            keep_end(&mut self.side.buffer, kept);
        }
        self.side.kept = if kept < KEEP { kept as u8 } else { KEEP as u8 };
        self.side.line += self.side.length_of_block;
        self.side.at += self.side.length_of_block;
        self.side.length_of_block = 0;
        h1::check_length(self.env, self.side);
    }

    #[inline(always)]
    fn frame(&mut self) -> bool {
        let left = self.side.end - self.side.at;
        let kept = u32::from(self.side.kept);
        if kept >= h2::HEADER + h2::PEEK {
            return self.unreadable();
        }
        // A whole header in one piece also shows the first bytes of its payload.
        let want = if kept == 0 || kept >= h2::HEADER {
            h2::HEADER + h2::PEEK - kept
        } else {
            h2::HEADER - kept
        };
        let count = if left < want { left } else { want };
        if !self.env.read(self.side.at, count, &mut self.side.buffer, kept) {
            return self.unreadable();
        }
        self.side.length_of_block = 0;
        let have = kept + count;
        let whole = if !REQUEST && have >= h2::HEADER && h2::is_goaway(&self.side.buffer) {
            h2::HEADER + h2::PEEK
        } else {
            h2::HEADER
        };
        if have < whole {
            self.side.kept = have as u8;
            self.side.at += count;
            return true;
        }
        self.side.at += whole - kept;
        self.side.kept = 0;
        h2::frame::<E, REQUEST>(self.env, self.side, have - h2::HEADER, whole - h2::HEADER);
        self.env.leave_slots();
        true
    }
}

/// `count` ≤ `rest` bytes of a counted piece have passed.
#[inline(always)]
pub(crate) fn advance<E: Env, const REQUEST: bool>(env: &mut E, side: &mut Side, count: u64) {
    side.rest = side.rest.wrapping_sub(count);
    if side.rest != 0 {
        return;
    }
    let phase = side.phase;
    side.kept = 0;
    side.line = 0;
    if phase == Phase::BODY {
        h1::message_end::<E, REQUEST>(env, side);
    } else if phase == Phase::DATA {
        side.phase = Phase::CHUNK;
    } else {
        side.phase = Phase::FRAME;
    }
}
