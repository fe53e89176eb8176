// SPDX-License-Identifier: Apache-2.0
//! What the request path says of itself on `/metrics` (data-plane spec 1.17, 4.10).
//!
//! Depends on: node, kernel, proxy, logic::data_path, life (metrics).

use crate::node::Reading;
use kernel::Counts;
use life::metrics::{Page, names};
use logic::data_path::DataPath;
use proxy::{Identity, Revision, Room};
use std::sync::atomic::Ordering::Relaxed;

/// Labels of the classes of answers, in the order of `proxy::Counters::answers`.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// Labels of the classes of answers, in the order of `abi::PodCounts::status`.
const KERNEL_CLASSES: [&str; abi::STATUS_CLASSES] = ["unknown", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Adds a revision's figures; `load`: what it has on this node; `way`: how clients come to it.
pub(crate) fn of_revision(page: &mut Page, revision: &Revision, load: Option<&Reading>, way: Option<&DataPath>) {
    let (labels, counters) = (labels(&revision.identity), &revision.counters);
    for (class, count) in CLASSES.into_iter().zip(&counters.answers) {
        let count = count.load(Relaxed);
        if count > 0 {
            page.sample(&names::REQUEST_COUNT, &and(labels, class), count as f64);
        }
    }
    let distributions = [
        (&names::REQUEST_DURATIONS, &counters.durations),
        (&names::INVOCATIONS, &counters.invocations),
    ];
    for (family, durations) in distributions {
        for (status, histogram) in durations.each() {
            let status = status.to_string();
            page.histogram(family, &and(labels, &status), histogram);
        }
    }
    page.sample(&names::RETRIES, &labels, counters.retries.load(Relaxed) as f64);
    page.sample(&names::QUEUE_FULL, &labels, counters.refused.load(Relaxed) as f64);
    if revision.container_concurrency > 0 {
        let counts = revision.counts();
        let depth = f64::from(counts.running) + f64::from(counts.asking) + f64::from(counts.waiting);
        page.sample(&names::QUEUE_DEPTH, &labels, depth);
    }
    if let Some(load) = load {
        page.sample(
            &names::REQUEST_CONCURRENCY,
            &labels,
            (load.in_flight + load.held) as f64,
        );
        page.sample(&names::REQUEST_ACTIVE, &labels, load.in_flight as f64);
        page.sample(&names::REQUEST_QUEUED, &labels, load.held as f64);
        if let Some(counts) = &load.counts {
            of_kernel(page, labels, counts, load.at);
        }
    }
    if let Some(way) = way {
        let is_direct = f64::from(u8::from(way.is_direct()));
        page.sample(&names::DIRECT, &and(labels, way.reason()), is_direct);
    }
}

/// Adds the figures of one pod of a revision: `depth`, what it has where a number limits it; `counts`: what the kernel counted
/// of it, and when.
pub(crate) fn of_pod(page: &mut Page, of: &Identity, depth: Option<u64>, counts: Option<&(u64, Counts)>) {
    let labels = labels(of);
    if let Some(depth) = depth {
        page.sample(&names::QUEUE_DEPTH, &labels, depth as f64);
    }
    if let Some((at, counts)) = counts {
        page.sample(&names::REQUEST_ACTIVE, &labels, counts.in_flight() as f64);
        of_kernel(page, labels, counts, *at);
    }
}

/// A revision's labels.
fn labels(of: &Identity) -> [&str; 4] {
    [&of.namespace, &of.service, &of.configuration, &of.name]
}

/// A revision's labels and one more.
fn and<'a>([namespace, service, configuration, name]: [&'a str; 4], more: &'a str) -> [&'a str; 5] {
    [namespace, service, configuration, name, more]
}

/// Adds what the kernel counted of a revision; a page of those that nobody called stays short.
fn of_kernel(page: &mut Page, labels: [&str; 4], counts: &Counts, at: u64) {
    page.sample(&names::KERNEL_REQUESTS, &labels, counts.core.started as f64);
    page.sample(&names::KERNEL_UNCERTAIN, &labels, counts.uncertain as f64);
    if counts.connections == 0 && counts.core.started == 0 {
        return;
    }
    for (class, count) in KERNEL_CLASSES.into_iter().zip(counts.status) {
        page.sample(&names::KERNEL_RESPONSES, &and(labels, class), count as f64);
    }
    page.distribution(&names::KERNEL_DURATIONS, &labels, cumulated(&counts.latency), None);
    // CPUs are not read at one instant: near 0 it may be some nanoseconds below.
    let seconds = (counts.integral(at) as i64).max(0) as f64 / 1e9;
    page.sample(&names::KERNEL_IN_FLIGHT_SECONDS, &labels, seconds);
    page.sample(&names::KERNEL_ABORTED, &labels, counts.aborted as f64);
    page.sample(&names::KERNEL_OPAQUE, &labels, counts.opaque as f64);
    page.sample(&names::KERNEL_CONNECTIONS, &labels, counts.connections as f64);
    let open = counts.open_connections();
    page.sample(&names::KERNEL_CONNECTIONS_OPEN, &labels, open as f64);
    for (direction, bytes) in [("in", counts.bytes_in), ("out", counts.bytes_out)] {
        page.sample(&names::KERNEL_BYTES, &and(labels, direction), bytes as f64);
    }
}

/// How many latencies were below each bound of `names::KERNEL_SECONDS`; bucket `b` of the kernel ends at 2^(b+1) ns.
fn cumulated(latency: &[u64; abi::LATENCY_BUCKETS]) -> impl Iterator<Item = (f64, u64)> {
    let bounds = names::KERNEL_SECONDS.iter().copied().chain([f64::INFINITY]);
    bounds.map(|bound| {
        let is_below = |bucket: usize| (1_u64 << (bucket + 1)) as f64 / 1e9 <= bound;
        let within = latency.iter().enumerate().filter(|(bucket, _)| is_below(*bucket));
        (bound, within.map(|(_, count)| count).sum())
    })
}

/// What a node has, all revisions together.
#[derive(Debug, Default)]
pub(crate) struct OfNode {
    active: u64,
    queued: u64,
    pods: usize,
}

impl OfNode {
    /// Adds a revision.
    pub(crate) fn add(&mut self, load: &Reading) {
        self.active += load.in_flight;
        self.queued += load.held;
        self.pods += load.pods.len();
    }

    /// Adds the node's figures.
    pub(crate) fn tell(&self, page: &mut Page, kernel_counts: bool) {
        page.sample(&names::NODE_ACTIVE, &[], self.active as f64);
        page.sample(&names::NODE_QUEUED, &[], self.queued as f64);
        page.sample(&names::NODE_PODS, &[], self.pods as f64);
        page.sample(&names::KERNEL_COUNTS, &[], f64::from(u8::from(kernel_counts)));
    }
}

/// Adds how often each bound was met by the listeners that share this room.
pub(crate) fn of_room(page: &mut Page, room: &Room) {
    for (limit, count) in room.refusals() {
        page.sample(&names::LIMITED, &[limit.name()], count as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_of_the_kernel_is_within_one_bound_of_the_page() {
        let mut latency = [0; abi::LATENCY_BUCKETS];
        // 65 to 131 µs, 131 to 262 µs, 8.6 to 17 s, and above all bounds.
        for bucket in [0, 16, 17, 33, 34, abi::LATENCY_BUCKETS - 1] {
            latency[bucket] = 1;
        }
        let below: Vec<_> = cumulated(&latency).collect();
        assert_eq!(below.len(), names::KERNEL_SECONDS.len() + 1);
        assert_eq!(below[0], (0.000_131_072, 2));
        assert_eq!(below[1], (0.000_262_144, 3));
        assert_eq!(below[below.len() - 3].1, 3);
        assert_eq!(below[below.len() - 2], (17.179_869_184, 4));
        assert_eq!(below[below.len() - 1], (f64::INFINITY, 6));
    }
}
