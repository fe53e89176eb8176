// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! Counting: per CPU where sums do, shared where all CPUs must agree.

use abi::{EVENT_POD_BURST, EVENT_REVISION_BURST, Event, LATENCY_BUCKETS, PodCounts, PodShared, STATUS_CLASSES};
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use wire::Note;

use crate::atomic::{add, add_and_get, compare_exchange, load};
use crate::maps::{COUNTS, EVENTS, REVISIONS, SHARED};

/// Where a pod's events go.
#[derive(Clone, Copy)]
pub(crate) struct Account {
    pub(crate) counts: *mut PodCounts,
    pub(crate) shared: *mut PodShared,
    pub(crate) pod: u64,
}

/// A field of the pod's counts.
macro_rules! field {
    ($account:expr, $field:ident) => {
        // SAFETY: `counts` is a map value for as long as the program runs.
        unsafe { &raw mut (*$account.counts).$field }
    };
}

impl Account {
    /// The account of a pod; None when the index is out of range.
    #[inline(always)]
    pub(crate) fn of(pod: u32) -> Option<Self> {
        let counts = COUNTS.get_ptr_mut(pod)?;
        let shared = SHARED.get_ptr_mut(pod)?;
        Some(Self {
            counts,
            shared,
            pod: u64::from(pod),
        })
    }

    #[inline(always)]
    pub(crate) fn started(&mut self, time: u64) {
        core_event::<true>(self.counts, 1, time);
        shared_start(self.shared, self.pod as u32, time);
    }

    #[inline(always)]
    pub(crate) fn ended(&mut self, count: u32, time: u64) {
        core_event::<false>(self.counts, u64::from(count), time);
        shared_end(self.shared, u64::from(count));
    }

    #[inline(always)]
    pub(crate) fn measured(&mut self, nanoseconds: u64) {
        let bucket = log2(nanoseconds);
        if (bucket as usize) < LATENCY_BUCKETS {
            let buckets = field!(self, latency).cast::<u64>();
            // SAFETY: inside the array of a map value.
            add(unsafe { buckets.add(bucket as usize) }, 1);
        } else {
            let buckets = field!(self, latency).cast::<u64>();
            // SAFETY: as above.
            add(unsafe { buckets.add(LATENCY_BUCKETS - 1) }, 1);
        }
    }

    #[inline(always)]
    pub(crate) fn status(&mut self, class: u32) {
        if (class as usize) < STATUS_CLASSES {
            let classes = field!(self, status).cast::<u64>();
            // SAFETY: inside the array of a map value.
            add(unsafe { classes.add(class as usize) }, 1);
        }
    }

    #[inline(always)]
    pub(crate) fn note(&mut self, note: Note) {
        match note {
            Note::Late => add(field!(self, late), 1),
            Note::Uncertain => add(field!(self, uncertain), 1),
            Note::Resync => add(field!(self, resyncs), 1),
            Note::Gap => add(field!(self, gaps), 1),
            Note::Opaque => add(field!(self, opaque), 1),
            Note::Http2 => add(field!(self, http2), 1),
            Note::Tunnel => add(field!(self, tunnels), 1),
            Note::Overflow => add(field!(self, stream_overflow), 1),
            Note::Unmeasured => add(field!(self, unmeasured), 1),
            Note::Probe => add(field!(self, probes), 1),
            Note::Aborted(count) => add(field!(self, aborted), u64::from(count)),
        }
    }

    #[inline(always)]
    pub(crate) fn bytes_in(&self, count: u32) {
        add(field!(self, bytes_in), u64::from(count));
    }

    #[inline(always)]
    pub(crate) fn bytes_out(&self, count: u32) {
        add(field!(self, bytes_out), u64::from(count));
    }

    #[inline(always)]
    pub(crate) fn connected(&self) {
        add(field!(self, connections), 1);
        // SAFETY: a map value.
        add(unsafe { &raw mut (*self.shared).connections }, 1);
    }

    #[inline(always)]
    pub(crate) fn closed(&self) {
        add(field!(self, closed), 1);
        // SAFETY: a map value.
        add(unsafe { &raw mut (*self.shared).connections }, !0);
    }

    #[inline(always)]
    pub(crate) fn storage_failed(&self) {
        add(field!(self, storage_failed), 1);
    }

    #[inline(always)]
    pub(crate) fn probe(&self) {
        add(field!(self, probes), 1);
    }
}

/// CLOCK_MONOTONIC, ns.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: no argument, no failure.
    unsafe { bpf_ktime_get_ns() }
}

/// One guarded update of [`abi::Core`]: `begin` first, `end` last. The adds are single instructions, in program order
/// on their own CPU, and the reader copies in address order.
#[inline(never)]
fn core_event<const START: bool>(counts: *mut PodCounts, count: u64, time: u64) {
    // SAFETY: a map value.
    let core = unsafe { &raw mut (*counts).core };
    // SAFETY: as above, for each field.
    unsafe {
        add(&raw mut (*core).begin, 1);
        if START {
            add(&raw mut (*core).started, count);
            add(&raw mut (*core).sum_start, time.wrapping_mul(count));
        } else {
            add(&raw mut (*core).ended, count);
            add(&raw mut (*core).sum_end, time.wrapping_mul(count));
        }
        add(&raw mut (*core).end, 1);
    }
}

#[inline(never)]
fn shared_start(shared: *mut PodShared, pod: u32, time: u64) {
    // SAFETY: a map value.
    let (in_flight, maximum) = unsafe { (&raw mut (*shared).in_flight, &raw mut (*shared).maximum) };
    // The add comes first: its cache line comes once, to be changed, and the rest of it is read then.
    let value = rise(in_flight, maximum);
    // SAFETY: as above.
    let (threshold, revision) = unsafe { ((*shared).threshold, (*shared).revision) };
    if threshold != 0 && value == threshold {
        burst(EVENT_POD_BURST, pod, value, time);
    }
    if revision != 0 {
        let Some(shared) = REVISIONS.get_ptr_mut(revision) else {
            return;
        };
        // SAFETY: a map value.
        let (in_flight, maximum) = unsafe { (&raw mut (*shared).in_flight, &raw mut (*shared).maximum) };
        let value = rise(in_flight, maximum);
        // SAFETY: as above.
        let threshold = unsafe { (*shared).threshold };
        if threshold != 0 && value == threshold {
            burst(EVENT_REVISION_BURST, revision, value, time);
        }
    }
}

/// Adds one in flight and keeps the maximum; the new value.
#[inline(always)]
fn rise(in_flight: *mut u64, maximum: *mut u64) -> u64 {
    let value = add_and_get(in_flight, 1);
    let mut tries = 0;
    while tries < 4 {
        tries += 1;
        let highest = load(maximum);
        // Signed: an end may be counted before its start on another CPU.
        if value as i64 <= highest as i64 || compare_exchange(maximum, highest, value) {
            break;
        }
    }
    value
}

/// The threshold was reached from below.
#[inline(always)]
fn burst(kind: u32, index: u32, value: u64, time: u64) {
    raise(&Event {
        kind,
        index,
        value,
        time,
        ..Event::default()
    });
}

#[inline(never)]
fn shared_end(shared: *mut PodShared, count: u64) {
    // SAFETY: a map value.
    add_and_get(unsafe { &raw mut (*shared).in_flight }, count.wrapping_neg());
    // SAFETY: as above.
    let revision = unsafe { (*shared).revision };
    if revision != 0 {
        let Some(shared) = REVISIONS.get_ptr_mut(revision) else {
            return;
        };
        // SAFETY: a map value.
        add(unsafe { &raw mut (*shared).in_flight }, count.wrapping_neg());
    }
}

/// Tells userspace; a full ring loses the event (the next tick sees the counters).
#[inline(always)]
pub(crate) fn raise(event: &Event) {
    let _ = EVENTS.output::<Event>(event, 0);
}

/// Floor of the binary logarithm; 0 for 0. Without branches: the verifier would follow each combination of them.
#[inline(always)]
const fn log2(value: u64) -> u32 {
    let mut v = value | 1;
    v |= v >> 1;
    v |= v >> 2;
    v |= v >> 4;
    v |= v >> 8;
    v |= v >> 16;
    v |= v >> 32;
    // All bits up to the highest one are set: count them.
    let v = v - (v >> 1 & 0x5555_5555_5555_5555);
    let v = (v & 0x3333_3333_3333_3333) + (v >> 2 & 0x3333_3333_3333_3333);
    let v = v + (v >> 4) & 0x0f0f_0f0f_0f0f_0f0f;
    (v.wrapping_mul(0x0101_0101_0101_0101) >> 56) as u32 - 1
}
