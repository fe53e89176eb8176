// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! How many requests of a connection began and ended.
//!
//! Problem: the request side, the response side and the close of the socket run on different CPUs and must agree.
//! Mechanism: all of it is one word ([`crate::words::FLOW`]), changed by compare-and-swap.
//! Invariants: ended ≤ started; after CLOSED both stay as they are and equal. Each successful change is counted in the
//! tally exactly once by whoever made it.

use crate::env::{Env, Note, Words};
use crate::words::{CLOSED, COUNTER, EARLY, FLOW, KINDS, MODE, MODE_UNCERTAIN, RECENT, TIMES};

/// Three parties change the word; a try fails only when another one succeeded.
const TRIES: u32 = 4;
/// Start times kept.
const TIMES_KEPT: u32 = 8;
/// The bits of a start time that number its request: it is known to 256 ns.
const NUMBER: u64 = 0xff;
/// Kinds kept.
const KINDS_KEPT: u32 = 32;
const ENDED: u32 = 32;

/// A plain request.
pub(crate) const PLAIN: u8 = 0;
/// Its response has no body.
pub(crate) const HEAD: u8 = 1;
/// A 2xx response makes the connection a tunnel.
pub(crate) const CONNECT: u8 = 2;
/// A probe: nothing of it is counted.
pub(crate) const IGNORED: u8 = 3;

const fn started(flow: u64) -> u32 {
    (flow & COUNTER) as u32
}

const fn ended(flow: u64) -> u32 {
    (flow >> ENDED & COUNTER) as u32
}

const fn with_started(flow: u64, value: u32) -> u64 {
    flow & !COUNTER | value as u64 & COUNTER
}

const fn with_ended(flow: u64, value: u32) -> u64 {
    flow & !(COUNTER << ENDED) | (value as u64 & COUNTER) << ENDED
}

const fn open(flow: u64) -> u32 {
    started(flow).wrapping_sub(ended(flow)) & COUNTER as u32
}

/// Requests in flight on the connection, probes included.
pub fn pending<W: Words>(words: &W) -> u32 {
    open(words.load(FLOW))
}

/// Whether no request was ever seen.
#[inline(always)]
pub(crate) fn is_fresh<W: Words>(words: &W) -> bool {
    words.load(FLOW) & !CLOSED == 0
}

/// Tells once a connection that its counts may be off.
#[inline(always)]
pub(crate) fn doubt<E: Env>(env: &mut E) {
    if env.or(MODE, MODE_UNCERTAIN) & MODE_UNCERTAIN == 0 {
        env.note(Note::Uncertain);
    }
}

/// The head of a request of `kind` is complete; its first byte came at `since`.
#[inline(never)]
pub(crate) fn start<E: Env>(env: &mut E, kind: u8, since: u64) {
    let mut tries = 0;
    while tries < TRIES {
        tries += 1;
        let flow = env.load(FLOW);
        if flow & CLOSED != 0 {
            return;
        }
        if flow & EARLY != 0 {
            // Its response was counted before its head was complete.
            if env.compare_exchange(FLOW, flow, flow & !EARLY) {
                return;
            }
            continue;
        }
        let kind = remember(env, flow, kind, since);
        if env.compare_exchange(FLOW, flow, with_started(flow, started(flow).wrapping_add(1))) {
            if kind == IGNORED {
                env.note(Note::Probe);
            } else {
                env.started();
            }
            return;
        }
    }
    doubt(env);
}

/// Notes kind and start time of the request that will be number `started(flow)`. The kind it is taken for: with 32
/// pending, the slot still belongs to an older request and its kind stays.
#[inline(always)]
fn remember<E: Env>(env: &mut E, flow: u64, kind: u8, since: u64) -> u8 {
    let index = started(flow);
    let shift = index % KINDS_KEPT * 2;
    let kinds = env.load(KINDS);
    let new = kinds & !(3 << shift) | u64::from(kind) << shift;
    let mut taken_for = kind;
    if new != kinds {
        if open(flow) >= KINDS_KEPT {
            doubt(env);
            taken_for = (kinds >> shift) as u8 & 3;
        } else {
            env.store(KINDS, new);
        }
    }
    let time = since & !NUMBER | u64::from(index) & NUMBER;
    if open(flow) == 0 {
        env.store(RECENT, time);
    } else if open(flow) < TIMES_KEPT {
        env.store(TIMES + (index % TIMES_KEPT) as usize, time);
    }
    taken_for
}

/// Whether a kept start time is that of request number `index`. (A request 256 later, in a pipeline that never ran empty,
/// would be taken for it: its latency comes out too long.)
#[inline(always)]
const fn is_of(time: u64, index: u32) -> bool {
    time > NUMBER && (time ^ index as u64) & NUMBER == 0
}

/// Kind of the request that is to be answered next, None when none is pending.
#[inline(always)]
pub(crate) fn next_kind<W: Words>(words: &W) -> Option<u8> {
    let flow = words.load(FLOW);
    if open(flow) == 0 {
        return None;
    }
    Some((words.load(KINDS) >> (ended(flow) % KINDS_KEPT * 2)) as u8 & 3)
}

/// A response with nothing pending: starts its request now. `early`: the request side is still reading its head and
/// must not start it again.
#[inline(never)]
pub(crate) fn start_late<E: Env>(env: &mut E, early: bool) {
    let mut tries = 0;
    while tries < TRIES {
        tries += 1;
        let flow = env.load(FLOW);
        if flow & CLOSED != 0 || open(flow) != 0 {
            return;
        }
        // A plain kind, and no start time.
        let index = started(flow);
        let shift = index % KINDS_KEPT * 2;
        let kinds = env.load(KINDS);
        env.store(KINDS, kinds & !(3 << shift));
        env.store(RECENT, 0);
        env.store(TIMES + (index % TIMES_KEPT) as usize, 0);
        let mut new = with_started(flow, index.wrapping_add(1));
        if early {
            new |= EARLY;
        }
        if env.compare_exchange(FLOW, flow, new) {
            env.started();
            env.note(Note::Late);
            return;
        }
    }
    doubt(env);
}

/// The oldest pending request ended. Nothing happens when none is pending.
#[inline(never)]
pub(crate) fn end<E: Env>(env: &mut E) {
    let mut tries = 0;
    while tries < TRIES {
        tries += 1;
        let flow = env.load(FLOW);
        if flow & CLOSED != 0 || open(flow) == 0 {
            return;
        }
        let index = ended(flow);
        let kind = (env.load(KINDS) >> (index % KINDS_KEPT * 2)) as u8 & 3;
        let recent = env.load(RECENT);
        if env.compare_exchange(FLOW, flow, with_ended(flow, index.wrapping_add(1))) {
            if kind == IGNORED {
                return;
            }
            env.ended(1);
            if is_of(recent, index) {
                env.measured(recent);
                return;
            }
            let time = env.load(TIMES + (index % TIMES_KEPT) as usize);
            if is_of(time, index) {
                env.measured(time);
            } else {
                env.note(Note::Unmeasured);
            }
            return;
        }
    }
    doubt(env);
}

/// A stream began.
#[inline(never)]
pub(crate) fn start_stream<E: Env>(env: &mut E) -> bool {
    let mut tries = 0;
    while tries < TRIES {
        tries += 1;
        let flow = env.load(FLOW);
        if flow & CLOSED != 0 {
            return false;
        }
        if env.compare_exchange(FLOW, flow, with_started(flow, started(flow).wrapping_add(1))) {
            env.started();
            return true;
        }
    }
    doubt(env);
    false
}

/// A stream ended; `since` = 0 when its start is not known.
#[inline(never)]
pub(crate) fn end_stream<E: Env>(env: &mut E, since: u64) {
    let mut tries = 0;
    while tries < TRIES {
        tries += 1;
        let flow = env.load(FLOW);
        if flow & CLOSED != 0 || open(flow) == 0 {
            return;
        }
        if env.compare_exchange(FLOW, flow, with_ended(flow, ended(flow).wrapping_add(1))) {
            env.ended(1);
            if since == 0 {
                env.note(Note::Unmeasured);
            } else {
                env.measured(since);
            }
            return;
        }
    }
    doubt(env);
}

/// Ends all but the newest pending request: the response side lost track of which response it reads.
#[inline(always)]
pub(crate) fn end_all_but_newest<E: Env>(env: &mut E) {
    let flow = env.load(FLOW);
    let count = open(flow);
    if flow & CLOSED == 0
        && count > 1
        && env.compare_exchange(FLOW, flow, with_ended(flow, started(flow).wrapping_sub(1)))
    {
        let counted = count - 1 - ignored(env.load(KINDS), flow, count - 1);
        if counted != 0 {
            env.ended(counted);
        }
    }
}

/// The server sends nothing more: closes the account and ends what is pending. `finished`: the oldest pending request
/// ended as it should (its body ended with the connection, or it was a tunnel).
#[inline(never)]
pub(crate) fn close<E: Env>(env: &mut E, finished: bool) {
    if finished {
        end(env);
    }
    let mut tries = 0;
    while tries < TRIES {
        tries += 1;
        let flow = env.load(FLOW);
        if flow & CLOSED != 0 {
            return;
        }
        let count = open(flow);
        if env.compare_exchange(FLOW, flow, with_ended(flow, started(flow)) & !EARLY | CLOSED) {
            let counted = count - ignored(env.load(KINDS), flow, count);
            if counted != 0 {
                env.ended(counted);
                env.note(Note::Aborted(counted));
            }
            return;
        }
    }
    // Unreachable in practice: an account that cannot be closed would stay in flight for ever.
    doubt(env);
}

/// Of the `count` oldest pending requests, those that are probes. Beyond 32, kinds repeat.
#[inline(always)]
const fn ignored(kinds: u64, flow: u64, count: u32) -> u32 {
    let oldest_first = kinds.rotate_right(ended(flow) % KINDS_KEPT * 2);
    let both_bits = oldest_first & oldest_first >> 1 & 0x5555_5555_5555_5555;
    let whole_rounds = count / KINDS_KEPT * ones(both_bits);
    let rest = count % KINDS_KEPT;
    whole_rounds + ones(both_bits & ((1 << (2 * rest)) - 1))
}

/// Bits set among the even ones.
#[inline(always)]
const fn ones(even: u64) -> u32 {
    let fours = (even & 0x1111_1111_1111_1111) + (even >> 2 & 0x1111_1111_1111_1111);
    let bytes = (fours & 0x0f0f_0f0f_0f0f_0f0f) + (fours >> 4 & 0x0f0f_0f0f_0f0f_0f0f);
    (bytes.wrapping_mul(0x0101_0101_0101_0101) >> 56) as u32
}
