// SPDX-License-Identifier: Apache-2.0
//! The kernel part of `sluice proxy`: pods and targets of the file, handed to the node.
//!
//! Mechanism: the facts that the file states (routes, limits, log, pods) go through `logic::data_path`, as those of Kubernetes
//! do; there is no autoscaler, so room for bursts is taken for granted.
//! Depends on: config, node, logic::data_path.

use super::config::{Config, HttpOption, Kernel, Mode, Protocol, Route, Target, full_name};
use crate::failure::Failure;
use crate::node::{Aim, Burst, Node, Pod, STALE_BUFFERED, Settings};
use life::Tasks;
use logic::data_path::{self, Cluster, DataPath, RevisionFacts, RouteFacts, Share, Wish};
use proxy::{Leads, Revision};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// What is steered.
pub(super) struct Steer {
    shared: Arc<Shared>,
    has_kernel: bool,
    targets: BTreeSet<SocketAddr>,
}

/// What `status` tells of.
pub(super) struct Shared {
    pub(super) node: Arc<Node>,
    pub(super) revisions: Mutex<BTreeMap<String, Arc<Revision>>>,
    /// Bursts heard, by revision.
    pub(super) bursts: Mutex<BTreeMap<String, u64>>,
}

impl Steer {
    /// Opens the kernel part, if the file has one; a kernel that cannot redirect is told of, and everything is buffered.
    pub(super) fn open(config: &Config, gateway: &[SocketAddr], tasks: &Tasks) -> Result<Self, Failure> {
        let (node, bursts) = match &config.kernel {
            None => Node::buffering("the file has no `kernel`".to_owned(), tasks),
            Some(kernel) => match Node::open(&settings(kernel, gateway), tasks) {
                Ok(both) => both,
                Err(fault) if fault.is_of_this_machine() => {
                    eprintln!("{fault}: everything is buffered");
                    Node::buffering(fault.to_string(), tasks)
                }
                Err(fault) => return Err(fault.into()),
            },
        };
        let shared = Arc::new(Shared {
            node,
            revisions: Mutex::default(),
            bursts: Mutex::default(),
        });
        tasks.spawn("bursts are counted", count(bursts, Arc::clone(&shared), tasks.clone()));
        Ok(Self {
            shared,
            has_kernel: config.kernel.is_some(),
            targets: BTreeSet::new(),
        })
    }

    /// For the listeners.
    pub(super) fn inside(&self) -> Option<proxy::Inside> {
        self.has_kernel.then(|| self.shared.node.inside())
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    pub(super) fn leave(&self) {
        self.shared.node.leave();
    }

    /// Puts a file in the place of the one before.
    pub(super) fn apply<'a>(&mut self, config: &Config, revisions: impl Iterator<Item = (&'a str, &'a Arc<Revision>)>) {
        let node = &self.shared.node;
        let mut known = BTreeMap::new();
        for (name, revision) in revisions {
            let Some(wanted) = config.revisions.get(name) else {
                continue;
            };
            let pods: Vec<Pod> = wanted.pods.iter().map(pod).collect();
            for (pod, fault) in node.set_revision(name, revision, &pods) {
                eprintln!("pod {pod} is not counted: {fault}");
            }
            node.set_threshold(name, wanted.burst);
            node.flip(name, DataPath::of_revision(&facts(config, name), &cluster(config)));
            known.insert(name.to_owned(), Arc::clone(revision));
        }
        let targets: BTreeSet<_> = config.targets.iter().map(|target| target.address).collect();
        for gone in self.targets.difference(&targets) {
            node.remove_target(*gone);
        }
        for target in &config.targets {
            if let Some(aim) = aim(config, target, &known)
                && let Err(fault) = node.set_target(target.address, aim)
            {
                eprintln!("target {}: {fault}; {}", target.address, fault.advice());
            }
        }
        let mut before = self.shared.revisions.lock().unwrap_or_else(PoisonError::into_inner);
        for name in before.keys().filter(|name| !known.contains_key(*name)) {
            node.remove_revision(name);
        }
        *before = known;
        self.targets = targets;
        node.settle();
    }
}

async fn count(mut bursts: mpsc::Receiver<Burst>, shared: Arc<Shared>, tasks: Tasks) {
    loop {
        let burst = tokio::select! {
            burst = bursts.recv() => burst,
            () = tasks.draining() => None,
        };
        let Some(burst) = burst else { return };
        let mut counted = shared.bursts.lock().unwrap_or_else(PoisonError::into_inner);
        *counted.entry(burst.revision).or_default() += 1;
    }
}

fn settings(kernel: &Kernel, listen: &[SocketAddr]) -> Settings {
    let usual = kernel::Settings::default();
    let given = [&kernel.gateway[..], listen].concat();
    let of = |is_six: bool| {
        let mut fitting = given.iter().filter(|address| address.is_ipv6() == is_six);
        fitting.find(|address| !address.ip().is_unspecified()).copied()
    };
    Settings {
        kernel: kernel::Settings {
            cgroup_root: kernel.cgroup_root.clone(),
            pin_dir: kernel.pin_dir.clone().unwrap_or(usual.pin_dir),
            proc_root: kernel.proc_root.clone().unwrap_or(usual.proc_root),
            object: kernel.object.clone(),
            ..kernel::Settings::default()
        },
        cgroup: kernel.cgroup.clone(),
        exempt_cgroup: None,
        exempt_mark: 0,
        gateway4: of(false),
        gateway6: of(true),
        stale_buffered: STALE_BUFFERED,
    }
}

/// A pod of the file is known by its address.
fn pod(wanted: &super::config::Pod) -> Pod {
    let netns: Option<PathBuf> = wanted.netns().cloned();
    Pod {
        uid: wanted.address().to_string(),
        address: wanted.address(),
        netns,
        takes_requests: true,
        is_remote: false,
    }
}

fn cluster(config: &Config) -> Cluster {
    Cluster {
        request_log: config.log.is_some(),
        ..Cluster::default()
    }
}

fn facts(config: &Config, name: &str) -> RevisionFacts {
    let Some(wanted) = config.revisions.get(name) else {
        return RevisionFacts::default();
    };
    RevisionFacts {
        container_concurrency: wanted.container_concurrency,
        protocol: match wanted.protocol {
            Protocol::H2c => data_path::Protocol::Http2,
            Protocol::Http1 | Protocol::AsClient => data_path::Protocol::Http1,
        },
        wish: None,
        // No autoscaler holds room back.
        excess_burst_capacity: Some(0),
        ready_pods: u32::try_from(wanted.pods.len()).unwrap_or(u32::MAX),
    }
}

fn aim(config: &Config, target: &Target, known: &BTreeMap<String, Arc<Revision>>) -> Option<Aim> {
    let wish = match target.mode {
        Mode::Auto => None,
        Mode::Direct => Some(Wish::Enabled),
        Mode::Buffered => Some(Wish::Disabled),
    };
    let (route, leads) = match (&target.to, &target.host) {
        (Some(name), _) => (only(name), Leads::Revision(Arc::clone(known.get(name)?))),
        (None, Some(host)) => (followed(config, host), Leads::Host(host.as_str().into())),
        (None, None) => return None,
    };
    let route = RouteFacts { wish, ..route };
    let revision = route.only_revision().map(ToOwned::to_owned);
    let of = revision.as_ref().map(|name| facts(config, name));
    Some(Aim {
        path: DataPath::of_route(&route, of.as_ref(), &cluster(config)),
        leads,
        revision,
    })
}

fn only(name: &str) -> RouteFacts {
    RouteFacts {
        shares: vec![Share {
            revision: name.into(),
            percent: 100,
        }],
        ..RouteFacts::default()
    }
}

/// All routes of a host together.
fn followed(config: &Config, host: &str) -> RouteFacts {
    let of_host = |route: &&Route| route.hosts.iter().any(|other| other == host);
    let mut facts = RouteFacts::default();
    for route in config.routes.iter().filter(of_host) {
        facts.header_rule |= !route.headers.is_empty();
        facts.path_rule |= !route.path.is_empty();
        facts.https_only |= route.http_option == HttpOption::Redirected;
        facts.shares.extend(route.to.iter().map(|(name, weight)| Share {
            revision: canonical(config, name).into(),
            percent: (*weight).into(),
        }));
    }
    facts
}

/// As the file's `revisions` spell it.
fn canonical<'a>(config: &'a Config, name: &'a str) -> &'a str {
    let mut known = config.revisions.keys();
    known
        .find(|other| full_name(other) == full_name(name))
        .map_or(name, |found| found.as_str())
}
