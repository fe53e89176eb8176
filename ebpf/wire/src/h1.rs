// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! HTTP/1.1: what a line means (RFC 9112).

use crate::claim;
use crate::env::{Env, Note};
use crate::field::{self, Line};
use crate::flow;
use crate::line::{BUFFER, byte, word};
use crate::side::{CHUNKED, DOUBT, GUESS, HAS_CODING, HAS_LENGTH, ORPHAN, PROBE, Phase, Side};
use crate::words::{HIGHEST, MODE, MODE_HTTP2, MODE_OPAQUE, MODE_TUNNEL, MODE_WAS_LOST};

/// Longest line before a connection is not taken for HTTP any more.
const LONGEST_LINE: u32 = 1 << 20;

const fn little(text: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*text)
}

/// The connection is counted as one request from now until it closes.
#[inline(always)]
pub(crate) fn go_opaque<E: Env>(env: &mut E, side: &mut Side) {
    side.phase = Phase::OPAQUE;
    if env.or(MODE, MODE_OPAQUE) & MODE_OPAQUE == 0 {
        env.note(Note::Opaque);
        if flow::pending(env) == 0 {
            flow::start(env, flow::PLAIN, side.since);
        }
    }
}

/// The direction cannot be read for now.
#[inline(always)]
pub(crate) fn lose<E: Env>(env: &mut E, side: &mut Side) {
    flow::doubt(env);
    side.phase = Phase::LOST;
    side.kept = 0;
    side.line = 0;
}

/// A line that grew too long to be one.
#[inline(always)]
pub(crate) fn check_length<E: Env>(env: &mut E, side: &mut Side) {
    if side.line > LONGEST_LINE {
        go_opaque(env, side);
    }
}

/// A complete line of the client.
#[inline(always)]
pub(crate) fn request_line<E: Env>(env: &mut E, side: &mut Side, line: Line) {
    let phase = side.phase;
    if phase == Phase::FIELDS {
        if line.end == line.start && line.whole {
            request_head(env, side);
        } else {
            field::read(env, side, line);
        }
    } else if phase == Phase::FIRST {
        first_request_line(env, side, line);
    } else {
        body_line::<E, true>(env, side, line);
    }
}

/// A complete line of the server.
#[inline(always)]
pub(crate) fn response_line<E: Env>(env: &mut E, side: &mut Side, line: Line) {
    let phase = side.phase;
    if phase == Phase::FIELDS {
        if line.end == line.start && line.whole {
            response_head(env, side);
        } else {
            field::read(env, side, line);
        }
    } else if phase == Phase::FIRST {
        status_line(env, side, line);
    } else {
        body_line::<E, false>(env, side, line);
    }
}

#[inline(always)]
fn first_request_line<E: Env>(env: &mut E, side: &mut Side, line: Line) {
    if line.end == line.start {
        // Empty lines before a request are skipped (RFC 9112 section 2.2).
        return;
    }
    let head = word(&side.buffer, line.start);
    let preface = head == little(b"PRI * HT")
        && word(&side.buffer, line.start + 8) & 0xffff_ffff_ffff == little(b"TP/2.0\0\0")
        && line.end == line.start + 14;
    if preface && flow::is_fresh(env) {
        side.phase = Phase::PREFACE;
        side.rest = 8;
        env.store(HIGHEST, 0);
        if env.or(MODE, MODE_HTTP2) & MODE_HTTP2 == 0 {
            env.note(Note::Http2);
        }
        return;
    }
    let version = word(&side.buffer, line.end.wrapping_sub(8));
    let good = version == little(b"HTTP/1.1") || version == little(b"HTTP/1.0");
    if !good || line.end < line.start + 8 {
        if flow::is_fresh(env) {
            go_opaque(env, side);
        } else {
            lose(env, side);
        }
        return;
    }
    side.kind = if head & 0xff_ffff_ffff == little(b"HEAD \0\0\0") {
        flow::HEAD
    } else if head == little(b"CONNECT ") {
        flow::CONNECT
    } else {
        flow::PLAIN
    };
    side.marks = 0;
    side.length = 0;
    side.phase = Phase::FIELDS;
}

#[inline(always)]
fn request_head<E: Env>(env: &mut E, side: &mut Side) {
    let marks = side.marks;
    let kind = if marks & PROBE != 0 && side.kind == flow::PLAIN {
        flow::IGNORED
    } else {
        side.kind
    };
    flow::start(env, kind, side.since);
    side.kept = 0;
    if marks & DOUBT != 0 || (marks & HAS_CODING != 0 && (marks & CHUNKED == 0 || marks & HAS_LENGTH != 0)) {
        // Servers differ in where such a request ends, or refuse it (RFC 9112 section 6.3).
        lose(env, side);
    } else {
        begin_body(side, Phase::FIRST);
    }
}

/// Chunked, of a known length, or as `otherwise` says.
#[inline(always)]
fn begin_body(side: &mut Side, otherwise: Phase) {
    if side.marks & CHUNKED != 0 {
        side.phase = Phase::CHUNK;
    } else if side.marks & HAS_LENGTH != 0 && side.length != 0 {
        side.phase = Phase::BODY;
        side.rest = side.length;
    } else if side.marks & HAS_LENGTH != 0 {
        side.phase = Phase::FIRST;
    } else {
        side.phase = otherwise;
    }
}

#[inline(always)]
fn status_line<E: Env>(env: &mut E, side: &mut Side, line: Line) {
    if line.end == line.start && line.whole {
        return;
    }
    let (count, status) = digits3(word(&side.buffer, line.start + 8));
    let protocol = word(&side.buffer, line.start) & 0x00ff_ffff_ffff_ffff;
    if protocol != little(b"HTTP/1.\0") || !count {
        if flow::pending(env) == 0 && !flow::is_fresh(env) {
            lose(env, side);
        } else {
            go_opaque(env, side);
        }
        return;
    }
    side.status = status;
    side.marks = 0;
    side.length = 0;
    side.phase = Phase::FIELDS;
    if flow::next_kind(env).is_none() {
        answer_without_request(env, side);
    }
}

/// ` NNN` at the end of the protocol: whether it is one, and the number.
#[inline(always)]
const fn digits3(word: u64) -> (bool, u16) {
    let a = ((word >> 8) as u8).wrapping_sub(b'0');
    let b = ((word >> 16) as u8).wrapping_sub(b'0');
    let c = ((word >> 24) as u8).wrapping_sub(b'0');
    let good = word as u8 == b' ' && a < 10 && b < 10 && c < 10;
    (good, a as u16 * 100 + b as u16 * 10 + c as u16)
}

/// A response although nothing is pending: the request was missed, is not complete yet, or there is none.
#[inline(always)]
fn answer_without_request<E: Env>(env: &mut E, side: &mut Side) {
    let (seq, hints) = claim::look::<E, E>(env);
    if flow::next_kind(env).is_some() {
        // It was complete by then.
        return;
    }
    let busy = hints & claim::BUSY != 0;
    let missed = match env.received() {
        Some(received) => !busy && received.wrapping_sub(seq) as i32 > 0,
        None => false,
    };
    let lost = missed || busy || hints & claim::LOST != 0 || env.load(MODE) & MODE_WAS_LOST != 0;
    if lost || (side.status < 400 && hints & claim::IN_HEAD == 0) {
        // Nobody answers 2xx or 3xx unasked: the request was there.
        // While a segment is being read, another CPU may be about to start it.
        flow::doubt(env);
        flow::start_late(env, busy);
    } else if hints & claim::IN_HEAD != 0 {
        flow::start_late(env, true);
    } else {
        side.marks |= ORPHAN;
    }
}

#[inline(always)]
fn response_head<E: Env>(env: &mut E, side: &mut Side) {
    let status = side.status;
    let marks = side.marks;
    side.kept = 0;
    if status == 101 {
        if marks & ORPHAN == 0 {
            env.status(1);
        }
        tunnel(env, side);
        return;
    }
    if status < 200 {
        side.phase = Phase::FIRST;
        return;
    }
    let kind = match flow::next_kind(env) {
        Some(kind) => kind,
        None => flow::PLAIN,
    };
    if marks & ORPHAN == 0 && kind != flow::IGNORED {
        let class = status / 100;
        env.status(if class > 5 { 0 } else { class as u32 });
    }
    if kind == flow::CONNECT && status < 300 {
        tunnel(env, side);
    } else if kind == flow::HEAD || status == 204 || status == 304 {
        message_end::<E, false>(env, side);
    } else if marks & DOUBT != 0 || marks & HAS_CODING != 0 && marks & HAS_LENGTH != 0 {
        lose(env, side);
    } else {
        begin_body(side, Phase::UNTIL_CLOSE);
        if side.phase == Phase::BODY && env.load(MODE) & MODE_WAS_LOST != 0 {
            side.marks |= GUESS;
        }
        if side.marks & HAS_CODING != 0 && side.marks & CHUNKED == 0 {
            // A last coding other than chunked ends with the connection (RFC 9112 section 6.3).
            side.phase = Phase::UNTIL_CLOSE;
        } else if side.phase == Phase::FIRST {
            message_end::<E, false>(env, side);
        }
    }
}

/// Whether the buffer begins like a response.
#[inline(always)]
pub(crate) fn is_response(buffer: &[u8; BUFFER]) -> bool {
    word(buffer, 0) & 0x00ff_ffff_ffff_ffff == little(b"HTTP/1.\0") && byte(buffer, 8) == b' '
}

#[inline(always)]
fn tunnel<E: Env>(env: &mut E, side: &mut Side) {
    side.phase = Phase::TUNNEL;
    if env.or(MODE, MODE_TUNNEL) & MODE_TUNNEL == 0 {
        env.note(Note::Tunnel);
    }
}

/// A message's last byte has passed.
#[inline(always)]
pub(crate) fn message_end<E: Env, const REQUEST: bool>(env: &mut E, side: &mut Side) {
    side.phase = Phase::FIRST;
    side.kept = 0;
    if !REQUEST && side.marks & ORPHAN == 0 {
        flow::end(env);
    }
}

/// A chunk-size or trailer line.
#[inline(always)]
fn body_line<E: Env, const REQUEST: bool>(env: &mut E, side: &mut Side, line: Line) {
    if byte(&side.buffer, line.end) != b'\r' {
        // Servers differ in what a bare line feed ends here.
        lose(env, side);
        return;
    }
    if side.phase == Phase::TRAILER {
        if line.end == line.start && line.whole {
            message_end::<E, REQUEST>(env, side);
        }
        return;
    }
    match chunk_size(env, side, line) {
        None => lose(env, side),
        Some(0) => side.phase = Phase::TRAILER,
        Some(size) => {
            side.phase = Phase::DATA;
            side.rest = size + 2;
        }
    }
}

/// Hexadecimal digits, then the end, a space or an extension. None when it is none, or above 2^60.
#[inline(always)]
fn chunk_size<E: Env>(env: &E, side: &Side, line: Line) -> Option<u64> {
    let mut size = 0_u64;
    let mut i = 0;
    while i < 16 {
        let b = byte(&side.buffer, line.start + i);
        let digit = b.wrapping_sub(b'0');
        let letter = (b | 0x20).wrapping_sub(b'a');
        if digit < 10 {
            size = size << 4 | u64::from(digit);
        } else if letter < 6 {
            size = size << 4 | u64::from(letter + 10);
        } else {
            break;
        }
        i += 1;
    }
    let i = env.unknown(i);
    let after = line.start + i;
    let next = byte(&side.buffer, after);
    let good = after == line.end || next == b';' || next == b' ' || next == b'\t';
    if i == 0 || i == 16 || !good || after > line.end {
        None
    } else {
        Some(size)
    }
}
