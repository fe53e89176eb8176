// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! Counters of pods and revisions.
//!
//! Per CPU and pod there is one [`PodCounts`]; the sums over CPUs give in-flight and its integral:
//! in flight = Σstarted − Σended, I(t) = Σsum_end − Σsum_start + in flight · t, everything modulo 2^64.

/// Buckets of the latency histogram: bucket `b` counts latencies in `[2^b, 2^(b+1))` ns, the last one everything above
/// (2^39 ns ≈ 9 min); bucket 0 also takes 0.
pub const LATENCY_BUCKETS: usize = 40;
/// Status classes: 0 = unknown, 1…5 = 1xx…5xx.
pub const STATUS_CLASSES: usize = 6;

/// The exact part, guarded against torn reads: a writer adds 1 to `begin`, updates, adds 1 to `end`; a reader copies
/// the whole value once and must find `begin == end`, else it reads again. `end` is the first and `begin` the last word, so a copy in
/// address order that finds them equal saw no writer. Frozen for ever at offset 0 of [`PodCounts`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Core {
    /// Updates completed.
    pub end: u64,
    /// Requests started.
    pub started: u64,
    /// Requests ended, for whatever reason.
    pub ended: u64,
    /// Σ of start times, ns of CLOCK_MONOTONIC, wrapping.
    pub sum_start: u64,
    /// Σ of end times, ns of CLOCK_MONOTONIC, wrapping.
    pub sum_end: u64,
    /// Updates begun.
    pub begin: u64,
}

/// What one CPU counted for one pod.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PodCounts {
    /// In-flight, exactly.
    pub core: Core,
    /// Connections established and counted.
    pub connections: u64,
    /// Of these, closed.
    pub closed: u64,
    /// Requests that ended because their connection did.
    pub aborted: u64,
    /// Requests whose start was first known by their response.
    pub late: u64,
    /// Connections whose counts may differ from the truth (each counted once).
    pub uncertain: u64,
    /// Times a direction found its footing again after bytes it could not read.
    pub resyncs: u64,
    /// Segments that did not continue their direction.
    pub gaps: u64,
    /// Connections counted as connections: not HTTP as we read it.
    pub opaque: u64,
    /// Connections that speak HTTP/2.
    pub http2: u64,
    /// Connections that became tunnels (101, CONNECT).
    pub tunnels: u64,
    /// Connections not counted because their state could not be created.
    pub storage_failed: u64,
    /// HTTP/2 streams beyond the slots of their connection.
    pub stream_overflow: u64,
    /// Requests without a latency: pipelined deeper than the start times kept.
    pub unmeasured: u64,
    /// Requests and connections of probes, left out of everything else.
    pub probes: u64,
    /// Payload bytes from clients, what was sent again included.
    pub bytes_in: u64,
    /// Payload bytes to clients, what was sent again included.
    pub bytes_out: u64,
    /// Final responses by status class.
    pub status: [u64; STATUS_CLASSES],
    /// First request byte → last response byte.
    pub latency: [u64; LATENCY_BUCKETS],
}

/// What all CPUs share about a pod: one cache line.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default)]
pub struct PodShared {
    /// In flight, signed; for a remote pod the last value its node sent.
    pub in_flight: u64,
    /// Highest `in_flight` since userspace last wrote 0 here.
    pub maximum: u64,
    /// An event is raised when `in_flight` reaches this from below; 0 = never.
    pub threshold: u64,
    /// Remote pods: connections this node sent there since `in_flight` was written.
    pub assigned: u64,
    /// Not 0: gets no new connection.
    pub draining: u32,
    /// Index in REVISIONS; 0 = none.
    pub revision: u32,
    /// Open counted connections, signed.
    pub connections: u64,
    #[doc(hidden)]
    pub _pad: [u64; 2],
}

/// What all CPUs of this node share about a revision.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default)]
pub struct RevisionShared {
    /// In flight on this node's pods, signed.
    pub in_flight: u64,
    /// Highest `in_flight` since userspace last wrote 0 here.
    pub maximum: u64,
    /// An event is raised when `in_flight` reaches this from below; 0 = never.
    pub threshold: u64,
    #[doc(hidden)]
    pub _pad: [u64; 5],
}

/// A serving port: of a network namespace (by cookie), or of an address where the kernel does not tell the cookie.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PodKey {
    /// SO_NETNS_COOKIE, or 0 when `addr` tells.
    pub netns: u64,
    /// Local address in network order, IPv4 as v4-mapped; all 0 when `netns` tells.
    pub addr: [u32; 4],
    /// Local port, host order.
    pub port: u16,
    #[doc(hidden)]
    pub _pad: [u16; 3],
}

/// Where a pod's counts stand.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodSlot {
    /// Index in COUNTS and SHARED.
    pub pod: u32,
    /// `POD_*` bits.
    pub flags: u32,
}

/// The pod is counted by connections only, whatever it speaks.
pub const POD_CONNECTIONS_ONLY: u32 = 1;

const _: () = {
    assert!(size_of::<Core>() == 48);
    assert!(core::mem::offset_of!(PodCounts, core) == 0);
    assert!(core::mem::offset_of!(Core, end) == 0);
    assert!(core::mem::offset_of!(Core, begin) == 40);
    assert!(core::mem::offset_of!(PodCounts, status) == 176);
    assert!(core::mem::offset_of!(PodCounts, latency) == 224);
    assert!(size_of::<PodCounts>() == 544);
    assert!(size_of::<PodShared>() == 64);
    assert!(size_of::<RevisionShared>() == 64);
    assert!(size_of::<PodKey>() == 32);
    assert!(size_of::<PodSlot>() == 8);
};

#[cfg(feature = "aya")]
#[expect(unsafe_code, reason = "plain data for aya")]
mod pod {
    use super::*;
    // SAFETY: repr(C), integers only, no implicit padding (sizes asserted above).
    unsafe impl aya::Pod for Core {}
    // SAFETY: as above.
    unsafe impl aya::Pod for PodCounts {}
    // SAFETY: as above.
    unsafe impl aya::Pod for PodShared {}
    // SAFETY: as above.
    unsafe impl aya::Pod for RevisionShared {}
    // SAFETY: as above.
    unsafe impl aya::Pod for PodKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for PodSlot {}
}
