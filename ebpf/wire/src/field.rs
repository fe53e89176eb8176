// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! The few field lines that decide where a message ends (RFC 9112 section 6), and the one that names a probe.
//!
//! Names are compared eight bytes at a time, case folded at letter positions only: folding everything would turn a CR
//! into a hyphen. Whatever can be read in two ways (two lengths, a length beside a coding, a coding that is not
//! chunked, spaces before the colon, a fold, a line too long to be seen whole) sets DOUBT and is settled by the caller.

use crate::env::Env;
use crate::line::{BUFFER, byte, digits, word};
use crate::side::{CHUNKED, DOUBT, FOLDABLE, HAS_CODING, HAS_LENGTH, PROBE, Side};

/// The line at hand in the buffer: `start..end` without its line end. `whole`: nothing of it was dropped.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct Line {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) whole: bool,
}

const fn little(text: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*text)
}

/// 0x20 at every letter.
const fn letters(text: u64) -> u64 {
    let mut mask = 0;
    let mut i = 0;
    while i < 8 {
        if ((text >> (8 * i)) as u8).is_ascii_lowercase() {
            mask |= 0x20 << (8 * i);
        }
        i += 1;
    }
    mask
}

/// Whether the bytes at `at` under `mask` spell `text` (lower case) in any case.
#[inline(always)]
fn spells(buffer: &[u8; BUFFER], at: u32, text: u64, mask: u64) -> bool {
    (word(buffer, at) | letters(text)) & mask == text & mask
}

const ALL: u64 = !0;
const SIX: u64 = 0xffff_ffff_ffff;
const TWO: u64 = 0xffff;
const LENGTH_1: u64 = little(b"content-");
const LENGTH_2: u64 = little(b"length\0\0");
const CODING_1: u64 = little(b"transfer");
const CODING_2: u64 = little(b"-encodin");
const CODING_3: u64 = little(b"g\0\0\0\0\0\0\0");
const AGENT_1: u64 = little(b"user-age");
const AGENT_2: u64 = little(b"nt\0\0\0\0\0\0");
const PROBE_1: u64 = little(b"kube-pro");
const PROBE_2: u64 = little(b"be/\0\0\0\0\0");

/// Reads one field line into the marks and length of its message.
#[inline(always)]
pub(crate) fn read<E: Env>(env: &E, side: &mut Side, line: Line) {
    let first = byte(&side.buffer, line.start);
    if first == b' ' || first == b'\t' {
        // obs-fold, RFC 9112 section 5.2.
        if side.marks & FOLDABLE != 0 {
            side.marks |= DOUBT;
        }
        return;
    }
    side.marks &= !FOLDABLE;
    match first | 0x20 {
        b'c' if spells(&side.buffer, line.start, LENGTH_1, ALL)
            && spells(&side.buffer, line.start + 8, LENGTH_2, SIX) =>
        {
            length(env, side, line);
        }
        b't' if spells(&side.buffer, line.start, CODING_1, ALL)
            && spells(&side.buffer, line.start + 8, CODING_2, ALL)
            && spells(&side.buffer, line.start + 16, CODING_3, 0xff) =>
        {
            coding(env, side, line);
        }
        b'u' if spells(&side.buffer, line.start, AGENT_1, ALL)
            && spells(&side.buffer, line.start + 8, AGENT_2, TWO) =>
        {
            agent(env, side, line);
        }
        _ => {}
    }
}

/// Most optional whitespace looked at on either side of a value.
const WHITESPACE: u32 = 16;

/// Where the value begins and ends, whitespace aside, when the name, `name` bytes, is followed by a colon; None for
/// another, longer name.
#[inline(always)]
fn value<E: Env>(env: &E, side: &mut Side, line: Line, name: u32) -> Option<(u32, u32)> {
    let mut at = line.start + name;
    let next = byte(&side.buffer, at);
    if next != b':' {
        if is_space(next) {
            side.marks |= DOUBT;
        }
        return None;
    }
    at += 1;
    let mut spaces = 0;
    while spaces < WHITESPACE && is_space(byte(&side.buffer, at + spaces)) {
        spaces += 1;
    }
    let at = at + env.unknown(spaces);
    Some((at, before_space(env, side, line.end)))
}

/// The end of what ends at `end`, whitespace aside.
#[inline(always)]
fn before_space<E: Env>(env: &E, side: &Side, end: u32) -> u32 {
    let mut spaces = 0;
    while spaces < WHITESPACE && is_space(byte(&side.buffer, end.wrapping_sub(spaces + 1))) {
        spaces += 1;
    }
    end.wrapping_sub(env.unknown(spaces))
}

#[inline(always)]
fn length<E: Env>(env: &E, side: &mut Side, line: Line) {
    let Some((at, end)) = value(env, side, line, 14) else {
        return;
    };
    side.marks |= FOLDABLE;
    let (count, mut value) = digits(word(&side.buffer, at));
    let mut after = at + count;
    if count == 8 {
        let (more, low) = digits(word(&side.buffer, after));
        after += more;
        let mut i = 0;
        while i < 8 {
            if i < more {
                value *= 10;
            }
            i += 1;
        }
        value += low;
    }
    let another = side.marks & HAS_LENGTH != 0 && side.length != value;
    if count == 0 || after != end || !line.whole || another {
        side.marks |= DOUBT;
    }
    side.marks |= HAS_LENGTH;
    side.length = value;
}

#[inline(always)]
fn coding<E: Env>(env: &E, side: &mut Side, line: Line) {
    let Some((at, end)) = value(env, side, line, 17) else {
        return;
    };
    side.marks |= FOLDABLE;
    let last = end.wrapping_sub(7);
    let named = end >= at + 7 && spells(&side.buffer, last, little(b"chunked\0"), 0x00ff_ffff_ffff_ffff);
    // Alone, or the last of a list.
    let chunked = named && (last == at || byte(&side.buffer, before_space(env, side, last).wrapping_sub(1)) == b',');
    if side.marks & HAS_CODING != 0 || !line.whole {
        side.marks |= DOUBT;
    }
    side.marks |= HAS_CODING;
    if chunked {
        side.marks |= CHUNKED;
    }
}

#[inline(always)]
const fn is_space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

#[inline(always)]
fn agent<E: Env>(env: &E, side: &mut Side, line: Line) {
    let Some((at, _)) = value(env, side, line, 10) else {
        return;
    };
    if spells(&side.buffer, at, PROBE_1, ALL) && spells(&side.buffer, at + 8, PROBE_2, 0xff_ffff) {
        side.marks |= PROBE;
    }
}

/// Whether eight bytes begin with a method: three to seven capitals, then a space.
#[inline(always)]
pub(crate) const fn is_method(word: u64) -> bool {
    let mut i = 0;
    while i < 8 {
        let b = (word >> (8 * i)) as u8;
        if b == b' ' {
            return i >= 3;
        }
        if !b.is_ascii_uppercase() {
            return false;
        }
        i += 1;
    }
    false
}
