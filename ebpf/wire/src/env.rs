// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! What the machine needs from its surroundings, as five small traits.
//!
//! Problem: the same source runs under the verifier and under a fuzzer. Mechanism: static dispatch over [`Env`];
//! the kernel implements it with helpers and map values, the host with slices and cells.
//! Invariants: every `Words` and `Slots` operation is one atomic access of an aligned u64.

use crate::line::BUFFER;

/// Longest segment that [`Bytes::keep`] takes.
pub const LARGEST_KEPT: u32 = 4096;

/// One step of a bounded loop.
pub trait Turn {
    /// Does a step; false = stop.
    fn turn(&mut self) -> bool;
}

/// The only loop there is (bpf_loop in the kernel).
pub trait Repeat {
    /// Takes turns until one says stop, `turns` at most.
    fn repeat<T: Turn>(turns: u32, turn: &mut T);
}

/// The words both directions of a connection share ([`crate::words`]).
pub trait Words {
    /// Reads word `w`.
    fn load(&self, w: usize) -> u64;
    /// Writes word `w`; for words with one writer.
    fn store(&self, w: usize, value: u64);
    /// Replaces `old` by `new`; true when `old` was there.
    fn compare_exchange(&self, w: usize, old: u64, new: u64) -> bool;
    /// Writes word `w` and tells what was there.
    fn swap(&self, w: usize, value: u64) -> u64;
    /// Reads word `w`, which is about to be changed: its cache line comes once, not twice.
    fn load_to_change(&self, w: usize) -> u64;
    /// Sets bits; the value before.
    fn or(&self, w: usize, bits: u64) -> u64;
    /// The same number; the verifier forgets what it knew of it, so that paths which differ in nothing else meet again.
    fn unknown(&self, number: u32) -> u32;
}

/// The stream slots of an HTTP/2 connection: [`crate::SLOTS`] words, and as many times.
pub trait Slots {
    /// Makes them if need be; false when they cannot be had.
    fn make_slots(&mut self) -> bool;
    /// Finds them if they were made; false when not.
    fn find_slots(&mut self) -> bool;
    /// Forgets where they are until the next `make_slots` or `find_slots`.
    fn leave_slots(&mut self);
    /// Reads slot `i` (taken modulo the number of slots).
    fn slot(&self, i: u32) -> u64;
    /// Replaces `old` by `new` in slot `i`; true when `old` was there.
    fn change_slot(&self, i: u32, old: u64, new: u64) -> bool;
    /// When the stream in slot `i` began.
    fn slot_time(&self, i: u32) -> u64;
    /// Sets when the stream in slot `i` began.
    fn set_slot_time(&self, i: u32, time: u64);
}

/// Where events are counted.
pub trait Tally {
    /// The time of this packet, ns.
    fn now(&mut self) -> u64;
    /// A request began.
    fn started(&mut self);
    /// `count` requests ended.
    fn ended(&mut self, count: u32);
    /// A request that ended took from `since` to now.
    fn measured(&mut self, since: u64);
    /// The class (1…5, 0 = unknown) of a final response.
    fn status(&mut self, class: u32);
    /// Anything else worth counting.
    fn note(&mut self, note: Note);
}

/// The bytes of the segment at hand.
pub trait Bytes {
    /// Copies `count` (1…[`crate::SPAN`]) bytes from `at` to `buffer[to..]` (`to` ≤ 64); false when they cannot be read.
    fn read(&mut self, at: u32, count: u32, buffer: &mut [u8; BUFFER], to: u32) -> bool;
    /// The next sequence number the stack of this side expects from its peer (`rcv_nxt`), where it can be known.
    fn received(&mut self) -> Option<u32>;
    /// Keeps a segment that arrived too early: `count` bytes at `at`, first sequence number `seq`. False = no room.
    fn keep(&mut self, seq: u32, at: u32, count: u32) -> bool;
    /// Makes the kept segment that continues `seq` the one at hand and tells the range to read; None = there is none.
    fn continue_from(&mut self, seq: u32) -> Option<(u32, u32)>;
}

/// All of it.
pub trait Env: Words + Slots + Tally + Bytes + Repeat {}
impl<T: Words + Slots + Tally + Bytes + Repeat> Env for T {}

/// Things counted beside starts and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// A request known first by its response.
    Late,
    /// The connection's counts may differ from the truth; told once a connection.
    Uncertain,
    /// A direction found its footing again.
    Resync,
    /// A segment did not continue its direction.
    Gap,
    /// The connection is counted as a connection from now on.
    Opaque,
    /// The connection speaks HTTP/2.
    Http2,
    /// The connection became a tunnel.
    Tunnel,
    /// Streams beyond the slots.
    Overflow,
    /// A request without a latency.
    Unmeasured,
    /// A probe's request, not counted.
    Probe,
    /// Requests that ended with their connection.
    Aborted(u32),
}
