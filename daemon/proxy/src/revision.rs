// SPDX-License-Identifier: Apache-2.0
//! A revision as the request path knows it: its limiter, its pods, its numbers.
//!
//! Mechanism: made once, found once a request; everything a request needs hangs on it, so no name is looked up twice.
//! A pod whose connection was refused gets nothing new for a second while others take requests.
//! Invariants: the limiter alone decides who runs; a pod keeps its number, and so its count, as long as it is listed.
//! Depends on: durations, held, links, pod, progress, logic::limiter.

use crate::durations::Durations;
use crate::held::Held;
use crate::limits::Limits;
use crate::links::Links;
use crate::pod::Pod;
use crate::progress::Timeouts;
use crate::protocol::PodProtocol;
use logic::limiter::shared::{Message, Outbox, Shared};
use logic::limiter::{self, Backends, Home, Limiter, NodeId, PodId, PodSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a pod that refused a connection gets nothing new.
const SHUNNED: Duration = Duration::from_secs(1);

/// What does not change in a revision's life.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The Service it belongs to, if any.
    pub service: String,
    /// The Configuration it belongs to.
    pub configuration: String,
}

/// Numbers since the beginning.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests that were taken in.
    pub requests: AtomicU64,
    /// Requests now, waiting or running.
    pub in_flight: AtomicU64,
    /// Answers by class, 1xx first; the last one counts requests without an answer.
    pub answers: [AtomicU64; 6],
    /// Requests that were sent to another pod, or again.
    pub retries: AtomicU64,
    /// Requests refused for want of room.
    pub refused: AtomicU64,
    /// Requests that took too long.
    pub overdue: AtomicU64,
    /// How long requests took, waiting included.
    pub durations: Durations,
    /// How long they took from the first time there was room on a pod.
    pub invocations: Durations,
}

impl Counters {
    /// Counts a request that has ended, with that status (0: the client got none); `waited`: until it had room on a pod.
    pub(crate) fn ended(&self, status: u16, took: Duration, waited: Option<Duration>) {
        self.durations.observe(status, took);
        if let Some(waited) = waited {
            self.invocations.observe(status, took.saturating_sub(waited));
        }
        let class = match status {
            100..600 => usize::from(status / 100 - 1),
            _ => 5,
        };
        if let Some(count) = self.answers.get(class) {
            count.fetch_add(1, Relaxed);
        }
    }
}

/// A revision.
pub struct Revision {
    /// Whose requests these are.
    pub identity: Identity,
    /// What a request may take.
    pub timeouts: Timeouts,
    /// What its pods are spoken to in.
    pub protocol: PodProtocol,
    /// Requests that a pod may run at once; 0: any number.
    pub container_concurrency: u32,
    /// The host its pods know, if it is not theirs: `<revision>-private.<namespace>`.
    pub private_host: Box<str>,
    /// Its numbers.
    pub counters: Counters,
    /// Those of its requests that wait.
    pub held: Held,
    pub(crate) limiter: Arc<Shared>,
    pods: RwLock<Arc<BTreeMap<PodId, Arc<Pod>>>>,
    listed: Mutex<Listed>,
    /// Pods that take requests and are not shunned.
    open: AtomicUsize,
    /// The daemons of other nodes, if their pods are listed.
    links: OnceLock<Arc<Links>>,
    tells: Arc<OnceLock<Outbox>>,
    /// Nodes that could not be asked, and will be asked again.
    asks_again: Mutex<BTreeSet<NodeId>>,
    is_removed: watch::Sender<bool>,
}

/// How long a node that could not be asked is left alone.
const LEFT_ALONE: Duration = Duration::from_millis(300);

/// What the limiter is told.
#[derive(Debug, Default)]
struct Listed {
    /// In order; whether it takes requests; whose it is.
    pods: Vec<(Arc<Pod>, bool, Home)>,
    /// Each once.
    shunned: Vec<(PodId, Instant)>,
    next: u64,
}

impl Revision {
    /// A revision without pods: its requests wait.
    #[must_use]
    pub fn new(identity: Identity, timeouts: Timeouts, settings: limiter::Settings) -> Arc<Self> {
        Self::with_protocol(identity, timeouts, settings, PodProtocol::AsClient)
    }

    /// One whose pods are spoken to in this protocol.
    #[must_use]
    pub fn with_protocol(
        identity: Identity,
        timeouts: Timeouts,
        settings: limiter::Settings,
        protocol: PodProtocol,
    ) -> Arc<Self> {
        let limiter = Limiter::new(settings, fastrand::u64(..));
        let tells: Arc<OnceLock<Outbox>> = Arc::default();
        let told = Arc::clone(&tells);
        let outbox = move |node: NodeId, message: Message| {
            if let Some(tell) = told.get() {
                tell(node, message);
            }
        };
        Arc::new(Self {
            private_host: format!("{}-private.{}", identity.name, identity.namespace).into(),
            identity,
            timeouts,
            protocol,
            container_concurrency: settings.container_concurrency,
            counters: Counters::default(),
            held: Held::default(),
            limiter: Shared::new(limiter, Box::new(outbox)),
            pods: RwLock::default(),
            listed: Mutex::default(),
            open: AtomicUsize::new(0),
            links: OnceLock::new(),
            tells,
            asks_again: Mutex::default(),
            is_removed: watch::Sender::new(false),
        })
    }

    /// Nobody will list pods of it any more: what waits for one is told so.
    pub(crate) fn end_waiting(&self) {
        self.is_removed.send_replace(true);
    }

    /// Returns when it was removed.
    pub(crate) async fn removed(&self) {
        // The sender lives as long as this does.
        drop(self.is_removed.subscribe().wait_for(|is_removed| *is_removed).await);
    }

    /// From now on pods of other nodes are asked for by these, and `tell` takes offers to them and declines.
    pub(crate) fn link(&self, links: Arc<Links>, tell: Outbox) {
        // Who came first stays.
        drop(self.links.set(links));
        drop(self.tells.set(tell));
    }

    pub(crate) fn links(&self) -> Option<&Arc<Links>> {
        self.links.get()
    }

    /// A node could not be asked: it is asked again in a moment, also if nothing is heard of it until then.
    pub(crate) fn ask_again(self: &Arc<Self>, node: NodeId, tasks: &life::Tasks) {
        if !self.left_alone().insert(node) {
            return;
        }
        let revision = Arc::clone(self);
        tasks.spawn("node is asked again", async move {
            tokio::time::sleep(LEFT_ALONE).await;
            revision.left_alone().remove(&node);
            revision.limiter.owner_gone(node);
        });
    }

    fn left_alone(&self) -> MutexGuard<'_, BTreeSet<NodeId>> {
        self.asks_again.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists its pods; those with `true` take requests.
    pub fn set_pods(&self, addresses: &[(SocketAddr, bool)]) {
        let here = addresses.iter();
        let here: Vec<_> = here
            .map(|(address, accepting)| (*address, *accepting, Home::Here))
            .collect();
        self.set_placed_pods(&here);
    }

    /// Lists its pods and whose daemon counts their slots (`Peers::home`); those with `true` take requests.
    pub fn set_placed_pods(&self, addresses: &[(SocketAddr, bool, Home)]) {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wanted: Vec<_> = addresses.to_vec();
        wanted.sort_by_cached_key(|(address, ..)| address.to_string());
        wanted.dedup_by_key(|(address, ..)| *address);
        let old = std::mem::take(&mut listed.pods);
        for (address, accepting, home) in wanted {
            let known = old.iter().find(|(pod, ..)| pod.address == address);
            let pod = match known {
                Some((pod, ..)) => Arc::clone(pod),
                None => {
                    listed.next += 1;
                    Arc::new(Pod::new(PodId(listed.next), address))
                }
            };
            listed.pods.push((pod, accepting, home));
        }
        let by_id: BTreeMap<_, _> = listed.pods.iter().map(|(pod, ..)| (pod.id, Arc::clone(pod))).collect();
        // What the limiter may give can be found: first the new ones come, then the old ones go.
        let mut both = by_id.clone();
        both.extend(old.into_iter().map(|(pod, ..)| (pod.id, pod)));
        let found = |pods| *self.pods.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pods);
        found(both);
        self.publish(&mut listed);
        found(by_id);
    }

    /// Its pods, in order.
    pub(crate) fn pods(&self) -> Vec<Arc<Pod>> {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.pods.iter().map(|(pod, ..)| Arc::clone(pod)).collect()
    }

    /// Closes the connections to its pods that were idle for too long.
    pub(crate) fn close_idle(&self, limits: &Limits) {
        let now = Instant::now();
        self.pods().iter().for_each(|pod| pod.close_idle(limits, now));
    }

    pub(crate) fn pod(&self, id: PodId) -> Option<Arc<Pod>> {
        let pods = self.pods.read().unwrap_or_else(PoisonError::into_inner);
        pods.get(&id).map(Arc::clone)
    }

    /// The pod of that address.
    pub(crate) fn pod_at(&self, address: SocketAddr) -> Option<Arc<Pod>> {
        let pods = self.pods.read().unwrap_or_else(PoisonError::into_inner);
        pods.values().find(|pod| pod.address == address).map(Arc::clone)
    }

    /// Whether another pod takes requests than this one.
    pub(crate) fn has_other(&self, pod: &Pod) -> bool {
        self.open.load(Relaxed) > usize::from(pod.is_open.load(Relaxed))
    }

    /// A pod refused a connection: nothing new for it for a while, from the last of those that it refused.
    pub(crate) fn shun(self: &Arc<Self>, id: PodId, tasks: &life::Tasks) {
        let until = Instant::now() + SHUNNED;
        {
            let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, known)) = listed.shunned.iter_mut().find(|(known, _)| *known == id) {
                *known = until;
                return;
            }
            listed.shunned.push((id, until));
            self.publish(&mut listed);
        }
        let revision = Arc::clone(self);
        tasks.spawn("pod is tried again", async move {
            let mut shunned = Some(until);
            while let Some(until) = shunned {
                tokio::time::sleep_until(until).await;
                shunned = revision.forgive(id);
            }
        });
    }

    /// Tells the limiter, if the time of `shun` is over; else until when it is not.
    fn forgive(&self, id: PodId) -> Option<Instant> {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let of_it = listed.shunned.iter().find(|(known, _)| *known == id);
        let until = of_it.map(|(_, until)| *until);
        let more = until.filter(|until| *until > Instant::now());
        if more.is_none() {
            self.publish(&mut listed);
        }
        more
    }

    fn publish(&self, listed: &mut Listed) {
        let now = Instant::now();
        listed.shunned.retain(|(_, until)| *until > now);
        let is_shunned = |pod: &Pod| listed.shunned.iter().any(|(id, _)| *id == pod.id);
        // Shunning all would only make requests wait.
        let mut open = 0;
        for (pod, accepting, _) in &listed.pods {
            let is_open = *accepting && !is_shunned(pod);
            pod.is_open.store(is_open, Relaxed);
            open += usize::from(is_open);
        }
        let spares = open > 0;
        let specs: Vec<PodSpec> = listed
            .pods
            .iter()
            .map(|(pod, accepting, home)| PodSpec {
                id: pod.id,
                home: *home,
                accepting: *accepting && !(spares && is_shunned(pod)),
            })
            .collect();
        self.open.store(open, Relaxed);
        self.limiter.set_backends(Backends::Pods(&specs));
    }

    /// How many requests are in flight on its pods just now, from everywhere: the less loaded get the next ones.
    pub fn set_in_flight(&self, counted: &[(SocketAddr, u32)]) {
        for pod in self.pods() {
            if let Some((_, in_flight)) = counted.iter().find(|(address, _)| *address == pod.address) {
                self.limiter.set_in_flight(pod.id, *in_flight);
            }
        }
    }

    /// How many of its requests have a place on a pod: from before they are written until they have been answered.
    #[must_use]
    pub fn running_on(&self, address: SocketAddr) -> u32 {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pods = listed.pods.iter().map(|(pod, ..)| pod);
        let id = pods.find(|pod| pod.address == address).map(|pod| pod.id);
        drop(listed);
        id.map_or(0, |id| self.limiter.running_on(id))
    }

    /// How many of its requests wait and run.
    #[must_use]
    pub fn counts(&self) -> limiter::Counts {
        self.limiter.counts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logic::limiter::Rebuff;
    use logic::limiter::shared::{Admitted, Asking};

    /// The way to another node.
    async fn asking(admit: impl Future<Output = Result<Admitted, limiter::Refusal>>) -> Asking {
        match admit.await.unwrap() {
            Admitted::AtPeer(asking) => asking,
            Admitted::Here(_) => panic!("no pod is here"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_node_that_could_not_be_asked_is_asked_again() {
        let (identity, tasks) = (Identity::default(), life::Tasks::new());
        let revision = Revision::new(identity, Timeouts::default(), limiter::Settings::new(1));
        let pods = [1, 2].map(|number| {
            let address = SocketAddr::from(([10, 0, 0, number], 80));
            (address, true, Home::Peer(NodeId(number.into())))
        });
        revision.set_placed_pods(&pods);
        let mut waiting = Vec::new();
        for _ in pods {
            // Whoever is refused by one goes on to the other, until nobody is left to be asked.
            let mut admit = revision.limiter.admit(0);
            while let Ok(asking) = tokio::time::timeout(LEFT_ALONE / 10, asking(&mut admit)).await {
                revision.ask_again(asking.ask().node, &tasks);
                admit = asking.refused(Rebuff::Unreachable).unwrap();
            }
            waiting.push(admit);
        }
        let mut asked = Vec::new();
        let mut asks = Vec::new();
        for admit in waiting {
            let asking = tokio::time::timeout(LEFT_ALONE * 2, asking(admit)).await.unwrap();
            asked.push(asking.ask().node);
            asks.push(asking);
        }
        asked.sort();
        assert_eq!(asked, [NodeId(1), NodeId(2)]);
        tasks.gone().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_that_refuses_many_is_shunned_once() {
        let (identity, tasks) = (Identity::default(), life::Tasks::new());
        let revision = Revision::new(identity, Timeouts::default(), limiter::Settings::new(0));
        let addresses = ["10.0.0.1:80", "10.0.0.2:80"].map(|address| (address.parse().unwrap(), true));
        revision.set_pods(&addresses);
        let pod = revision.pods().remove(0);
        revision.shun(pod.id, &tasks);
        tokio::time::sleep(SHUNNED / 2).await;
        for _ in 0..1000 {
            revision.shun(pod.id, &tasks);
        }
        assert_eq!(tasks.running(), 1);
        assert_eq!(revision.listed.lock().unwrap().shunned.len(), 1);
        tokio::time::sleep(SHUNNED * 3 / 4).await;
        assert!(!pod.is_open.load(Relaxed), "the last refusal counts");
        tasks.gone().await;
        assert!(pod.is_open.load(Relaxed));
        assert!(revision.listed.lock().unwrap().shunned.is_empty());
    }
}
