// SPDX-License-Identifier: Apache-2.0
//! What the kernel counted: the one place of this crate that knows the crate `kernel`.
//!
//! Depends on: kernel, abi (feature `kernel`); without the feature there is no counter and cases compare servers with
//! clients only.

/// What the programs counted for one pod, summed over CPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Requests started.
    pub started: u64,
    /// Requests ended.
    pub ended: u64,
    /// Σ end times − Σ start times, ns: the integral when nothing is in flight.
    pub integral: u64,
    /// Connections counted.
    pub connections: u64,
    /// Of these, closed.
    pub closed: u64,
    /// Requests ended by their connection's end.
    pub aborted: u64,
    /// Requests first known by their answer.
    pub late: u64,
    /// Connections flagged as possibly wrong.
    pub uncertain: u64,
    /// Times a direction found its footing again.
    pub resyncs: u64,
    /// Segments out of order.
    pub gaps: u64,
    /// Connections that are not HTTP.
    pub opaque: u64,
    /// Connections that speak HTTP/2.
    pub http2: u64,
    /// Connections that became tunnels.
    pub tunnels: u64,
    /// Probe connections.
    pub probes: u64,
    /// Answers by status class.
    pub status: [u64; 6],
    /// Requests in the latency histogram.
    pub measured: u64,
    /// Requests left out of it.
    pub unmeasured: u64,
    /// The shared word: in flight, signed.
    pub in_flight: i64,
    /// The shared word: highest in flight.
    pub maximum: u64,
}

#[cfg(feature = "kernel")]
pub use with::Counter;
#[cfg(not(feature = "kernel"))]
pub use without::Counter;

#[cfg(feature = "kernel")]
mod with;
#[cfg(not(feature = "kernel"))]
mod without;
