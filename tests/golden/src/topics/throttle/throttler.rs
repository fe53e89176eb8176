// SPDX-License-Identifier: Apache-2.0
//! Knative's revision throttler, played by the limiter: all pods counted here, and nothing beyond the slice.
//!
//! Knative forgets a pod that leaves its list, so an address that comes back is a new pod here. The cases look behind the
//! gate of a cluster IP, so that gate is off.
//! Depends on: nothing.

use logic::limiter::arithmetic::infer_index;
use logic::limiter::{Activators, Admission, Backends, Home, Limiter, PodId, PodSpec, Settings, Ticket};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
pub(super) struct Input {
    container_concurrency: u32,
    self_ip: String,
    events: Vec<Event>,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Event {
    Dests {
        dests: Vec<String>,
        cluster_ip_dest: String,
    },
    PublicEndpoints {
        activators: Vec<String>,
    },
    Acquire,
    Release {
        index: usize,
    },
}

struct Play {
    limiter: Limiter,
    self_ip: String,
    /// The pods listed now, by address.
    pods: BTreeMap<String, PodId>,
    cluster_ip: Option<String>,
    /// By number, also those not listed any more.
    names: Vec<String>,
    acquired: Vec<Option<Ticket>>,
}

/// The state after each event.
pub(super) fn play(input: Input) -> Value {
    let settings = Settings {
        gated: false,
        ..Settings::like_knative(input.container_concurrency)
    };
    let mut play = Play {
        limiter: Limiter::new(settings, 0),
        self_ip: input.self_ip,
        pods: BTreeMap::new(),
        cluster_ip: None,
        names: Vec::new(),
        acquired: Vec::new(),
    };
    input.events.into_iter().map(|event| play.step(event)).collect()
}

impl Play {
    fn step(&mut self, event: Event) -> Value {
        let mut extra = json!({});
        match event {
            Event::Dests { dests, cluster_ip_dest } => self.dests(dests, cluster_ip_dest),
            Event::PublicEndpoints { activators } => self.activators(activators),
            Event::Acquire => extra = self.acquire(),
            Event::Release { index } => {
                if let Some(ticket) = self.acquired.get_mut(index).and_then(Option::take) {
                    self.limiter.end(ticket);
                }
            }
        }
        let activators = self.limiter.activators();
        extra["capacity"] = json!(self.limiter.capacity());
        extra["backend_count"] = json!(self.limiter.backends());
        extra["num_activators"] = json!(activators.count);
        extra["activator_index"] = activators.index.map_or(json!(-1), |index| json!(index));
        match &self.cluster_ip {
            Some(address) => extra["cluster_ip_dest"] = json!(address),
            None => extra["assigned"] = self.limiter.assigned().map(|pod| json!(self.name(pod))).collect(),
        }
        extra
    }

    fn dests(&mut self, dests: Vec<String>, cluster_ip: String) {
        let dests: BTreeSet<_> = dests.into_iter().collect();
        if !cluster_ip.is_empty() {
            self.pods.clear();
            let shared = self.new_pod(cluster_ip.clone());
            self.cluster_ip = Some(cluster_ip);
            self.limiter.set_backends(Backends::Shared(shared, dests.len() as u32));
            return;
        }
        self.cluster_ip = None;
        let mut before = std::mem::take(&mut self.pods);
        for dest in dests {
            let pod = before.remove(&dest).unwrap_or_else(|| self.new_pod(dest.clone()));
            self.pods.insert(dest, pod);
        }
        let specs: Vec<_> = { self.pods.values() }
            .map(|id| PodSpec {
                id: *id,
                home: Home::Here,
                accepting: true,
            })
            .collect();
        self.limiter.set_backends(Backends::Pods(&specs));
    }

    /// An event without the own address is ignored (data-plane spec 3.4).
    fn activators(&mut self, addresses: Vec<String>) {
        let sorted: Vec<_> = addresses.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        if let Some(index) = infer_index(&sorted, &self.self_ip) {
            self.limiter.set_activators(Activators {
                index: Some(index as u32),
                count: sorted.len() as u32,
            });
        }
    }

    fn acquire(&mut self) -> Value {
        let Admission::Start(ticket, pod) = self.limiter.arrive_or_leave(0) else {
            self.acquired.push(None);
            return json!({"acquired": null});
        };
        self.acquired.push(Some(ticket));
        json!({"acquired": self.name(pod), "is_cluster_ip": self.cluster_ip.is_some()})
    }

    fn new_pod(&mut self, name: String) -> PodId {
        self.names.push(name);
        PodId(self.names.len() as u64 - 1)
    }

    fn name(&self, pod: PodId) -> &str {
        self.names.get(pod.0 as usize).map_or("", String::as_str)
    }
}
