// SPDX-License-Identifier: Apache-2.0
//! A scripted pod, and what it saw.
//!
//! Depends on: words.

use super::words::Head;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What all pods of a case saw.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) requests: Vec<Map<String, Value>>,
    pub(super) probe: Value,
    connections: HashMap<(IpAddr, u64), u64>,
}

/// One pod.
pub(super) struct Pod {
    pub(super) script: Value,
    pub(super) ip: IpAddr,
    /// Whether it stands for a queue-proxy, which answers the activator's probes.
    pub(super) answers_probes: bool,
    pub(super) is_one_of_many: bool,
    pub(super) counts: Mutex<Counts>,
    pub(super) log: Arc<Mutex<Seen>>,
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) connections: u64,
    requests: usize,
    probes: u64,
}

/// The value behind it.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pod {
    pub(super) fn is_probe(&self, head: &Head) -> bool {
        self.answers_probes && head.get("user-agent").as_deref() == Some("Knative-Activator-Probe")
    }

    pub(super) fn probe_answer(&self, head: &Head) -> String {
        let mut seen = locked(&self.log);
        if seen.probe.is_null() {
            seen.probe = json!({"request_line": head.first, "headers": head.told()});
        }
        let mut counts = locked(&self.counts);
        counts.probes += 1;
        match counts.probes > self.script["fail_probes"].as_u64().unwrap_or(0) {
            true => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nqueue".to_owned(),
            false => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_owned(),
        }
    }

    /// The script of the next request.
    pub(super) fn next_script(&self, plain: Value) -> Vec<Value> {
        let mut counts = locked(&self.counts);
        let index = counts.requests;
        counts.requests += 1;
        match (&self.script["requests"][index], &self.script["default"]) {
            (Value::Array(steps), _) | (_, Value::Array(steps)) => steps.clone(),
            _ => vec![plain],
        }
    }

    /// Puts a request down; its place in the order.
    pub(super) fn put(&self, connection: u64, mut entry: Value) -> usize {
        let mut seen = locked(&self.log);
        let next = seen.connections.keys().filter(|(ip, _)| *ip == self.ip).count() as u64;
        let number = *seen.connections.entry((self.ip, connection)).or_insert(next);
        entry["connection"] = number.into();
        if self.is_one_of_many {
            entry["backend"] = self.ip.to_string().into();
        }
        if let Value::Object(fields) = entry {
            seen.requests.push(fields);
        }
        seen.requests.len() - 1
    }

    /// Adds to what is known of a request.
    pub(super) fn note(&self, place: usize, add: impl FnOnce(&mut Map<String, Value>)) {
        if let Some(entry) = locked(&self.log).requests.get_mut(place) {
            add(entry);
        }
    }
}
