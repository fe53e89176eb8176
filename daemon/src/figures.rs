// SPDX-License-Identifier: Apache-2.0
//! What the request path says of itself on `/metrics` (data-plane spec 1.17, 4.10).
//!
//! Depends on: proxy, life (metrics).

use life::metrics::{Page, names};
use proxy::{Revision, Room};
use std::sync::atomic::Ordering::Relaxed;

/// Labels of the classes of answers, in the order of `proxy::Counters::answers`.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// A revision's requests now: on pods, and held.
pub(crate) struct Load {
    pub(crate) on_pods: u64,
    pub(crate) held: u64,
}

/// Adds a revision's figures.
pub(crate) fn of_revision(page: &mut Page, revision: &Revision, load: Option<&Load>) {
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
        page.sample(&names::REQUEST_CONCURRENCY, &labels, (load.on_pods + load.held) as f64);
        page.sample(&names::REQUEST_ACTIVE, &labels, load.on_pods as f64);
        page.sample(&names::REQUEST_QUEUED, &labels, load.held as f64);
    }
}

/// Adds how often each bound was met by the listeners that share this room.
pub(crate) fn of_room(page: &mut Page, room: &Room) {
    for (limit, count) in room.refusals() {
        page.sample(&names::LIMITED, &[limit.name()], count as f64);
    }
}
