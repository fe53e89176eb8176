// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! The cgroup_skb programs: [`wire`] over a packet, with the connection's state and the pod's counters around it.

use core::ptr::null_mut;

use aya_ebpf::bindings::{__sk_buff, bpf_sock};
use aya_ebpf::cty::c_void;
use aya_ebpf::helpers::generated::{
    bpf_loop, bpf_probe_read_kernel, bpf_sk_fullsock, bpf_skb_load_bytes, bpf_tcp_sock,
};
use wire::claim::{self, Claim, PATIENCE};
use wire::{BUFFER, Bytes, Note, Repeat, SLOTS, SPAN, Segment, Side, Slots, Tally, Turn, Words, words};

use crate::account::{self, Account};
use crate::atomic;
use crate::connection::{Connection, HANDSHAKE_BYTES, KEPT, KEPT_BYTES, KEPT_ROOM, Kept, STASHES, Stash, Streams};
use crate::maps::{CONNECTIONS, HANDSHAKE, STASH, STASH_2, STASH_3, STASH_4, STREAMS, make, storage, take_away};
use crate::packet;

/// TCP_SYN_RECV (include/net/tcp_states.h): a new socket whose establishment has not been told yet.
const SYN_RECV: u32 = 3;
/// TCP_LISTEN.
const LISTEN: u32 = 10;

/// Bytes come from the packet.
const PACKET: u8 = 0;
/// Bytes come from what was kept before the connection was known.
const EARLY: u8 = 1;
/// There are no bytes.
const NOTHING: u8 = 2;

/// What surrounds the machine while one packet is read.
pub(crate) struct Surroundings<const FROM: u8> {
    /// The packet, if bytes come from it.
    skb: *mut __sk_buff,
    sk: *mut bpf_sock,
    connection: *mut Connection,
    /// The side at hand; its scratch words keep what the verifier need not know.
    side: *mut Side,
    account: Account,
    /// Null but while a frame is dealt with.
    streams: *mut Streams,
}

/// Requests.
#[inline(always)]
pub(crate) fn ingress(skb: *mut __sk_buff) {
    let Some(packet) = packet::parse(skb) else { return };
    // Pure acknowledgements leave here.
    let length = packet.length();
    if length == 0 {
        return;
    }
    let Some(sk) = socket(skb) else { return };
    // Before the look-up: a socket that is established has what it will ever have.
    // SAFETY: a full socket.
    let state = unsafe { (*sk).state };
    let mut connection = storage(&CONNECTIONS, sk, 0);
    if connection.is_null() {
        if !keep_early(skb, sk, state, &packet) {
            return;
        }
        // It was established meanwhile, perhaps by who did not wait for what was kept. Read twice, it counts once.
        connection = storage(&CONNECTIONS, sk, 0);
        if connection.is_null() {
            return;
        }
    }
    // SAFETY: a map value; the claim makes this CPU its only user.
    let side = unsafe { &raw mut (*connection).request };
    let Some(mut around) = Surroundings::<PACKET>::of(skb, sk, connection, side) else {
        return;
    };
    around.account.bytes_in(length);
    // SAFETY: as above.
    wire::request(&mut around, unsafe { &mut *side }, packet.segment);
}

/// Responses.
#[inline(always)]
pub(crate) fn egress(skb: *mut __sk_buff) {
    let Some(packet) = packet::parse(skb) else { return };
    let length = packet.length();
    if length == 0 && !packet.fin() {
        return;
    }
    let Some(sk) = socket(skb) else { return };
    let connection = storage(&CONNECTIONS, sk, 0);
    if connection.is_null() {
        return;
    }
    // SAFETY: a map value; segments are sent under the socket's lock.
    let side = unsafe { &raw mut (*connection).response };
    let Some(mut around) = Surroundings::<PACKET>::of(skb, sk, connection, side) else {
        return;
    };
    around.account.bytes_out(length);
    // SAFETY: as above.
    wire::response(&mut around, unsafe { &mut *side }, packet.segment, packet.fin());
}

#[inline(always)]
fn socket(skb: *mut __sk_buff) -> Option<*mut bpf_sock> {
    // SAFETY: a context field; null is checked as the verifier demands.
    unsafe {
        let sk = (*skb).__bindgen_anon_2.sk;
        if sk.is_null() {
            return None;
        }
        let sk = bpf_sk_fullsock(sk);
        if sk.is_null() { None } else { Some(sk) }
    }
}

/// Data before its connection is known. True: it may be known now.
#[inline(never)]
fn keep_early(skb: *mut __sk_buff, sk: *mut bpf_sock, state: u32, packet: &packet::Packet) -> bool {
    if state == LISTEN {
        keep_handshake(skb, packet);
        return false;
    }
    if state != SYN_RECV || packet.syn() {
        return false;
    }
    keep_overtaking(skb, sk, packet.segment);
    true
}

/// Data on the last packet of a handshake, or in a SYN (Fast Open), passes with the listener; the new socket's state
/// is made a moment later on this CPU and asks for it there.
#[inline(always)]
fn keep_handshake(skb: *mut __sk_buff, packet: &packet::Packet) {
    let Some(kept) = HANDSHAKE.get_ptr_mut(0) else { return };
    let Some(count) = size(packet.length(), HANDSHAKE_BYTES as u32) else {
        return;
    };
    // SAFETY: a map value of this CPU; packets of one CPU are filtered one after another.
    unsafe {
        (*kept).length = 0;
        if bpf_skb_load_bytes(skb.cast(), packet.segment.at, (&raw mut (*kept).bytes).cast(), count) == 0 {
            (*kept).port = u32::from(packet.source_port);
            (*kept).seq = packet.segment.seq.wrapping_add(u32::from(packet.syn()));
            (*kept).length = count;
        }
    }
}

/// Most pieces of a segment that are kept before its connection is known: as many as a stash has room for.
const PIECES: u32 = 3;

/// The new socket is there, but another CPU has not told of its establishment yet (it is at it, or was taken away in the
/// middle): keeps the segment, or its beginning, in the socket's stash. Whether a pod is concerned is not known here: the
/// establishment takes away what is not needed.
#[inline(always)]
fn keep_overtaking(skb: *mut __sk_buff, sk: *mut bpf_sock, segment: Segment) {
    let stash = make(&STASH, sk, null_mut());
    if stash.is_null() {
        return;
    }
    // SAFETY: a map value.
    let guard = unsafe { &raw mut (*stash).guard };
    let mut guarding = Guarding { guard, is_ours: false };
    if guarding.turn() {
        Surroundings::<PACKET>::repeat(PATIENCE, &mut guarding);
    }
    if !guarding.is_ours {
        return;
    }
    // Once it is there, the stash belongs to who holds its claim.
    if storage(&CONNECTIONS, sk, 0).is_null() {
        let mut at = 0;
        while at < PIECES * KEPT_BYTES as u32 {
            let left = segment.end.wrapping_sub(segment.at).wrapping_sub(at);
            let count = if left < KEPT_BYTES as u32 {
                left
            } else {
                KEPT_BYTES as u32
            };
            if left as i32 <= 0 || !keep(skb, stash, segment.seq.wrapping_add(at), segment.at + at, count) {
                break;
            }
            at += KEPT_BYTES as u32;
        }
    }
    atomic::swap(guard, 0);
}

/// Tries to become the only one at a stash.
struct Guarding {
    guard: *mut u64,
    is_ours: bool,
}

impl Turn for Guarding {
    #[inline(always)]
    fn turn(&mut self) -> bool {
        self.is_ours = atomic::swap(self.guard, 1) == 0;
        !self.is_ours
    }
}

/// Waits until nobody is at a stash who does not know of the connection.
struct Waiting {
    guard: *mut u64,
}

impl Turn for Waiting {
    #[inline(always)]
    fn turn(&mut self) -> bool {
        atomic::add_and_get(self.guard, 0) != 0
    }
}

/// Reads what passed before the connection was known, with the listener or with its own socket, and gives the claim back,
/// with which the connection came into being. `port` is the peer's, `seq` the first byte wanted.
#[inline(always)]
pub(crate) fn read_early(sk: *mut bpf_sock, connection: *mut Connection, port: u32, seq: u32) {
    // SAFETY: a map value, whose claim is ours.
    let side = unsafe { &raw mut (*connection).request };
    let Some(mut around) = Surroundings::<EARLY>::of(null_mut(), sk, connection, side) else {
        return;
    };
    let end = handshake_bytes(port, seq);
    // A full barrier: who kept something before the connection could be found is found below, or finds it.
    around.load_to_change(words::CLAIM);
    let stash = storage(&STASH, sk, 0);
    if end == 0 && stash.is_null() {
        claim::release(&around, seq, 0);
        return;
    }
    if !stash.is_null() {
        // SAFETY: a map value.
        let guard = unsafe { &raw mut (*stash).guard };
        let mut waiting = Waiting { guard };
        if waiting.turn() {
            Surroundings::<EARLY>::repeat(PATIENCE, &mut waiting);
        }
        // SAFETY: as above.
        unsafe { (*side).has_kept = 1 };
    }
    around.account.bytes_in(end);
    let segment = Segment { seq, at: 0, end };
    // SAFETY: as above.
    let (next, hints) = wire::read_claimed(&mut around, unsafe { &mut *side }, segment, Claim { seq });
    claim::release(&around, next, hints);
}

/// How many bytes of a connection were kept of its handshake's last packet; they are given once.
#[inline(always)]
fn handshake_bytes(port: u32, seq: u32) -> u32 {
    let Some(kept) = HANDSHAKE.get_ptr_mut(0) else { return 0 };
    // SAFETY: a map value of this CPU.
    unsafe {
        let length = (*kept).length;
        if length == 0 || (*kept).port != port || (*kept).seq != seq || length > HANDSHAKE_BYTES as u32 {
            return 0;
        }
        (*kept).length = 0;
        length
    }
}

/// Nothing of this socket will be read.
#[inline(always)]
pub(crate) fn forget_early(sk: *mut bpf_sock) {
    take_away(&STASH, sk);
}

/// The connection is over.
#[inline(always)]
pub(crate) fn close(connection: *mut Connection) {
    // SAFETY: a map value.
    let side = unsafe { &raw mut (*connection).response };
    let Some(mut around) = Surroundings::<NOTHING>::of(null_mut(), null_mut(), connection, side) else {
        return;
    };
    // SAFETY: as above.
    wire::close_connection(&mut around, unsafe { &mut *side });
    around.account.closed();
}

/// The connection counts as one request from now on; gives the claim back, with which it came into being.
#[inline(always)]
pub(crate) fn count_connection(connection: *mut Connection, seq: u32) {
    // SAFETY: a map value, whose claim is ours.
    let side = unsafe { &raw mut (*connection).request };
    let Some(mut around) = Surroundings::<NOTHING>::of(null_mut(), null_mut(), connection, side) else {
        return;
    };
    // SAFETY: as above.
    wire::count_connection(&mut around, unsafe { &mut *side });
    claim::release(&around, seq, 0);
}

/// A size of 1…`limit`, in the form that every verifier follows: before Linux 6.8 it learns nothing from `!= 0`.
#[inline(always)]
fn size(count: u32, limit: u32) -> Option<u32> {
    let less = visible(count.wrapping_sub(1));
    if less >= limit { None } else { Some(less + 1) }
}

/// Hides where a number came from, so that the check after it stays and the verifier sees it. (An empty `asm!` would do
/// it for nothing, but leaves two line records at one instruction, which the kernel refuses.)
#[inline(always)]
pub(crate) fn visible(number: u32) -> u32 {
    // SAFETY: a local.
    unsafe { core::ptr::read_volatile(&raw const number) }
}

impl<const FROM: u8> Surroundings<FROM> {
    #[inline(always)]
    fn of(skb: *mut __sk_buff, sk: *mut bpf_sock, connection: *mut Connection, side: *mut Side) -> Option<Self> {
        // SAFETY: a map value.
        let account = Account::of(unsafe { (*connection).pod })?;
        Some(Self {
            skb,
            sk,
            connection,
            side,
            account,
            streams: null_mut(),
        })
    }

    #[inline(always)]
    fn word(&self, w: usize) -> *mut u64 {
        // SAFETY: a map value; indices are constants or masked below the array's length.
        unsafe {
            (&raw mut (*self.connection).words)
                .cast::<u64>()
                .add(w & (words::COUNT - 1))
        }
    }

    #[inline(always)]
    fn slot_word(&self, i: u32) -> *mut u64 {
        // SAFETY: a map value; masked.
        unsafe { (&raw mut (*self.streams).slots).cast::<u64>().add((i % SLOTS) as usize) }
    }
}

impl<const FROM: u8> Words for Surroundings<FROM> {
    #[inline(always)]
    fn load(&self, w: usize) -> u64 {
        atomic::load(self.word(w))
    }
    #[inline(always)]
    fn store(&self, w: usize, value: u64) {
        if w == words::CLAIM {
            atomic::swap(self.word(w), value);
        } else {
            atomic::store(self.word(w), value);
        }
    }
    #[inline(always)]
    fn compare_exchange(&self, w: usize, old: u64, new: u64) -> bool {
        atomic::compare_exchange(self.word(w), old, new)
    }
    #[inline(always)]
    fn swap(&self, w: usize, value: u64) -> u64 {
        atomic::swap(self.word(w), value)
    }
    #[inline(always)]
    fn load_to_change(&self, w: usize) -> u64 {
        atomic::add_and_get(self.word(w), 0)
    }
    #[inline(always)]
    fn or(&self, w: usize, bits: u64) -> u64 {
        let word = self.word(w);
        let before = atomic::load(word);
        if before & bits == bits {
            before
        } else {
            atomic::or(word, bits)
        }
    }
    #[inline(always)]
    fn unknown(&self, number: u32) -> u32 {
        // SAFETY: a map value that only this program run uses.
        let scratch = unsafe { &raw mut (*self.side).scratch };
        atomic::store(scratch, u64::from(number));
        atomic::load(scratch) as u32
    }
}

impl<const FROM: u8> Slots for Surroundings<FROM> {
    #[inline(always)]
    fn make_slots(&mut self) -> bool {
        if self.streams.is_null() && !self.sk.is_null() {
            self.streams = make(&STREAMS, self.sk, null_mut());
            if self.streams.is_null() {
                self.account.storage_failed();
            }
        }
        !self.streams.is_null()
    }
    #[inline(always)]
    fn find_slots(&mut self) -> bool {
        if self.streams.is_null() && !self.sk.is_null() {
            self.streams = storage(&STREAMS, self.sk, 0);
        }
        !self.streams.is_null()
    }
    #[inline(always)]
    fn leave_slots(&mut self) {
        self.streams = null_mut();
    }
    #[inline(always)]
    fn slot(&self, i: u32) -> u64 {
        if self.streams.is_null() {
            0
        } else {
            atomic::load(self.slot_word(i))
        }
    }
    #[inline(always)]
    fn change_slot(&self, i: u32, old: u64, new: u64) -> bool {
        !self.streams.is_null() && atomic::compare_exchange(self.slot_word(i), old, new)
    }
    #[inline(always)]
    fn slot_time(&self, i: u32) -> u64 {
        if self.streams.is_null() {
            return 0;
        }
        // SAFETY: a map value; masked.
        atomic::load(unsafe {
            (&raw const (*self.streams).times)
                .cast::<u64>()
                .add((i % SLOTS) as usize)
        })
    }
    #[inline(always)]
    fn set_slot_time(&self, i: u32, time: u64) {
        if self.streams.is_null() {
            return;
        }
        // SAFETY: a map value; masked.
        atomic::store(
            unsafe { (&raw mut (*self.streams).times).cast::<u64>().add((i % SLOTS) as usize) },
            time,
        );
    }
}

impl<const FROM: u8> Tally for Surroundings<FROM> {
    #[inline(always)]
    fn now(&mut self) -> u64 {
        // SAFETY: a map value that only this program run uses.
        let now = unsafe { &raw mut (*self.side).now };
        if atomic::load(now) == 0 {
            atomic::store(now, account::now());
        }
        atomic::load(now)
    }
    #[inline(always)]
    fn started(&mut self) {
        let now = self.now();
        self.account.started(now);
    }
    #[inline(always)]
    fn ended(&mut self, count: u32) {
        let now = self.now();
        self.account.ended(count, now);
    }
    #[inline(always)]
    fn measured(&mut self, since: u64) {
        let now = self.now();
        self.account.measured(now.wrapping_sub(since));
    }
    #[inline(always)]
    fn status(&mut self, class: u32) {
        self.account.status(class);
    }
    #[inline(always)]
    fn note(&mut self, note: Note) {
        self.account.note(note);
    }
}

impl<const FROM: u8> Bytes for Surroundings<FROM> {
    #[inline(always)]
    fn read(&mut self, at: u32, count: u32, buffer: &mut [u8; BUFFER], to: u32) -> bool {
        let Some(count) = size(count, SPAN) else { return false };
        let to = visible(to);
        if to > 64 {
            return false;
        }
        // SAFETY: to + count ≤ 192 < BUFFER; the sources are checked below.
        unsafe {
            let into = buffer.as_mut_ptr().add(to as usize).cast::<c_void>();
            let kept = (*self.side).reading_kept;
            if FROM == EARLY && kept == 0 {
                let Some(handshake) = HANDSHAKE.get_ptr(0) else {
                    return false;
                };
                let at = visible(at) as usize;
                if at > HANDSHAKE_BYTES {
                    return false;
                }
                let from = (&raw const (*handshake).bytes).cast::<u8>().add(at);
                return bpf_probe_read_kernel(into, count, from.cast()) == 0;
            }
            if kept != 0 {
                let stash = stash(self.sk, kept - 1);
                let at = visible(at) as usize;
                if stash.is_null() || at > KEPT_ROOM {
                    return false;
                }
                let from = (&raw const (*stash).bytes).cast::<u8>().add(at);
                return bpf_probe_read_kernel(into, count, from.cast()) == 0;
            }
            FROM == PACKET && bpf_skb_load_bytes(self.skb.cast(), at, into, count) == 0
        }
    }

    #[inline(always)]
    fn received(&mut self) -> Option<u32> {
        if FROM == NOTHING {
            return None;
        }
        // SAFETY: a full socket; null is checked as the verifier demands.
        unsafe {
            let tcp = bpf_tcp_sock(self.sk);
            if tcp.is_null() { None } else { Some((*tcp).rcv_nxt) }
        }
    }

    #[inline(always)]
    fn keep(&mut self, seq: u32, at: u32, count: u32) -> bool {
        if FROM != PACKET {
            return false;
        }
        let mut which = 0;
        while which < STASHES {
            let stash = made_stash(self.sk, which);
            which += 1;
            if stash.is_null() {
                self.account.storage_failed();
                return false;
            }
            if is_free(stash) && keep(self.skb, stash, seq, at, count) {
                return true;
            }
        }
        false
    }

    #[inline(always)]
    fn continue_from(&mut self, seq: u32) -> Option<(u32, u32)> {
        if FROM == NOTHING {
            return None;
        }
        let mut which = 0;
        while which < STASHES {
            let stash = stash(self.sk, which);
            which += 1;
            if stash.is_null() {
                return None;
            }
            if !is_free(stash) {
                continue;
            }
            let found = continuation(stash, self.side, seq);
            if found != 0 {
                // SAFETY: a map value; the claim is held.
                unsafe { (*self.side).reading_kept = which };
                let (at, end) = (found as u32, (found >> 32) as u32);
                if FROM == EARLY {
                    self.account.bytes_in(end.wrapping_sub(at));
                }
                return Some((at, end));
            }
        }
        None
    }
}

/// One of a connection's stashes; null when it is not there.
#[inline(always)]
fn stash(sk: *mut bpf_sock, which: u32) -> *mut Stash {
    match which {
        0 => storage(&STASH, sk, 0),
        1 => storage(&STASH_2, sk, 0),
        2 => storage(&STASH_3, sk, 0),
        _ => storage(&STASH_4, sk, 0),
    }
}

/// The same, made if need be; null when it cannot be had.
#[inline(always)]
fn made_stash(sk: *mut bpf_sock, which: u32) -> *mut Stash {
    match which {
        0 => make(&STASH, sk, null_mut()),
        1 => make(&STASH_2, sk, null_mut()),
        2 => make(&STASH_3, sk, null_mut()),
        _ => make(&STASH_4, sk, null_mut()),
    }
}

/// Whether nobody without a claim is at it: one who was taken away in the middle of [`keep_overtaking`].
#[inline(always)]
fn is_free(stash: *mut Stash) -> bool {
    // SAFETY: a map value.
    atomic::load(unsafe { &raw mut (*stash).guard }) == 0
}

/// Where a kept segment that continues `seq` stands in the stash: `at | end << 32`, 0 = none.
#[inline(never)]
fn continuation(stash: *mut Stash, side: *mut Side, seq: u32) -> u64 {
    // SAFETY: map values; the claim is held.
    unsafe {
        if (*stash).count == 0 {
            return 0;
        }
        (*side).slot = 0;
        (*side).found = 0;
        (*side).live = 0;
        Surroundings::<PACKET>::repeat(KEPT as u32 + 1, &mut Search { stash, side, seq });
        if (*side).live == 0 {
            // The bytes found are read before anything else is kept.
            (*stash).count = 0;
            (*stash).used = 0;
        }
        (*side).found
    }
}

/// Looks for the kept segment that continues `seq`; old ones are dropped.
struct Search {
    stash: *mut Stash,
    /// Its `slot`, `found` and `live` are the state of the search.
    side: *mut Side,
    seq: u32,
}

impl Turn for Search {
    #[inline(always)]
    fn turn(&mut self) -> bool {
        // SAFETY: map values under the claim; the index is below the array's length.
        unsafe {
            let side = self.side;
            let i = (*side).slot as usize;
            if i >= KEPT {
                return false;
            }
            (*side).slot += 1;
            let kept = (&raw mut (*self.stash).kept).cast::<Kept>().add(i);
            let length = u32::from((*kept).length);
            if length == 0 {
                return true;
            }
            let skip = self.seq.wrapping_sub((*kept).seq);
            if (skip as i32) < 0 || (skip < length && (*side).found != 0) {
                (*side).live += 1;
                return true;
            }
            if skip < length {
                let at = u32::from((*kept).at);
                (*side).found = u64::from(at + skip) | u64::from(at + length) << 32;
            }
            (*kept).length = 0;
        }
        true
    }
}

/// Copies a segment into the stash.
#[inline(never)]
fn keep(skb: *mut __sk_buff, stash: *mut Stash, seq: u32, at: u32, count: u32) -> bool {
    let Some(count) = size(count, KEPT_BYTES as u32) else {
        return false;
    };
    // SAFETY: a map value under the claim; used + count ≤ KEPT_ROOM is checked in two parts that the verifier can add.
    unsafe {
        let used = visible((*stash).used);
        let entry = visible((*stash).count);
        if used > (KEPT_ROOM - KEPT_BYTES) as u32 || entry >= KEPT as u32 {
            return false;
        }
        let into = (&raw mut (*stash).bytes).cast::<u8>().add(used as usize);
        if bpf_skb_load_bytes(skb.cast(), at, into.cast(), count) != 0 {
            return false;
        }
        (*stash).used = used + count;
        if entry != 0 {
            // Small segments one after another take one entry.
            let last = (&raw mut (*stash).kept).cast::<Kept>().add((entry - 1) as usize);
            let length = u32::from((*last).length);
            if length != 0 && (*last).seq.wrapping_add(length) == seq && u32::from((*last).at) + length == used {
                (*last).length = (length + count) as u16;
                return true;
            }
        }
        let kept = (&raw mut (*stash).kept).cast::<Kept>().add(entry as usize);
        kept.write(Kept {
            seq,
            at: used as u16,
            length: count as u16,
        });
        (*stash).count = entry + 1;
    }
    true
}

impl<const FROM: u8> Repeat for Surroundings<FROM> {
    #[inline(always)]
    fn repeat<T: Turn>(turns: u32, turn: &mut T) {
        // SAFETY: the callback gets back the pointer it is given, while this frame lives.
        unsafe { bpf_loop(turns, step::<T> as *mut c_void, (&raw mut *turn).cast(), 0) };
    }
}

#[inline(never)]
unsafe extern "C" fn step<T: Turn>(_index: u32, turn: *mut T) -> i64 {
    // SAFETY: see `repeat`.
    if unsafe { (*turn).turn() } { 0 } else { 1 }
}
