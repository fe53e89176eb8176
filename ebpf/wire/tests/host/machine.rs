// SPDX-License-Identifier: Apache-2.0
//! The machine's surroundings on the host, and one connection seen by it.
//!
//! Problem: `wire` is driven by kernel hooks; here by segments in memory. Mechanism: [`Host`] implements every trait of
//! `wire::env` with cells, a packet, and a stash of the kernel's size; it keeps every event. [`Connection`] adds the
//! two sides. Invariants: every event is checked as it is told: started ≥ ended at every moment.
//! Depends on: wire.

use std::cell::Cell;
use wire::words::{CLAIM, COUNT};
use wire::{BUFFER, Bytes, Note, Repeat, SLOTS, SPAN, Segment, Side, Slots, Tally, Turn, Words};

/// Kept segments and bytes, as in the kernel's storage.
const STASH_ENTRIES: usize = 8;
const STASH_BYTES: usize = 7936;
const STASH_SEGMENT: usize = 4096;

/// What the machine told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Started,
    Ended(u32),
    Status(u32),
    Note(Note),
}

#[derive(Debug)]
enum Hand {
    Packet,
    Kept(usize),
}

#[derive(Debug)]
struct Kept {
    seq: u32,
    bytes: Vec<u8>,
}

/// Everything a connection's programs would find in the kernel.
#[derive(Debug)]
pub struct Host {
    words: [Cell<u64>; COUNT],
    slots: Option<Vec<Cell<u64>>>,
    /// The slots were looked up, as the kernel's storage must be before use.
    at_slots: bool,
    times: Vec<Cell<u64>>,
    packet: Vec<u8>,
    hand: Hand,
    stash: Vec<Kept>,
    /// `rcv_nxt` of the receiving stack.
    pub received: Option<u32>,
    /// False: the slots cannot be had.
    pub has_memory: bool,
    clock: u64,
    pub events: Vec<Event>,
    pub started: u64,
    pub ended: u64,
    pub measured: u64,
    pub reads: u64,
}

impl Host {
    fn new() -> Self {
        Self {
            words: [const { Cell::new(0) }; COUNT],
            slots: None,
            at_slots: false,
            times: vec![Cell::new(0); SLOTS as usize],
            packet: Vec::new(),
            hand: Hand::Packet,
            stash: Vec::new(),
            received: None,
            has_memory: true,
            clock: 1_000_000,
            events: Vec::new(),
            started: 0,
            ended: 0,
            measured: 0,
            reads: 0,
        }
    }

    fn slot_cell(&self, i: u32) -> Option<&Cell<u64>> {
        if !self.at_slots {
            return None;
        }
        self.slots.as_ref().map(|slots| &slots[(i % SLOTS) as usize])
    }

    fn put(&mut self, packet: &[u8]) {
        self.packet.clear();
        self.packet.extend_from_slice(packet);
        self.hand = Hand::Packet;
        self.clock += 1000;
    }
}

impl Words for Host {
    fn load(&self, w: usize) -> u64 {
        self.words[w].get()
    }
    fn store(&self, w: usize, value: u64) {
        self.words[w].set(value);
    }
    fn compare_exchange(&self, w: usize, old: u64, new: u64) -> bool {
        let same = self.words[w].get() == old;
        if same {
            self.words[w].set(new);
        }
        same
    }
    fn swap(&self, w: usize, value: u64) -> u64 {
        self.words[w].replace(value)
    }
    fn load_to_change(&self, w: usize) -> u64 {
        self.load(w)
    }
    fn or(&self, w: usize, bits: u64) -> u64 {
        self.words[w].replace(self.words[w].get() | bits)
    }
    fn unknown(&self, number: u32) -> u32 {
        number
    }
}

impl Slots for Host {
    fn make_slots(&mut self) -> bool {
        if self.has_memory && self.slots.is_none() {
            self.slots = Some(vec![Cell::new(0); SLOTS as usize]);
        }
        self.find_slots()
    }
    fn find_slots(&mut self) -> bool {
        self.at_slots = self.slots.is_some();
        self.at_slots
    }
    fn leave_slots(&mut self) {
        self.at_slots = false;
    }
    fn slot(&self, i: u32) -> u64 {
        self.slot_cell(i).map_or(0, Cell::get)
    }
    fn change_slot(&self, i: u32, old: u64, new: u64) -> bool {
        let Some(slot) = self.slot_cell(i) else { return false };
        let same = slot.get() == old;
        if same {
            slot.set(new);
        }
        same
    }
    fn slot_time(&self, i: u32) -> u64 {
        self.times[(i % SLOTS) as usize].get()
    }
    fn set_slot_time(&self, i: u32, time: u64) {
        self.times[(i % SLOTS) as usize].set(time);
    }
}

impl Tally for Host {
    fn now(&mut self) -> u64 {
        self.clock
    }
    fn started(&mut self) {
        self.started += 1;
        self.events.push(Event::Started);
    }
    fn ended(&mut self, count: u32) {
        self.ended += u64::from(count);
        self.events.push(Event::Ended(count));
        assert!(
            self.ended <= self.started,
            "ended {} of {} started",
            self.ended,
            self.started
        );
    }
    fn measured(&mut self, since: u64) {
        assert!(
            since <= self.clock && since + 256 > 1_000_000,
            "a start time out of nowhere: {since}"
        );
        self.measured += 1;
    }
    fn status(&mut self, class: u32) {
        self.events.push(Event::Status(class));
    }
    fn note(&mut self, note: Note) {
        self.events.push(Event::Note(note));
    }
}

impl Bytes for Host {
    fn read(&mut self, at: u32, count: u32, buffer: &mut [u8; BUFFER], to: u32) -> bool {
        assert!(
            (1..=SPAN).contains(&count) && to <= 64,
            "a read the kernel's verifier forbids: {count} to {to}"
        );
        self.reads += 1;
        let bytes = match self.hand {
            Hand::Packet => &self.packet,
            Hand::Kept(i) => &self.stash[i].bytes,
        };
        let Some(from) = bytes.get(at as usize..(at + count) as usize) else {
            return false;
        };
        buffer[to as usize..(to + count) as usize].copy_from_slice(from);
        true
    }
    fn received(&mut self) -> Option<u32> {
        self.received
    }
    fn keep(&mut self, seq: u32, at: u32, count: u32) -> bool {
        let used: usize = self.stash.iter().map(|kept| kept.bytes.len()).sum();
        if count as usize > STASH_SEGMENT || self.stash.len() >= STASH_ENTRIES || used + count as usize > STASH_BYTES {
            return false;
        }
        let bytes = self.packet[at as usize..(at + count) as usize].to_vec();
        self.stash.push(Kept { seq, bytes });
        true
    }
    fn continue_from(&mut self, seq: u32) -> Option<(u32, u32)> {
        // What is wholly old is given up first, but never the one at hand's index: it is found again below.
        self.stash
            .retain(|kept| kept.seq.wrapping_add(kept.bytes.len() as u32).wrapping_sub(seq) as i32 > 0);
        let i = self
            .stash
            .iter()
            .position(|kept| kept.seq.wrapping_sub(seq) as i32 <= 0)?;
        let kept = &self.stash[i];
        self.hand = Hand::Kept(i);
        Some((seq.wrapping_sub(kept.seq), kept.bytes.len() as u32))
    }
}

impl Repeat for Host {
    fn repeat<T: Turn>(turns: u32, turn: &mut T) {
        for _ in 0..turns {
            if !turn.turn() {
                return;
            }
        }
    }
}

/// A connection as the hooks see it. Offsets are bytes of each direction's stream.
#[derive(Debug)]
pub struct Connection {
    pub host: Host,
    request: Side,
    response: Side,
    client_isn: u32,
    server_isn: u32,
}

impl Connection {
    /// Sequence numbers begin at these.
    pub fn new(client_isn: u32, server_isn: u32) -> Self {
        let host = Host::new();
        host.store(CLAIM, u64::from(client_isn));
        let response = Side {
            seq: server_isn,
            ..Side::default()
        };
        Self {
            host,
            request: Side::default(),
            response,
            client_isn,
            server_isn,
        }
    }

    /// A connection whose sequence numbers wrap early.
    pub fn established() -> Self {
        let mut connection = Self::new(u32::MAX - 40, u32::MAX - 70);
        connection.stack_has(0);
        connection
    }

    /// The receiving stack now has the client's bytes below `offset`.
    pub fn stack_has(&mut self, offset: usize) {
        self.host.received = Some(self.client_isn.wrapping_add(offset as u32));
    }

    /// A segment from the client passes ingress.
    pub fn client(&mut self, offset: usize, bytes: &[u8]) {
        // The kernel's payload begins behind two headers.
        let mut packet = vec![0xee; 52];
        packet.extend_from_slice(bytes);
        self.host.put(&packet);
        let seq = self.client_isn.wrapping_add(offset as u32);
        let segment = Segment {
            seq,
            at: 52,
            end: packet.len() as u32,
        };
        wire::request(&mut self.host, &mut self.request, segment);
    }

    /// A segment of the server passes egress.
    pub fn server(&mut self, offset: usize, bytes: &[u8], fin: bool) {
        let mut packet = vec![0xee; 52];
        packet.extend_from_slice(bytes);
        self.host.put(&packet);
        let seq = self.server_isn.wrapping_add(offset as u32);
        let segment = Segment {
            seq,
            at: 52,
            end: packet.len() as u32,
        };
        wire::response(&mut self.host, &mut self.response, segment, fin);
    }

    /// The socket closes.
    pub fn close(&mut self) {
        wire::close_connection(&mut self.host, &mut self.response);
    }

    pub fn in_flight(&self) -> u64 {
        self.host.started - self.host.ended
    }

    pub fn has(&self, note: Note) -> bool {
        self.host.events.contains(&Event::Note(note))
    }

    pub fn is_uncertain(&self) -> bool {
        self.has(Note::Uncertain)
    }

    /// Closes, and checks what holds whatever happened before.
    pub fn assert_closed(&mut self) {
        self.close();
        assert_eq!(self.host.started, self.host.ended, "after close something is in flight");
        assert_eq!(wire::pending(&self.host), 0, "after close something is pending");
        let before = self.host.events.len();
        self.close();
        assert_eq!(self.host.events.len(), before, "a second close told something");
    }
}
