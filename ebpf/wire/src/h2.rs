// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! HTTP/2: what a frame header means (RFC 9113 section 4.1). No HPACK but the one byte that names a common status.
//!
//! A stream is in flight from its first HEADERS to END_STREAM both ways, RST_STREAM, a GOAWAY below it, or the end of
//! the connection. Slots are words changed by compare-and-swap: id (bits 0–31) and which halves have ended.

use crate::env::{Env, Note, Turn};
use crate::flow;
use crate::line::{BUFFER, byte};
use crate::side::{Phase, Side};
use crate::words::{GOAWAY, HIGHEST, MODE, MODE_HALF_LOST, UNSEEN_FROM, UNSEEN_TO, UNSLOTTED};

/// Stream slots of a connection.
pub const SLOTS: u32 = 128;
/// Bytes of a frame header.
pub(crate) const HEADER: u32 = 9;
/// Payload bytes looked at: GOAWAY's last stream id, the first byte of a header block.
pub(crate) const PEEK: u32 = 4;
/// Neighbouring slots a stream may take.
const PROBES: u32 = 4;
const TRIES: u32 = 2;

const ID: u64 = 0xffff_ffff;
const CLIENT_DONE: u64 = 1 << 32;
const SERVER_DONE: u64 = 1 << 33;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const FRAME_GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

#[inline(always)]
fn payload_length(buffer: &[u8; BUFFER]) -> u32 {
    u32::from(byte(buffer, 0)) << 16 | u32::from(byte(buffer, 1)) << 8 | u32::from(byte(buffer, 2))
}

/// Whether the frame header in the buffer is one whose first payload bytes are needed.
#[inline(always)]
pub(crate) fn is_goaway(buffer: &[u8; BUFFER]) -> bool {
    byte(buffer, 3) == FRAME_GOAWAY && payload_length(buffer) >= 8
}

/// A frame header stands in the buffer, and `extra` bytes of its payload, `taken` of which have passed.
#[inline(always)]
pub(crate) fn frame<E: Env, const REQUEST: bool>(env: &mut E, side: &mut Side, extra: u32, taken: u32) {
    let length = payload_length(&side.buffer);
    let kind = byte(&side.buffer, 3);
    let flags = byte(&side.buffer, 4);
    let id = number(&side.buffer, 5);
    if length > taken {
        side.rest = u64::from(length - taken);
        side.phase = Phase::PAYLOAD;
    }
    if id == 0 {
        if !REQUEST && kind == FRAME_GOAWAY && taken != 0 {
            let last = number(&side.buffer, HEADER);
            goaway(env, side, last);
        }
        return;
    }
    // Streams of the server (pushes) are not requests.
    if id & 1 == 0 {
        return;
    }
    if kind == HEADERS {
        if REQUEST {
            client_headers(env, id);
        } else {
            server_headers(env, id);
            if extra != 0 && length != 0 && flags & (PADDED | PRIORITY) == 0 {
                status(env, byte(&side.buffer, HEADER), flags);
            }
        }
    }
    if kind == RST_STREAM {
        finish(env, id, CLIENT_DONE | SERVER_DONE);
    } else if (kind == HEADERS || kind == DATA) && flags & END_STREAM != 0 {
        finish(env, id, if REQUEST { CLIENT_DONE } else { SERVER_DONE });
    }
}

#[inline(always)]
fn number(buffer: &[u8; BUFFER], at: u32) -> u32 {
    u32::from_be_bytes([
        byte(buffer, at) & 0x7f,
        byte(buffer, at + 1),
        byte(buffer, at + 2),
        byte(buffer, at + 3),
    ])
}

/// Counts the status of a response's header block that begins with an indexed `:status` of the static table
/// (RFC 7541 appendix A, 8…14); literals (0x08, 0x18, 0x48) are final but unknown; anything else is a trailer.
#[inline(always)]
fn status<E: Env>(env: &mut E, first: u8, flags: u8) {
    let class = match first {
        0x88..=0x8a => 2,
        0x8b => 3,
        0x8c | 0x8d => 4,
        0x8e => 5,
        0x08 | 0x18 | 0x48 => 0,
        0xbe..=0xff if flags & END_STREAM == 0 => 0,
        _ => return,
    };
    env.status(class);
}

/// The first slot a stream may take.
#[inline(always)]
const fn home(id: u32) -> u32 {
    id >> 1
}

/// The slot of a stream and its word.
#[inline(always)]
fn find<E: Env>(env: &mut E, id: u32) -> Option<(u32, u64)> {
    if !env.find_slots() {
        return None;
    }
    let mut i = 0;
    while i < PROBES {
        let slot = home(id).wrapping_add(i) % SLOTS;
        let word = env.slot(slot);
        if word as u32 == id {
            return Some((env.unknown(slot), word));
        }
        i += 1;
    }
    None
}

#[inline(always)]
fn client_headers<E: Env>(env: &mut E, id: u32) {
    if u64::from(id) <= env.load(HIGHEST) {
        // Trailers, or a stream that is gone.
        return;
    }
    let limit = env.load(GOAWAY);
    if (limit == 0 || u64::from(id) < limit) && find(env, id).is_none() {
        open(env, id, 0);
    }
    // Behind the slot: an answer on another CPU finds the slot, or knows that it does not know the stream.
    env.store(HIGHEST, u64::from(id));
    if env.load(UNSEEN_FROM) != 0 && env.load(UNSEEN_TO) == u64::MAX {
        env.store(UNSEEN_TO, u64::from(id));
    }
}

#[inline(always)]
fn server_headers<E: Env>(env: &mut E, id: u32) {
    let wide = u64::from(id);
    let from = env.load(UNSEEN_FROM);
    let unseen = wide > env.load(HIGHEST) || (from != 0 && wide >= from && wide < env.load(UNSEEN_TO));
    if !unseen || find(env, id).is_some() {
        return;
    }
    // The client's HEADERS went unseen; the end of its half may have, too.
    flow::doubt(env);
    env.note(Note::Late);
    open(env, id, CLIENT_DONE);
}

#[inline(always)]
fn open<E: Env>(env: &mut E, id: u32, done: u64) {
    if !flow::start_stream(env) {
        return;
    }
    if env.make_slots() {
        let mut i = 0;
        while i < PROBES {
            let slot = home(id).wrapping_add(i) % SLOTS;
            if env.slot(slot) == 0 {
                let now = env.now();
                env.set_slot_time(slot, now);
                if env.change_slot(slot, 0, u64::from(id) | done) {
                    return;
                }
            }
            i += 1;
        }
    }
    env.note(Note::Overflow);
    flow::doubt(env);
    add_unslotted(env, 1);
}

/// Adds to the streams without a slot, in two's complement; false when none was left to take.
#[inline(always)]
fn add_unslotted<E: Env>(env: &mut E, change: u64) -> bool {
    let mut tries = 0;
    while tries < TRIES {
        tries += 1;
        let count = env.load(UNSLOTTED);
        if change != 1 && count == 0 {
            return false;
        }
        if env.compare_exchange(UNSLOTTED, count, count.wrapping_add(change)) {
            return true;
        }
    }
    false
}

/// One half, or both, of a stream ended.
#[inline(always)]
fn finish<E: Env>(env: &mut E, id: u32, done: u64) {
    let done = if env.load(MODE) & MODE_HALF_LOST != 0 {
        done | CLIENT_DONE
    } else {
        done
    };
    let mut tries = 0;
    while tries < TRIES {
        tries += 1;
        let Some((slot, word)) = find(env, id) else {
            // Without a slot only totals are known: the server's end, or a reset, ends one.
            if done & SERVER_DONE != 0 && add_unslotted(env, !0) {
                flow::end_stream(env, 0);
            }
            return;
        };
        let new = word | done;
        if new & CLIENT_DONE != 0 && new & SERVER_DONE != 0 {
            let since = env.slot_time(slot);
            if env.change_slot(slot, word, 0) {
                flow::end_stream(env, since);
                return;
            }
        } else if env.change_slot(slot, word, new) {
            return;
        }
    }
    flow::doubt(env);
}

/// Ends streams above `last`, and those whose server half has ended if `halves`.
#[inline(always)]
fn sweep<E: Env>(env: &mut E, side: &mut Side, last: u32, halves: bool) {
    side.slot = 0;
    E::repeat(
        SLOTS + 1,
        &mut Sweep {
            env,
            side,
            last: u64::from(last),
            halves,
        },
    );
}

struct Sweep<'a, E> {
    env: &'a mut E,
    /// Its `slot` is the slot that comes next.
    side: &'a mut Side,
    last: u64,
    halves: bool,
}

impl<E: Env> Turn for Sweep<'_, E> {
    #[inline(always)]
    fn turn(&mut self) -> bool {
        let slot = self.side.slot as u32;
        if slot >= SLOTS {
            return false;
        }
        self.side.slot += 1;
        let word = self.env.slot(slot);
        let over = word & ID > self.last || (self.halves && word & SERVER_DONE != 0);
        if word != 0 && over {
            let since = self.env.slot_time(slot);
            if self.env.change_slot(slot, word, 0) {
                flow::end_stream(self.env, since);
            }
        }
        true
    }
}

/// The server will not serve streams above `last` (RFC 9113 section 6.8).
#[inline(always)]
fn goaway<E: Env>(env: &mut E, side: &mut Side, last: u32) {
    env.store(GOAWAY, u64::from(last) + 1);
    if env.find_slots() {
        sweep(env, side, last, false);
    }
}

/// Frames of the client were lost: from now on the server's end of a stream is its end.
#[inline(always)]
pub(crate) fn lose_client_half<E: Env>(env: &mut E, side: &mut Side) {
    env.or(MODE, MODE_HALF_LOST);
    if env.load(UNSEEN_FROM) == 0 {
        env.store(UNSEEN_FROM, env.load(HIGHEST) + 1);
    }
    env.store(UNSEEN_TO, u64::MAX);
    if env.find_slots() {
        sweep(env, side, !0, true);
    }
}

/// Whether what stands in the buffer can be a frame header: a length within the default limit, a known type, flags
/// that exist, a stream that fits the type.
#[inline(always)]
pub(crate) fn is_plausible(buffer: &[u8; BUFFER]) -> bool {
    let length = payload_length(buffer);
    let kind = byte(buffer, 3);
    let reserved = byte(buffer, 5) & 0x80 != 0;
    let id = number(buffer, 5);
    let flags = byte(buffer, 4);
    if length > 16_384 || kind > 9 || reserved || flags & !0x2d != 0 {
        return false;
    }
    match kind {
        4 | 6 | 7 => id == 0,
        8 => length == 4,
        3 => length == 4 && id != 0,
        _ => id & 1 == 1,
    }
}
