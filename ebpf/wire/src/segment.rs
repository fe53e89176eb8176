// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! A TCP segment: what of it is new, what is missing before it, where reading resumes.
//!
//! Requests are seen before reassembly: old bytes are skipped, a segment that comes too early is kept aside, bytes the
//! stack has and this machine never saw (data on the handshake, a lost claim) end certainty. Responses are seen in
//! sending order. After a loss a direction listens at segment starts for a boundary nobody could mistake.

use crate::claim::{self, Claim, Taken};
use crate::env::{Env, Note};
use crate::field;
use crate::flow;
use crate::line::word;
use crate::side::{Phase, Side};
use crate::walk::{TURNS, Walk, advance};
use crate::words::{MODE, MODE_HTTP2, MODE_OPAQUE, MODE_TUNNEL, MODE_WAS_LOST};
use crate::{h1, h2};

/// Where the payload of a segment stands. (Aligned, as everything on the kernel's stack must be read aligned.)
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub struct Segment {
    /// Sequence number of the first payload byte.
    pub seq: u32,
    /// Payload `at..end` in the packet.
    pub at: u32,
    /// See `at`.
    pub end: u32,
}

/// Bytes read to find a boundary again.
const LOOK: u32 = 16;

/// A segment from the client.
#[inline(always)]
pub fn request<E: Env>(env: &mut E, side: &mut Side, segment: Segment) {
    let length = segment.end.wrapping_sub(segment.at);
    match claim::take::<E, E>(env, segment.seq, segment.seq.wrapping_add(length)) {
        Taken::Old => {}
        // What is in it will be missing: the next segment finds the stack ahead of the claim.
        Taken::Busy => env.note(Note::Gap),
        Taken::Yes(claim) => {
            let (next, hints) = read_claimed(env, side, segment, claim);
            claim::release(env, next, hints);
        }
    }
}

/// Reads a segment whose claim is held; what to release the claim with. For who takes the claim himself, because he
/// must not touch the side before: the host's test of two CPUs.
#[inline(always)]
pub fn read_claimed<E: Env>(env: &mut E, side: &mut Side, segment: Segment, claim: Claim) -> (u32, u64) {
    let next = claimed(env, side, segment, claim);
    let lost = side.phase == Phase::LOST;
    let in_head = side.phase == Phase::FIELDS || (side.phase == Phase::FIRST && side.line != 0);
    let hints = if side.phase.is_chunked() {
        claim::IN_CHUNKS
    } else if in_head {
        claim::IN_HEAD
    } else if lost {
        claim::LOST
    } else {
        0
    };
    (next, hints)
}

/// Reads a claimed segment; the next sequence number wanted.
#[inline(always)]
fn claimed<E: Env>(env: &mut E, side: &mut Side, segment: Segment, claim: Claim) -> u32 {
    side.now = 0;
    side.reading_kept = 0;
    let mode = env.load(MODE);
    if mode & MODE_TUNNEL != 0 {
        side.phase = Phase::TUNNEL;
    } else if mode & MODE_OPAQUE != 0 {
        side.phase = Phase::OPAQUE;
    }
    let mut at = segment.at;
    let mut next = claim.seq;
    let mut ahead = segment.seq.wrapping_sub(next) as i32;
    if ahead < 0 {
        at = at.wrapping_add(ahead.wrapping_neg() as u32);
        ahead = 0;
    }
    if ahead > 0 {
        env.note(Note::Gap);
        let unseen = match env.received() {
            Some(received) => received.wrapping_sub(next) as i32,
            None => 0,
        };
        let unseen = if unseen < ahead { unseen } else { ahead };
        if unseen > 0 {
            missing::<E, true>(env, side, unseen as u32);
            next = next.wrapping_add(unseen as u32);
            ahead -= unseen;
        }
        if ahead > 0 && !jump::<E, true>(env, side, ahead as u32) {
            // Without room it comes again only by luck; the stack's own number will tell.
            if env.keep(segment.seq, segment.at, segment.end.wrapping_sub(segment.at)) {
                side.has_kept = 1;
            }
            return next;
        }
    }
    let end_seq = segment.seq.wrapping_add(segment.end.wrapping_sub(segment.at));
    if side.phase == Phase::LOST {
        find_request(env, side, at, segment.end);
    }
    walk::<E, true>(env, side, at, segment.end, end_seq)
}

/// A segment to the client. `fin`: the server sends nothing after it.
#[inline(always)]
pub fn response<E: Env>(env: &mut E, side: &mut Side, segment: Segment, fin: bool) {
    side.now = 0;
    let length = segment.end.wrapping_sub(segment.at);
    let mut at = segment.at;
    let end_seq = segment.seq.wrapping_add(length);
    if length != 0 && end_seq.wrapping_sub(side.seq) as i32 > 0 {
        adopt_mode(env, side);
        let ahead = segment.seq.wrapping_sub(side.seq) as i32;
        if ahead < 0 {
            at = at.wrapping_add(ahead.wrapping_neg() as u32);
        } else if ahead > 0 {
            env.note(Note::Gap);
            missing::<E, false>(env, side, ahead as u32);
        }
        if side.phase == Phase::LOST {
            find_response(env, side, at, segment.end);
        }
        side.seq = walk::<E, false>(env, side, at, segment.end, end_seq);
    }
    if fin && end_seq.wrapping_sub(side.seq) as i32 >= 0 {
        close_connection(env, side);
    }
}

/// The connection is over, or the server has sent its last byte: nothing stays in flight.
#[inline(always)]
pub fn close_connection<E: Env>(env: &mut E, responses: &mut Side) {
    responses.now = 0;
    let phase = responses.phase;
    let finished = phase == Phase::UNTIL_CLOSE || phase == Phase::TUNNEL || phase == Phase::OPAQUE;
    flow::close(env, finished);
}

/// Counts the connection as one request from now until it closes, whatever it carries.
#[inline(always)]
pub fn count_connection<E: Env>(env: &mut E, side: &mut Side) {
    side.now = 0;
    side.since = env.now();
    h1::go_opaque(env, side);
}

#[inline(always)]
fn adopt_mode<E: Env>(env: &mut E, side: &mut Side) {
    // A response that begins here mostly ends here.
    let begins = side.phase == Phase::FIRST || side.phase == Phase::FRAME;
    let mode = if begins {
        env.load_to_change(MODE)
    } else {
        env.load(MODE)
    };
    if mode & MODE_OPAQUE != 0 {
        side.phase = Phase::OPAQUE;
    } else if mode & MODE_HTTP2 != 0 && side.phase == Phase::FIRST {
        if side.line == 0 {
            side.phase = Phase::FRAME;
        } else {
            // Half a line went out before the client's preface: no frame begins there.
            h1::lose(env, side);
        }
    }
}

#[inline(always)]
fn walk<E: Env, const REQUEST: bool>(env: &mut E, side: &mut Side, at: u32, end: u32, seq: u32) -> u32 {
    side.at = at;
    side.end = end;
    side.end_seq = seq;
    side.length_of_block = 0;
    E::repeat(TURNS, &mut Walk::<E, REQUEST> { env, side });
    if side.at < side.end {
        // More lines or frames than any sensible segment has.
        lose::<E, REQUEST>(env, side);
    }
    side.end_seq
}

/// Skips `count` bytes if they cannot matter.
#[inline(always)]
fn jump<E: Env, const REQUEST: bool>(env: &mut E, side: &mut Side, count: u32) -> bool {
    if side.phase.is_deaf() {
        return true;
    }
    if side.phase.is_counted() && side.rest >= u64::from(count) {
        advance::<E, REQUEST>(env, side, u64::from(count));
        return true;
    }
    false
}

/// `count` bytes will never be seen.
#[inline(always)]
fn missing<E: Env, const REQUEST: bool>(env: &mut E, side: &mut Side, count: u32) {
    if !jump::<E, REQUEST>(env, side, count) {
        lose::<E, REQUEST>(env, side);
    }
}

#[inline(always)]
fn lose<E: Env, const REQUEST: bool>(env: &mut E, side: &mut Side) {
    h1::lose(env, side);
    if REQUEST && env.or(MODE, MODE_WAS_LOST) & MODE_HTTP2 != 0 {
        h2::lose_client_half(env, side);
        env.leave_slots();
    }
}

/// Reads the first bytes of a segment to look at; false when there are too few.
#[inline(always)]
fn look<E: Env>(env: &mut E, side: &mut Side, at: u32, end: u32) -> bool {
    end.wrapping_sub(at) >= LOOK && end > at && env.read(at, LOOK, &mut side.buffer, 0)
}

#[inline(always)]
fn found<E: Env>(env: &mut E, side: &mut Side, phase: Phase) {
    side.phase = phase;
    side.kept = 0;
    side.line = 0;
    env.note(Note::Resync);
}

/// Everything is answered and a segment begins like a request; or like a frame.
#[inline(never)]
fn find_request<E: Env>(env: &mut E, side: &mut Side, at: u32, end: u32) {
    if !look(env, side, at, end) {
        return;
    }
    if env.load(MODE) & MODE_HTTP2 != 0 {
        if h2::is_plausible(&side.buffer) {
            found(env, side, Phase::FRAME);
        }
    } else if flow::pending(env) == 0 && field::is_method(word(&side.buffer, 0)) {
        found(env, side, Phase::FIRST);
    }
}

/// A segment begins like a response; or like a frame.
#[inline(never)]
fn find_response<E: Env>(env: &mut E, side: &mut Side, at: u32, end: u32) {
    if !look(env, side, at, end) {
        return;
    }
    if env.load(MODE) & MODE_HTTP2 != 0 {
        if h2::is_plausible(&side.buffer) {
            found(env, side, Phase::FRAME);
        }
    } else if h1::is_response(&side.buffer) {
        flow::end_all_but_newest(env);
        found(env, side, Phase::FIRST);
    }
}
