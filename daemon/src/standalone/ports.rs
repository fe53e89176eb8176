// SPDX-License-Identifier: Apache-2.0
//! The ports of a pod that tools know of queue-proxy (design 3.4): 8022, 9090, 9091.
//!
//! Problem: hooks, scrapers and people ask a pod by its address, from the machine, from other pods and from the pod itself, and
//! no process of ours is in it.
//! Mechanism: listeners of this process in the pod's own network namespace (docs/decisions/0017), opened when the pod is ready:
//! then the application has what ports it wants, and no request waits for this.
//! Invariants: who holds such a port already keeps it; a pod that ends has its ports as long as it runs.
//! Depends on: kernel (netns), live, node, proxy.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{Ipv4Addr, TcpListener as Listener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::standalone::runner::Drain as _;
use control::gateway::BackendPod;
use control::key::Key;
use control::settings::Settings;
use kernel::{Counts, Netns};
use life::Tasks;
use life::metrics::Page;
use logic::kpa::{Moment, Reading};
use proxy::{
    Beside, Door, Drainer, Entry, Front, Health, Identity, Limits, Logging, NextHop, Periods, Probes, Revision, Room,
    Stat,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use super::live::Drained;
use crate::figures;
use crate::node::Node;

const ADMIN: u16 = 8022;
const STAT: u16 = 9090;
const METRICS: u16 = 9091;
/// Clients of one of these ports of a pod.
const CONNECTIONS: usize = 64;
/// How long those of a pod that is gone may take to end.
const FAREWELL: Duration = Duration::from_secs(5);

/// The ports of all pods that run here.
pub(super) struct Ports {
    pub(super) node: Arc<Node>,
    pub(super) drained: Drained,
    pub(super) settings: watch::Receiver<Arc<Settings>>,
    pub(super) limits: Limits,
    pub(super) room: Room,
    pub(super) tasks: Tasks,
    /// By UID.
    pub(super) open: HashMap<Box<str>, Open>,
}

/// Those of a pod.
pub(super) struct Open {
    health: Health,
    tasks: Tasks,
}

impl Ports {
    /// A pod that is listed, and its network namespace, if it runs here.
    pub(super) fn keep(&mut self, key: &Key, revision: &Revision, pod: &BackendPod, netns: Option<&PathBuf>) {
        let Some(netns) = netns else { return };
        if !self.open.contains_key(&pod.uid) && pod.is_ready {
            let open = Open {
                health: Health::default(),
                tasks: Tasks::new(),
            };
            self.begin(&open, Of::new(&self.node, key, revision, pod), netns.clone());
            self.open.insert(pod.uid.clone(), open);
        }
        if let Some(open) = self.open.get(&pod.uid).filter(|_| pod.is_ending) {
            open.health.drain();
        }
    }

    /// Closes those of pods that do not run any more.
    pub(super) fn retain(&mut self, is_running: impl Fn(&str) -> bool) {
        let gone: HashSet<Box<str>> = self.open.keys().filter(|uid| !is_running(uid)).cloned().collect();
        for open in gone.iter().filter_map(|uid| self.open.remove(uid)) {
            open.tasks.hurry();
            self.tasks.spawn("ports of a pod that is gone", async move {
                // They have had their time.
                drop(timeout(FAREWELL, open.tasks.gone()).await);
                open.tasks.stop().await;
            });
        }
    }

    fn begin(&self, open: &Open, of: Of, netns: PathBuf) {
        let wants_metrics = {
            let settings = self.settings.borrow();
            let metrics = &settings.observability.request_metrics;
            // Data-plane spec 4.1: where it is told to listen elsewhere, there is none here.
            metrics.protocol == "prometheus" && metrics.endpoint.is_empty()
        };
        let of = Arc::new(of);
        let (drained, uid) = (self.drained.clone(), of.uid.clone());
        let drainer = Drainer::new(open.health.clone(), move || drained.drained(&uid));
        let begun = of
            .reading()
            .unwrap_or_else(|| reading(kernel::monotonic(), &Counts::default()));
        let (of_stat, of_page) = (Arc::clone(&of), Arc::clone(&of));
        let periods = Periods::new(of.name.clone(), begun);
        let mut all = vec![
            (ADMIN, Beside::Admin(Arc::new(drainer))),
            (STAT, Beside::Stat(Arc::new(move || of_stat.stat(&periods)))),
        ];
        if wants_metrics {
            all.push((METRICS, Beside::Metrics(Arc::new(move || of_page.page()))));
        }
        let doors: Vec<_> = all
            .into_iter()
            .map(|(port, beside)| (port, Arc::new(self.door(beside, open))))
            .collect();
        let tasks = open.tasks.clone();
        open.tasks.spawn("ports of a pod", async move {
            let ports: Vec<u16> = doors.iter().map(|(port, _)| *port).collect();
            let listening = tokio::task::spawn_blocking(move || listen(&netns, &ports)).await;
            // A pod that is gone already needs none.
            let Ok(Ok(listeners)) = listening else { return };
            for (listener, (_, door)) in listeners.into_iter().zip(doors) {
                // It is somebody else's, or cannot be used here: as if nobody had asked for it.
                if let Ok(listener) = listener.and_then(TcpListener::from_std) {
                    tasks.spawn("a port of a pod", proxy::listen(listener, door));
                }
            }
        });
    }

    fn door(&self, beside: Beside, open: &Open) -> Door {
        Door {
            entry: Entry::Nowhere,
            front: Front {
                room: self.room.clone(),
                ..Front::default()
            },
            probes: Probes::Beside(beside),
            next: NextHop::App { restore_host: false },
            limits: Limits {
                connections: self.limits.connections.min(CONNECTIONS),
                ..self.limits.clone()
            },
            timeout_text: "",
            cluster_domain: String::new(),
            log: Logging::default(),
            inside: None,
            peers: None,
            health: open.health.clone(),
            tasks: open.tasks.clone(),
        }
    }
}

/// Listeners on these ports in a namespace, or why there is none.
fn listen(netns: &Path, ports: &[u16]) -> Result<Vec<io::Result<Listener>>, kernel::NetnsError> {
    let one = |port: &u16| {
        let listener = Listener::bind((Ipv4Addr::UNSPECIFIED, *port))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    Netns::at(netns)?.run(|| ports.iter().map(one).collect())
}

/// Whose ports they are.
struct Of {
    node: Arc<Node>,
    /// Of its revision, and the name by which the node knows that.
    identity: Identity,
    full: String,
    /// Whether requests at once are limited.
    is_limited: bool,
    uid: String,
    name: String,
}

impl Of {
    fn new(node: &Arc<Node>, key: &Key, revision: &Revision, pod: &BackendPod) -> Self {
        Self {
            node: Arc::clone(node),
            identity: revision.identity.clone(),
            full: key.to_string(),
            is_limited: revision.container_concurrency > 0,
            uid: pod.uid.to_string(),
            name: pod.name.to_string(),
        }
    }

    /// What the kernel counted of it, and when (ns of `CLOCK_MONOTONIC`); none where it does not count.
    fn counts(&self) -> Option<(u64, Counts)> {
        self.node.counts_of(&self.full, &self.uid)
    }

    fn reading(&self) -> Option<Reading> {
        self.counts().map(|(at, counts)| reading(at, &counts))
    }

    /// What it has in flight, whoever knows.
    fn load(&self) -> u64 {
        self.node.load(&self.full, &self.uid)
    }

    /// Means, or where the kernel does not count, what the path has on the pod just now.
    fn stat(&self, periods: &Periods) -> Stat {
        self.reading().map_or_else(
            || Stat {
                pod: self.name.clone(),
                concurrency: self.load() as f64,
                ..Stat::default()
            },
            |reading| periods.tell(reading),
        )
    }

    fn page(&self) -> String {
        let mut page = Page::default();
        let depth = self.is_limited.then(|| self.load());
        figures::of_pod(&mut page, &self.identity, depth, self.counts().as_ref());
        page.text()
    }
}

/// As means are made of it: only the time between two of them counts, whatever the clock.
fn reading(at: u64, counts: &Counts) -> Reading {
    Reading {
        at: Moment::from_unix(Duration::from_nanos(at)),
        integral: counts.integral(at),
        started: counts.core.started,
    }
}
