// SPDX-License-Identifier: Apache-2.0
//! What the request path says of itself on `/metrics` (data-plane spec 1.17, 4.10).
//!
//! Depends on: node, proxy, life (metrics).

use crate::node::Reading;
use life::metrics::{Page, names};
use proxy::{Revision, Room};
use std::sync::atomic::Ordering::Relaxed;

/// Labels of the classes of answers, in the order of `proxy::Counters::answers`.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// Adds a revision's figures; `load`: what it has on this node.
pub(crate) fn of_revision(page: &mut Page, revision: &Revision, load: Option<&Reading>) {
    let (of, counters) = (&revision.identity, &revision.counters);
    let labels = [of.namespace.as_str(), &of.service, &of.configuration, &of.name];
    let [namespace, service, configuration, name] = labels;
    for (class, count) in CLASSES.into_iter().zip(&counters.answers) {
        let count = count.load(Relaxed);
        if count > 0 {
            let labels = [namespace, service, configuration, name, class];
            page.sample(&names::REQUEST_COUNT, &labels, count as f64);
        }
    }
    let distributions = [
        (&names::REQUEST_DURATIONS, &counters.durations),
        (&names::INVOCATIONS, &counters.invocations),
    ];
    for (family, durations) in distributions {
        for (status, histogram) in durations.each() {
            let status = status.to_string();
            let labels = [namespace, service, configuration, name, &status];
            page.histogram(family, &labels, histogram);
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
        if load.is_counted {
            page.sample(&names::KERNEL_REQUESTS, &labels, load.started as f64);
        }
    }
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
