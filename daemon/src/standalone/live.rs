// SPDX-License-Identifier: Apache-2.0
//! What the controllers and the runner are told by the data plane of this process.
//!
//! Mechanism: the node's counters, asked when somebody wants to know; bursts are passed on with the revision's key.
//! Invariants: nothing here waits, but for `drained`.
//! Depends on: node, control (live), standalone (drain).

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ::standalone::runner::Drain;
use control::key::Key;
use control::live::{Bursts, Live, LivePod, Load};
use logic::kpa::{Moment, Reading};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use crate::node::{Burst, Node};

/// Between two looks at a pod that ends.
const LOOK: Duration = Duration::from_millis(20);
/// A pod that ends rests so long first (design 3.4): a client that was told of it may have connected and said nothing yet.
const QUIET: Duration = Duration::from_secs(1);
/// After so long there is nothing to tell: without a service there is no programme.
const FIRST: Duration = Duration::from_secs(15);

/// A pod as the plane was told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its revision.
    pub(super) revision: Key,
    /// Whether it gets new requests.
    pub(super) takes_requests: bool,
}

/// The pods there are.
#[derive(Default)]
struct Pods {
    /// By UID.
    all: HashMap<String, Listed>,
    of: HashMap<Key, Vec<String>>,
}

impl Pods {
    fn replace(&mut self, revision: &Key, pods: HashMap<String, Listed>) {
        for uid in self.of.remove(revision).unwrap_or_default() {
            self.all.remove(&uid);
        }
        if !pods.is_empty() {
            self.of.insert(revision.clone(), pods.keys().cloned().collect());
        }
        self.all.extend(pods);
    }
}

/// What is known of the data plane.
pub(super) struct Told {
    node: Arc<Node>,
    bursts: Bursts,
    programmed: watch::Sender<u64>,
    pods: Mutex<Pods>,
    /// Nanoseconds between CLOCK_MONOTONIC and Unix time, taken once: readings never jump.
    epoch: u64,
    since: Instant,
    /// The gateway takes no clients any more.
    is_closed: AtomicBool,
}

impl Told {
    pub(super) fn new(node: Arc<Node>) -> Arc<Self> {
        let unix = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let unix = u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX);
        Arc::new(Self {
            node,
            bursts: Bursts::new(),
            programmed: watch::Sender::new(0),
            pods: Mutex::default(),
            epoch: unix.saturating_sub(kernel::monotonic()),
            since: Instant::now(),
            is_closed: AtomicBool::new(false),
        })
    }

    /// From now on no pod gets new requests, whatever is listed.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Relaxed);
    }

    /// This version runs.
    pub(super) fn runs(&self, version: u64) {
        self.programmed.send_replace(version);
    }

    /// All pods of these revisions, by UID.
    pub(super) fn list<'a>(&self, revisions: impl Iterator<Item = (&'a Key, HashMap<String, Listed>)>) {
        let mut pods = self.known();
        revisions.for_each(|(revision, listed)| pods.replace(revision, listed));
    }

    fn known(&self) -> MutexGuard<'_, Pods> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes bursts on until the node is gone.
    pub(super) async fn forward(self: Arc<Self>, mut bursts: mpsc::Receiver<Burst>, tasks: life::Tasks) {
        loop {
            let burst = tokio::select! {
                burst = bursts.recv() => burst,
                () = tasks.draining() => None,
            };
            let Some(burst) = burst else { return };
            if let Some((namespace, name)) = burst.revision.split_once('/') {
                self.bursts.tell(Key::new(namespace, name));
            }
        }
    }

    fn reading(&self, revision: &Key) -> Option<crate::node::Reading> {
        self.node.reading(&revision.to_string())
    }
}

impl Live for Told {
    fn load(&self, revision: &Key) -> Option<Load> {
        let reading = self.reading(revision)?;
        Some(Load {
            reading: Reading {
                at: Moment::from_unix(Duration::from_nanos(self.epoch.saturating_add(reading.at))),
                integral: reading.integral,
                started: reading.started,
            },
            in_flight: reading.in_flight.saturating_add(reading.held),
            held: reading.held,
        })
    }

    fn pods(&self, revision: &Key) -> Vec<LivePod> {
        let in_flight = self.node.loads(&revision.to_string());
        let pods = self.known();
        let ours = pods.of.get(revision).into_iter().flatten();
        let ours = ours.filter_map(|uid| Some((uid, pods.all.get(uid)?)));
        ours.map(|(uid, listed)| LivePod {
            uid: uid.clone(),
            in_flight: in_flight.get(uid).copied().unwrap_or_default(),
            is_ready: listed.takes_requests,
        })
        .collect()
    }

    fn is_held(&self, revision: &Key) -> bool {
        // A revision without pods is buffered by the word that took its last pod away.
        self.node.reading(&revision.to_string()).is_some()
    }

    fn programmed(&self) -> watch::Receiver<u64> {
        self.programmed.subscribe()
    }

    fn expect(&self, revision: &Key, in_flight: u64) {
        self.node.set_threshold(&revision.to_string(), in_flight);
    }

    fn bursts(&self) -> Bursts {
        self.bursts.clone()
    }
}

/// Lets pods end when they have no requests; it is there before the data plane is, and pods that a killed daemon left may ask
/// it before anything is known of them.
#[derive(Clone, Default)]
pub(super) struct Drained {
    told: watch::Sender<Option<Arc<Told>>>,
}

impl Drained {
    /// From now on it is known.
    pub(super) fn know(&self, told: &Arc<Told>) {
        self.told.send_replace(Some(Arc::clone(told)));
    }
}

impl std::fmt::Debug for Drained {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Drained").finish_non_exhaustive()
    }
}

impl Drain for Drained {
    fn drained(&self, uid: &str) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (mut known, uid) = (self.told.subscribe(), uid.to_owned());
        Box::pin(async move {
            // Nobody will tell any more: it ended before it began.
            let Ok(told) = known.wait_for(Option::is_some).await.map(|told| told.clone()) else {
                return;
            };
            let Some(told) = told else { return };
            let mut rests_since = None;
            loop {
                match told.work(&uid) {
                    Work::Some => rests_since = None,
                    Work::None if rests_since.get_or_insert_with(Instant::now).elapsed() < QUIET => {}
                    Work::None | Work::Over => return,
                }
                sleep(LOOK).await;
            }
        })
    }
}

impl Told {
    fn work(&self, uid: &str) -> Work {
        let is_closed = self.is_closed.load(Relaxed);
        let listed = self.known().all.get(uid).cloned();
        let Some(listed) = listed else {
            // The first programme has all pods that may have requests.
            let is_first = *self.programmed.borrow() == 0;
            let may_have = is_first && !is_closed && self.since.elapsed() < FIRST;
            return if may_have { Work::Some } else { Work::Over };
        };
        let has_requests = || self.node.load(&listed.revision.to_string(), uid) > 0;
        match (listed.takes_requests && !is_closed || has_requests(), is_closed) {
            (true, _) => Work::Some,
            (false, false) => Work::None,
            // Nobody is sent here any more.
            (false, true) => Work::Over,
        }
    }
}

/// What a pod has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// It gets requests or has some, or nobody knows yet.
    Some,
    /// It has none, and gets none but of who was sent to it a moment ago.
    None,
    /// Nor can one come.
    Over,
}
