// SPDX-License-Identifier: Apache-2.0
//! The node's part: kernel and request path as one. It knows no Kubernetes.
//!
//! Problem: pods must be counted and clients steered on this node, by who tells which pods and addresses there are; a daemon
//! that hangs must not keep clients from the cluster's own way; one that was killed must find everything as it left it.
//! Mechanism: `book` gives pods and revisions their numbers in the maps, `counting` tracks and reads, `steering` keeps the
//! targets and tells clients to come anew, `heartbeat` beats while the main loop goes round, `bursts` passes on what cannot
//! wait for the next tick.
//! Invariants: a list of pods is written before the word that names it; a revision is direct only while every fact says so
//! (`logic::data_path`); without a kernel that redirects everything works, buffered.
//! Depends on: kernel, proxy, logic (data_path), life.

mod balance;
mod book;
mod bursts;
mod counting;
mod heartbeat;
mod steering;

pub(crate) use book::{Pod, PodError};
pub(crate) use bursts::Burst;
pub(crate) use counting::Reading;
pub(crate) use steering::{Aim, Standing};

use counting::Counting;
use heartbeat::Heartbeat;
use kernel::{Configuration, Hooks, Kernel, Pulse, Support, Tier, host};
use life::Tasks;
use logic::data_path::DataPath;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use steering::Steering;
use tokio::sync::mpsc;

/// Between two rounds of the main loop.
const ROUND: Duration = Duration::from_millis(100);
/// A heartbeat older than this leaves buffered targets alone where the cluster has a way of its own (design 3.3).
pub(crate) const STALE_BUFFERED: Duration = Duration::from_secs(1);
/// One older than this leaves all targets alone.
pub(crate) const STALE_DIRECT: Duration = Duration::from_secs(15);
/// Bursts that may wait to be heard; more are dropped: the first ones say it all.
const BURSTS: usize = 1024;

/// Where things are.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Places and room of the maps.
    pub(crate) kernel: kernel::Settings,
    /// The cgroup above those of pods: below it servers are counted and clients redirected.
    pub(crate) cgroup: PathBuf,
    /// Whose processes are never redirected; none: this process's own cgroup.
    pub(crate) exempt_cgroup: Option<PathBuf>,
    /// Sockets with this mark are not, either; 0: there is none.
    pub(crate) exempt_mark: u32,
    /// Where buffered clients go, IPv4.
    pub(crate) gateway4: Option<SocketAddr>,
    /// Where buffered clients go, IPv6.
    pub(crate) gateway6: Option<SocketAddr>,
    /// A heartbeat older than this leaves buffered targets alone.
    pub(crate) stale_buffered: Duration,
}

/// Why the kernel's part cannot work here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    /// Loading and adopting.
    #[error(transparent)]
    Open(#[from] kernel::OpenError),
    /// Attaching.
    #[error(transparent)]
    Attach(#[from] kernel::AttachError),
    /// Telling the programs their settings.
    #[error(transparent)]
    Configure(#[from] kernel::CallError),
    /// The cgroup that is exempt.
    #[error("the cgroup of this process could not be found")]
    Own(#[source] std::io::Error),
    /// The heartbeat, the events.
    #[error("a thread of the node could not be started")]
    Thread(#[source] std::io::Error),
    /// The kernel counts connections: one that is idle would be a request in flight.
    #[error("this kernel cannot count requests: {0}")]
    NoRequests(String),
    /// The kernel counts, but does not redirect.
    #[error("this kernel cannot redirect connections: {0}")]
    NoRedirection(String),
}

impl NodeError {
    /// Whether this machine lacks something that nobody can give it now: [`Node::buffering`] does instead.
    pub(crate) fn is_of_this_machine(&self) -> bool {
        matches!(
            self,
            Self::NoRequests(_)
                | Self::NoRedirection(_)
                | Self::Open(kernel::OpenError::NoTier { .. })
                | Self::Attach(kernel::AttachError::Unsupported { .. })
        )
    }
}

/// This node.
pub(crate) struct Node {
    kernel: Option<Arc<Kernel>>,
    /// Why everything is buffered.
    obstacle: Option<String>,
    state: Mutex<State>,
    lookup: Arc<steering::Origins>,
    bursts: mpsc::Sender<Burst>,
    _heartbeat: Option<Heartbeat>,
}

struct State {
    counting: Counting,
    steering: Steering,
}

impl Node {
    /// Loads the programs or adopts those of a daemon before, attaches them, beats from now on. Call it when the gateway
    /// listens. Bursts come out of the channel.
    ///
    /// # Errors
    /// What the kernel part lacks; [`Node::buffering`] is what remains then.
    pub(crate) fn open(settings: &Settings, tasks: &Tasks) -> Result<(Arc<Self>, mpsc::Receiver<Burst>), NodeError> {
        // Loading takes a while; clients of the daemon before are not left alone meanwhile.
        let loading = Heartbeat::loading(Pulse::find(&settings.kernel)).map_err(NodeError::Thread)?;
        let kernel = Kernel::open(settings.kernel.clone())?;
        if let Tier::Connections { why } = kernel.tier() {
            return Err(NodeError::NoRequests(why.clone()));
        }
        if let Support::No { why } = kernel.features().redirect() {
            return Err(NodeError::NoRedirection(why));
        }
        kernel.configure(&configuration(settings)?)?;
        let hooks = Hooks {
            account: true,
            redirect: true,
        };
        kernel.beat(kernel::monotonic());
        kernel.attach(&settings.cgroup, hooks)?;
        let kernel = Arc::new(kernel);
        let (heartbeat, progress) = Heartbeat::start(&kernel).map_err(NodeError::Thread)?;
        drop(loading);
        let (node, heard) = Self::new(Some(Arc::clone(&kernel)), &settings.kernel, None, Some(heartbeat));
        bursts::forward(&kernel, &node, tasks).map_err(NodeError::Thread)?;
        node.go_round(tasks, move || progress.made());
        Ok((node, heard))
    }

    /// A node without a kernel part: everything is buffered, and the path alone counts.
    pub(crate) fn buffering(why: String, tasks: &Tasks) -> (Arc<Self>, mpsc::Receiver<Burst>) {
        let (node, heard) = Self::new(None, &kernel::Settings::default(), Some(why), None);
        node.go_round(tasks, || {});
        (node, heard)
    }

    fn new(
        kernel: Option<Arc<Kernel>>,
        room: &kernel::Settings,
        obstacle: Option<String>,
        heartbeat: Option<Heartbeat>,
    ) -> (Arc<Self>, mpsc::Receiver<Burst>) {
        let (bursts, heard) = mpsc::channel(BURSTS);
        let lookup = Arc::new(steering::Origins::default());
        let state = State {
            counting: Counting::adopt(kernel.clone(), room),
            steering: Steering::new(kernel.clone(), Arc::clone(&lookup)),
        };
        let node = Self {
            kernel,
            obstacle,
            state: Mutex::new(state),
            lookup,
            bursts,
            _heartbeat: heartbeat,
        };
        (Arc::new(node), heard)
    }

    /// What a listener that redirected clients may reach must know.
    pub(crate) fn inside(&self) -> proxy::Inside {
        let (kernel, lookup) = (self.kernel.clone(), Arc::clone(&self.lookup));
        proxy::Inside {
            origin: Arc::new(move |peer, local| {
                // A look-up that fails is as one that finds nothing: the host decides.
                let target = kernel.as_ref()?.target_of(peer, local).ok()??;
                lookup.get(target)
            }),
        }
    }

    /// Why everything is buffered, if it is.
    pub(crate) fn obstacle(&self) -> Option<&str> {
        self.obstacle.as_deref()
    }

    /// Declares a revision with all its pods on this node or elsewhere; those that are not listed any more are forgotten.
    /// What went wrong with single pods comes back: they get no direct connection. Call it before the path is given new
    /// pods: a connection that stands before its pod is tracked is never counted.
    pub(crate) fn set_revision(
        &self,
        name: &str,
        path: &Arc<proxy::Revision>,
        pods: &[Pod],
    ) -> Vec<(String, PodError)> {
        let bursts = self.bursts.clone();
        let whose = name.to_owned();
        path.held.ring(move || {
            // Full: somebody is late to hear of others.
            drop(bursts.try_send(Burst::held(&whose)));
        });
        let mut state = self.state();
        let (backends, faults) = state.counting.set_pods(name, path, pods);
        state.steering.set_pods(name, backends);
        faults
    }

    /// Forgets a revision; its targets are buffered.
    pub(crate) fn remove_revision(&self, name: &str) {
        let mut state = self.state();
        state.steering.remove_revision(name);
        state.counting.remove(name);
    }

    /// What the autoscaler, and all that is known of the revision, say about it: one word a target.
    pub(crate) fn flip(&self, revision: &str, path: DataPath) {
        self.state().steering.flip(revision, path);
    }

    /// Steers clients that connect to an address.
    ///
    /// # Errors
    /// The maps have no room.
    pub(crate) fn set_target(&self, address: SocketAddr, aim: Aim) -> Result<(), kernel::TargetError> {
        self.state().steering.set_target(address, aim)
    }

    /// Leaves an address alone again.
    pub(crate) fn remove_target(&self, address: SocketAddr) {
        self.state().steering.remove_target(address);
    }

    /// After the first whole picture: what a daemon before had and nobody declared again is forgotten.
    pub(crate) fn settle(&self) {
        let mut state = self.state();
        state.counting.settle();
        state.steering.settle();
    }

    /// Before this process stops to listen: buffered addresses are left to the cluster's own way.
    pub(crate) fn leave(&self) {
        self.state().steering.leave();
    }

    /// An event when a revision has so many requests in flight on this node; 0: none.
    pub(crate) fn set_threshold(&self, revision: &str, in_flight: u64) {
        self.state().counting.set_threshold(revision, in_flight);
    }

    /// What a revision has in flight, on pods of this node and held here.
    pub(crate) fn reading(&self, revision: &str) -> Option<Reading> {
        self.state().counting.reading(revision)
    }

    /// What each of a revision's pods has in flight, by uid: as the kernel counts or the path knows, whoever knows of more.
    pub(crate) fn loads(&self, revision: &str) -> HashMap<String, u64> {
        self.state().counting.loads(revision)
    }

    /// The same of one pod, which may be gone: 0.
    pub(crate) fn load(&self, revision: &str, uid: &str) -> u64 {
        self.state().counting.load(revision, uid)
    }

    /// What the kernel counted of one pod, and when (ns of CLOCK_MONOTONIC); none where it does not count.
    pub(crate) fn counts_of(&self, revision: &str, uid: &str) -> Option<(u64, kernel::Counts)> {
        self.state().counting.counts_of(revision, uid)
    }

    /// How clients of a revision come to it, whatever their address adds.
    pub(crate) fn way(&self, revision: &str) -> Option<DataPath> {
        self.state().steering.way(revision)
    }

    /// How the targets stand.
    pub(crate) fn targets(&self) -> Vec<Standing> {
        self.state().steering.standing()
    }

    fn go_round(self: &Arc<Self>, tasks: &Tasks, made: impl Fn() + Send + Sync + 'static) {
        let (node, drained) = (Arc::downgrade(self), tasks.clone());
        tasks.spawn("node", async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(ROUND) => {}
                    // Requests that end now need no balance; the heart stops with the node.
                    () = drained.draining() => return,
                }
                let Some(node) = node.upgrade() else { return };
                let mut state = node.state();
                let State { counting, steering } = &mut *state;
                for (revision, loads) in counting.round(|name| steering.hands_over(name)) {
                    steering.balance(&revision, &loads);
                }
                made();
            }
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl bursts::Hear for Node {
    fn hear(&self, revision: kernel::RevisionId, in_flight: u64) {
        let burst = self.state().counting.name_of(revision).map(|name| Burst {
            revision: name.to_owned(),
            in_flight: Some(in_flight),
        });
        if let Some(burst) = burst {
            // As above.
            drop(self.bursts.try_send(burst));
        }
    }
}

fn configuration(settings: &Settings) -> Result<Configuration, NodeError> {
    let own = || host::cgroup_of(&settings.kernel.proc_root, std::process::id());
    let exempt = settings
        .exempt_cgroup
        .clone()
        .map_or_else(own, Ok)
        .map_err(NodeError::Own)?;
    let exempt = std::fs::metadata(exempt).map_err(NodeError::Own)?.ino();
    Ok(Configuration {
        exempt_cgroup: exempt,
        exempt_mark: settings.exempt_mark,
        gateway4: settings.gateway4,
        gateway6: settings.gateway6,
        stale_buffered: settings.stale_buffered,
        stale_direct: STALE_DIRECT,
        ..Configuration::default()
    })
}
