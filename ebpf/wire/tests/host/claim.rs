// SPDX-License-Identifier: Apache-2.0
//! Two CPUs on one connection under shuttle: the claim, the flow word, and the close.
//!
//! Mechanism: each CPU passes its segments through the hook and then to a stack; a server answers what the stack has;
//! a closer closes. Every access of a shared word is a point where shuttle may switch. The request side stands behind
//! a lock that must be free whenever the claim is held: a second holder fails the test at once.
//! A mutation (a compare-and-swap of two steps) must be caught, else the test proves nothing.

use shuttle::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use shuttle::sync::{Arc, Mutex};
use shuttle::thread;
use wire::claim::{self, PATIENCE, Taken};
use wire::words::{CLAIM, COUNT};
use wire::{BUFFER, Bytes, Note, Repeat, Segment, Side, Slots, Tally, Turn, Words};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const REFUSED: &[u8] = b"HTTP/1.1 431 No\r\nContent-Length: 0\r\n\r\n";
/// A client's preface and an empty SETTINGS frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[derive(Default)]
struct Counts {
    started: AtomicU32,
    ended: AtomicU32,
    uncertain: AtomicU32,
    aborted: AtomicU32,
    gaps: AtomicU32,
}

struct Shared {
    words: [AtomicU64; COUNT],
    /// False: compare-and-swap is a read and a write, as if it were forgotten.
    atomic: bool,
    request: Mutex<Side>,
    response: Mutex<Side>,
    stash: Mutex<Vec<(u32, Vec<u8>)>>,
    received: AtomicU32,
    stack: Mutex<Vec<(u32, u32)>>,
    counts: Counts,
    stream: Vec<u8>,
    slots: Vec<AtomicU64>,
    times: Vec<AtomicU64>,
}

/// One hook at work on one CPU.
struct Cpu {
    shared: Arc<Shared>,
    hand: Vec<u8>,
}

impl Words for Cpu {
    fn load(&self, w: usize) -> u64 {
        self.shared.words[w].load(SeqCst)
    }
    fn store(&self, w: usize, value: u64) {
        self.shared.words[w].store(value, SeqCst);
    }
    fn compare_exchange(&self, w: usize, old: u64, new: u64) -> bool {
        let word = &self.shared.words[w];
        if self.shared.atomic {
            return word.compare_exchange(old, new, SeqCst, SeqCst).is_ok();
        }
        let same = word.load(SeqCst) == old;
        if same {
            word.store(new, SeqCst);
        }
        same
    }
    fn swap(&self, w: usize, value: u64) -> u64 {
        if self.shared.atomic {
            return self.shared.words[w].swap(value, SeqCst);
        }
        let before = self.load(w);
        self.store(w, value);
        before
    }
    fn load_to_change(&self, w: usize) -> u64 {
        self.load(w)
    }
    fn or(&self, w: usize, bits: u64) -> u64 {
        self.shared.words[w].fetch_or(bits, SeqCst)
    }
    fn unknown(&self, number: u32) -> u32 {
        number
    }
}

impl Slots for Cpu {
    fn make_slots(&mut self) -> bool {
        true
    }
    fn find_slots(&mut self) -> bool {
        true
    }
    fn leave_slots(&mut self) {}
    fn slot(&self, i: u32) -> u64 {
        self.shared.slots[i as usize].load(SeqCst)
    }
    fn change_slot(&self, i: u32, old: u64, new: u64) -> bool {
        let slot = &self.shared.slots[i as usize];
        if self.shared.atomic {
            return slot.compare_exchange(old, new, SeqCst, SeqCst).is_ok();
        }
        let same = slot.load(SeqCst) == old;
        if same {
            slot.store(new, SeqCst);
        }
        same
    }
    fn slot_time(&self, i: u32) -> u64 {
        self.shared.times[i as usize].load(SeqCst)
    }
    fn set_slot_time(&self, i: u32, time: u64) {
        self.shared.times[i as usize].store(time, SeqCst);
    }
}

impl Tally for Cpu {
    fn now(&mut self) -> u64 {
        8
    }
    fn started(&mut self) {
        self.shared.counts.started.fetch_add(1, SeqCst);
    }
    fn ended(&mut self, count: u32) {
        self.shared.counts.ended.fetch_add(count, SeqCst);
    }
    fn measured(&mut self, _: u64) {}
    fn status(&mut self, _: u32) {}
    fn note(&mut self, note: Note) {
        let counts = &self.shared.counts;
        match note {
            Note::Uncertain => counts.uncertain.fetch_add(1, SeqCst),
            Note::Aborted(count) => counts.aborted.fetch_add(count, SeqCst),
            Note::Gap => counts.gaps.fetch_add(1, SeqCst),
            _ => 0,
        };
    }
}

impl Bytes for Cpu {
    fn read(&mut self, at: u32, count: u32, buffer: &mut [u8; BUFFER], to: u32) -> bool {
        let bytes = &self.hand[at as usize..(at + count) as usize];
        buffer[to as usize..(to + count) as usize].copy_from_slice(bytes);
        true
    }
    fn received(&mut self) -> Option<u32> {
        Some(self.shared.received.load(SeqCst))
    }
    fn keep(&mut self, seq: u32, at: u32, count: u32) -> bool {
        let mut stash = self
            .shared
            .stash
            .try_lock()
            .expect("the stash is touched without the claim");
        stash.push((seq, self.hand[at as usize..(at + count) as usize].to_vec()));
        true
    }
    fn continue_from(&mut self, seq: u32) -> Option<(u32, u32)> {
        let mut stash = self
            .shared
            .stash
            .try_lock()
            .expect("the stash is touched without the claim");
        stash.retain(|(first, bytes)| first.wrapping_add(bytes.len() as u32).wrapping_sub(seq) as i32 > 0);
        let i = stash
            .iter()
            .position(|(first, _)| first.wrapping_sub(seq) as i32 <= 0)?;
        let (first, bytes) = stash.remove(i);
        self.hand = bytes;
        Some((seq.wrapping_sub(first), self.hand.len() as u32))
    }
}

impl Repeat for Cpu {
    fn repeat<T: Turn>(turns: u32, turn: &mut T) {
        // A claim is given up soon, so that giving up is tested, too.
        let turns = if turns == PATIENCE { 4 } else { turns };
        for _ in 0..turns {
            if !turn.turn() {
                return;
            }
        }
    }
}

impl Shared {
    fn new(stream: Vec<u8>, atomic: bool) -> Arc<Self> {
        let shared = Self {
            words: std::array::from_fn(|_| AtomicU64::new(0)),
            atomic,
            request: Mutex::new(Side::default()),
            response: Mutex::new(Side::default()),
            stash: Mutex::new(Vec::new()),
            received: AtomicU32::new(0),
            stack: Mutex::new(Vec::new()),
            counts: Counts::default(),
            stream,
            slots: (0..wire::SLOTS).map(|_| AtomicU64::new(0)).collect(),
            times: (0..wire::SLOTS).map(|_| AtomicU64::new(0)).collect(),
        };
        shared.words[CLAIM].store(0, SeqCst);
        Arc::new(shared)
    }

    fn cpu(self: &Arc<Self>) -> Cpu {
        Cpu {
            shared: self.clone(),
            hand: Vec::new(),
        }
    }

    /// Ingress: the hook without a lock, then the stack with its lock.
    fn ingress(self: &Arc<Self>, from: usize, to: usize) {
        let mut cpu = self.cpu();
        cpu.hand = self.stream[from..to].to_vec();
        let segment = Segment {
            seq: from as u32,
            at: 0,
            end: (to - from) as u32,
        };
        match claim::take::<Cpu, Cpu>(&cpu, segment.seq, to as u32) {
            Taken::Old => {}
            Taken::Busy => cpu.note(Note::Gap),
            Taken::Yes(claim) => {
                let mut side = self.request.try_lock().expect("two CPUs hold the claim");
                let (next, hints) = wire::read_claimed(&mut cpu, &mut side, segment, claim);
                drop(side);
                claim::release(&cpu, next, hints);
            }
        }
        let mut stack = self.stack.lock().unwrap();
        stack.push((from as u32, to as u32));
        let mut received = self.received.load(SeqCst);
        while let Some((_, end)) = stack.iter().find(|(from, to)| *from <= received && *to > received) {
            received = *end;
        }
        self.received.store(received, SeqCst);
    }

    /// The server answers `count` requests, each once the stack has it.
    fn serve(self: &Arc<Self>, count: usize) {
        let answers = (0..count).map(|i| ((i + 1) * GET.len(), OK.to_vec()));
        self.answer(&answers.collect::<Vec<_>>());
    }

    /// The server sends each answer once the stack has so many bytes.
    fn answer(self: &Arc<Self>, answers: &[(usize, Vec<u8>)]) {
        let mut cpu = self.cpu();
        let mut seq = 0;
        for (after, answer) in answers {
            while (self.received.load(SeqCst) as usize) < *after {
                thread::yield_now();
            }
            cpu.hand = answer.clone();
            let end = answer.len() as u32;
            let segment = Segment { seq, at: 0, end };
            seq += end;
            wire::response(&mut cpu, &mut self.response.lock().unwrap(), segment, false);
        }
    }

    fn close(self: &Arc<Self>) {
        wire::close_connection(&mut self.cpu(), &mut self.response.lock().unwrap());
    }

    fn counted(&self) -> (u32, u32, bool) {
        let counts = &self.counts;
        (
            counts.started.load(SeqCst),
            counts.ended.load(SeqCst),
            counts.uncertain.load(SeqCst) != 0,
        )
    }
}

/// Each CPU's segments, the server, and a closer if `early`: a thread each, until all have ended.
fn side_by_side<S: AsRef<[(usize, usize)]>>(
    shared: &Arc<Shared>,
    cpus: impl Iterator<Item = S>,
    early: bool,
    serve: impl FnOnce(&Arc<Shared>) + Send + 'static,
) {
    let mut threads = Vec::new();
    for segments in cpus {
        let (shared, segments) = (shared.clone(), segments.as_ref().to_vec());
        threads.push(thread::spawn(move || {
            segments.iter().for_each(|(from, to)| shared.ingress(*from, *to))
        }));
    }
    let server = shared.clone();
    threads.push(thread::spawn(move || serve(&server)));
    if early {
        let closer = shared.clone();
        threads.push(thread::spawn(move || closer.close()));
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Runs the CPUs' segments against a server, and a closer if `early` while they run.
fn run(requests: usize, cpus: &[&[(usize, usize)]], early: bool, atomic: bool) {
    let shared = Shared::new(GET.repeat(requests), atomic);
    side_by_side(&shared, cpus.iter().copied(), early, move |server| {
        server.serve(requests)
    });
    let (started, ended, uncertain) = shared.counted();
    if !early && !uncertain {
        assert_eq!(
            (started, ended),
            (requests as u32, requests as u32),
            "silently different before the close"
        );
    }
    shared.close();
    let (started, ended, uncertain) = shared.counted();
    assert_eq!(started, ended, "something is in flight after the close");
    // A segment sent twice, of which one CPU still holds the first copy when all answers to it are out, may be counted
    // twice: flagged, and gone with its answer.
    assert!(
        started as usize <= requests || uncertain,
        "a request silently started twice"
    );
    assert_eq!(wire::pending(&shared.cpu()), 0);
    assert!(shared.counts.uncertain.load(SeqCst) <= 1, "told more than once");
}

const LENGTH: usize = GET.len();

#[test]
fn contiguous_segments_on_two_cpus_start_each_request_once() {
    shuttle::check_random(|| run(2, &[&[(0, LENGTH)], &[(LENGTH, 2 * LENGTH)]], false, true), 1500);
    shuttle::check_pct(
        || run(2, &[&[(0, LENGTH)], &[(LENGTH, 2 * LENGTH)]], false, true),
        500,
        3,
    );
}

#[test]
fn cut_heads_on_two_cpus_start_each_request_once() {
    let (a, b, c) = (10, LENGTH + 3, 2 * LENGTH - 1);
    shuttle::check_random(
        move || run(3, &[&[(0, a), (b, c)], &[(a, b), (c, 3 * LENGTH)]], false, true),
        1000,
    );
}

#[test]
fn overlapping_segments_on_two_cpus_start_each_request_once() {
    let both: [(usize, usize); 2] = [(0, LENGTH), (LENGTH, 2 * LENGTH)];
    shuttle::check_random(move || run(2, &[&both, &both], false, true), 1000);
    shuttle::check_random(
        || {
            run(
                2,
                &[&[(0, LENGTH + 5), (LENGTH + 5, 2 * LENGTH)], &[(0, 2 * LENGTH)]],
                false,
                true,
            )
        },
        1000,
    );
}

#[test]
fn a_close_beside_ingress_and_egress_leaves_nothing() {
    shuttle::check_random(|| run(2, &[&[(0, LENGTH)], &[(LENGTH, 2 * LENGTH)]], true, true), 1500);
    shuttle::check_pct(
        || run(2, &[&[(0, LENGTH)], &[(LENGTH, 2 * LENGTH)]], true, true),
        500,
        3,
    );
}

/// One request, refused before its head is complete, and one after it.
fn refused_early(cpus: &[&[(usize, usize)]]) {
    let shared = Shared::new(GET.repeat(2), true);
    let mut threads = Vec::new();
    for segments in cpus {
        let (shared, segments) = (shared.clone(), segments.to_vec());
        threads.push(thread::spawn(move || {
            segments.iter().for_each(|(from, to)| shared.ingress(*from, *to))
        }));
    }
    let server = shared.clone();
    let answers = [(1, REFUSED.to_vec()), (2 * LENGTH, OK.to_vec())];
    threads.push(thread::spawn(move || server.answer(&answers)));
    for thread in threads {
        thread.join().unwrap();
    }
    let (started, ended, uncertain) = shared.counted();
    assert!(
        started == ended || uncertain,
        "silently {} in flight at rest",
        started - ended
    );
    assert!(started == 2 || uncertain, "silently {started} of 2 started");
    shared.close();
    let (started, ended, _) = shared.counted();
    assert_eq!(started, ended, "something is in flight after the close");
}

#[test]
fn an_answer_before_its_head_is_complete_is_counted_once_or_flagged() {
    let (a, b) = (10, LENGTH - 2);
    shuttle::check_random(
        move || refused_early(&[&[(0, a), (b, LENGTH)], &[(a, b), (LENGTH, 2 * LENGTH)]]),
        3000,
    );
    shuttle::check_pct(move || refused_early(&[&[(0, b)], &[(b, 2 * LENGTH)]]), 1000, 3);
}

/// A frame with a payload that says nothing.
fn frame(kind: u8, flags: u8, stream: u8, payload: usize) -> Vec<u8> {
    let mut bytes = vec![0, 0, payload as u8, kind, flags, 0, 0, 0, stream];
    bytes.extend(vec![0x88; payload]);
    bytes
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const END: u8 = 1;

/// Three streams: a GET, a POST that is answered while its body comes, a GET that the client resets while it is answered.
fn streams(cut: &[usize], duplicate: bool, early: bool, atomic: bool) {
    let mut client = PREFACE.to_vec();
    let mut after = Vec::new();
    for part in [
        frame(HEADERS, END, 1, 6),
        frame(HEADERS, 0, 3, 6),
        frame(HEADERS, END, 5, 6),
        frame(DATA, END, 3, 4),
        frame(RESET, 0, 5, 4),
    ] {
        client.extend(part);
        after.push(client.len());
    }
    let shared = Shared::new(client, atomic);
    let mut bounds = vec![0];
    bounds.extend(cut.iter().map(|cut| after[0] + cut));
    bounds.push(after[4]);
    let segments: Vec<_> = bounds.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let of = |cpu| {
        let all = segments.iter().copied().enumerate();
        let of_this = all.filter(|(i, _)| duplicate || i % 2 == cpu);
        of_this.map(|(_, segment)| segment).collect::<Vec<_>>()
    };
    let answers = [
        (after[0], [frame(4, 0, 0, 0), frame(HEADERS, END, 1, 1)].concat()),
        (after[1], frame(HEADERS, END, 3, 1)),
        (after[2], [frame(HEADERS, 0, 5, 1), frame(DATA, END, 5, 1)].concat()),
    ];
    side_by_side(&shared, (0..2).map(of), early, move |server| server.answer(&answers));
    let (started, ended, uncertain) = shared.counted();
    if !early && !uncertain {
        assert_eq!((started, ended), (3, 3), "silently different before the close");
    }
    shared.close();
    let (started, ended, uncertain) = shared.counted();
    assert_eq!(started, ended, "something is in flight after the close");
    assert!(started <= 3 || uncertain, "a stream silently started twice");
}

#[test]
fn streams_on_two_cpus_start_and_end_once() {
    shuttle::check_random(|| streams(&[3, 20, 40], false, false, true), 2000);
    shuttle::check_pct(|| streams(&[3, 20, 40], false, false, true), 500, 3);
}

#[test]
fn repeated_frames_on_two_cpus_start_and_end_streams_once() {
    shuttle::check_random(|| streams(&[16, 33], true, false, true), 1500);
}

#[test]
fn a_close_beside_frames_leaves_no_stream() {
    shuttle::check_random(|| streams(&[3, 20, 40], false, true, true), 1500);
}

#[test]
#[should_panic]
fn streams_without_compare_and_swap_are_caught() {
    shuttle::check_random(|| streams(&[3, 20, 40], false, true, false), 5000);
}

#[test]
#[should_panic]
fn a_claim_without_compare_and_swap_is_caught() {
    let both: [(usize, usize); 2] = [(0, LENGTH), (LENGTH, 2 * LENGTH)];
    shuttle::check_random(move || run(2, &[&both, &both], false, false), 3000);
}

#[test]
#[should_panic]
fn a_flow_word_without_compare_and_swap_is_caught() {
    // One CPU: the claim cannot be what fails.
    shuttle::check_random(|| run(2, &[&[(0, LENGTH), (LENGTH, 2 * LENGTH)]], true, false), 3000);
}
