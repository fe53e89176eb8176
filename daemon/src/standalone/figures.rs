// SPDX-License-Identifier: Apache-2.0
//! The data plane's part of `/metrics`, by revision.
//!
//! Depends on: node, proxy, life (metrics).

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use control::key::Key;
use life::metrics::{Page, Source, names};
use proxy::Revision;

use crate::node::Node;

/// Labels of the classes of answers, in the order of `proxy::Counters::answers`.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// Whoever has requests.
pub(super) struct Figures {
    node: Arc<Node>,
    revisions: Mutex<BTreeMap<Key, Arc<Revision>>>,
}

impl Figures {
    pub(super) fn new(node: Arc<Node>) -> Arc<Self> {
        let revisions = Mutex::default();
        Arc::new(Self { node, revisions })
    }

    /// Tells of it from now on.
    pub(super) fn insert(&self, key: &Key, revision: &Arc<Revision>) {
        let mut revisions = self.revisions.lock().unwrap_or_else(PoisonError::into_inner);
        revisions.insert(key.clone(), Arc::clone(revision));
    }

    /// Tells of it no more.
    pub(super) fn remove(&self, key: &Key) {
        self.revisions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }
}

impl Source for Figures {
    fn write(&self, page: &mut Page) {
        let revisions = self.revisions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (key, revision) in revisions {
            let of = &revision.identity;
            let labels = [of.namespace.as_str(), &of.service, &of.configuration, &of.name];
            for (class, count) in CLASSES.into_iter().zip(&revision.counters.answers) {
                let count = count.load(Relaxed);
                if count > 0 {
                    let [namespace, service, configuration, name] = labels;
                    let labels = [namespace, service, configuration, name, class];
                    page.sample(&names::REQUEST_COUNT, &labels, count as f64);
                }
            }
            let Some(reading) = self.node.reading(&key.to_string()) else {
                continue;
            };
            let (active, held) = (reading.in_flight as f64, reading.held as f64);
            page.sample(&names::REQUEST_CONCURRENCY, &labels, active + held);
            page.sample(&names::REQUEST_ACTIVE, &labels, active);
            page.sample(&names::REQUEST_QUEUED, &labels, held);
        }
    }
}
