// SPDX-License-Identifier: Apache-2.0
//! Two daemons, and a pod that only the second one may give away.

use crate::rig::{app, ask, door, get, revision};
use crate::unread;
use life::Tasks;
use logic::limiter::{self, Home};
use proxy::{Door, Entry, Limits, Peer, Peers, PodProtocol, Probes, Revision};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;

/// A good while more than daemons are silent before they are taken for dead.
const MEANWHILE: Duration = Duration::from_secs(6);

/// One of them.
struct Daemon {
    name: &'static str,
    peers: Arc<Peers>,
    gateway: SocketAddr,
    /// What its `Peers` starts.
    of_peers: Tasks,
}

/// The one that is asked first, and the pod's own.
struct Two {
    tasks: Tasks,
    here: Daemon,
    there: Daemon,
}

impl Two {
    async fn with_pod(pod: SocketAddr, tasks: Tasks) -> Self {
        let (here, revision) = Daemon::start("here", &tasks).await;
        let (there, owned) = Daemon::start("there", &tasks).await;
        here.peers.set(&[there.peer()]);
        there.peers.set(&[here.peer()]);
        revision.set_placed_pods(&[(pod, true, here.peers.home("there"))]);
        owned.set_placed_pods(&[(pod, true, Home::Here)]);
        Self { tasks, here, there }
    }

    /// Looks at the tasks before it ends them: the `h2` crate that is built for tests minds to be dropped with streams open.
    async fn stop(self) {
        for tasks in [&self.here.of_peers, &self.there.of_peers, &self.tasks] {
            assert!(tasks.panics().is_empty(), "{:?}", tasks.panics());
        }
        for tasks in [&self.here.of_peers, &self.there.of_peers, &self.tasks] {
            tasks.stop().await;
        }
    }
}

impl Daemon {
    async fn start(name: &'static str, tasks: &Tasks) -> (Self, Arc<Revision>) {
        // Where any number may run nobody is asked.
        let settings = limiter::Settings::new(100);
        let revision = revision(PodProtocol::Http1, settings, Duration::from_secs(120));
        let of_peers = Tasks::new();
        let peers = Peers::new(name, Limits::default(), &of_peers).unwrap();
        peers.join(&revision);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = listener.local_addr().unwrap();
        let door = Door {
            probes: Probes::Activator,
            peers: Some(Arc::clone(&peers)),
            ..door(Entry::Only(Arc::clone(&revision)), tasks)
        };
        tasks.spawn("listener", proxy::listen(listener, Arc::new(door)));
        let daemon = Self {
            name,
            peers,
            gateway,
            of_peers,
        };
        (daemon, revision)
    }

    fn peer(&self) -> Peer {
        Peer {
            name: self.name.to_owned(),
            address: self.gateway,
        }
    }
}

#[tokio::test]
async fn a_peer_that_is_taken_off_the_list_leaves_quietly() {
    let tasks = Tasks::new();
    let two = Two::with_pod(app(&tasks).await, tasks).await;
    // There is a session by then.
    assert_eq!(ask(two.here.gateway, get("/")).await.status, 200);
    two.here.peers.set(&[]);
    let of_peers = &two.here.of_peers;
    let left = async {
        // What takes back offers stays.
        while of_peers.running() > 1 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), left).await.unwrap();
    assert!(of_peers.panics().is_empty(), "{:?}", of_peers.panics());
    two.stop().await;
}

#[tokio::test]
async fn who_does_not_read_holds_up_no_other_request_through_a_peer() {
    let tasks = Tasks::new();
    let two = Two::with_pod(unread::pod(&tasks).await, tasks).await;
    let stuck = unread::downloads(two.here.gateway).await;
    unread::others_are_answered(two.here.gateway, MEANWHILE).await;
    unread::go_on(stuck).await;
    two.stop().await;
}

#[tokio::test]
async fn nor_does_a_pod_that_does_not_read() {
    let tasks = Tasks::new();
    let two = Two::with_pod(unread::pod(&tasks).await, tasks).await;
    // By then the connection between them is known for what it is.
    assert_eq!(ask(two.here.gateway, get("/")).await.status, 200);
    unread::uploads(two.here.gateway, &two.tasks).await;
    unread::others_are_answered(two.here.gateway, MEANWHILE).await;
    two.stop().await;
}
