// SPDX-License-Identifier: Apache-2.0
//! The daemons of other nodes: who they are, asking them, and answering them.
//!
//! Problem: only the daemon on a pod's own node counts its slots (design 4.1), so the others must ask it, whoever comes and goes.
//! Mechanism: to each peer one task holds a session, a control stream that offers and declines go by; asks carry its number.
//! When a session ends both ends forget what was said in it, each its own half, and a new one begins with nothing.
//! Invariants: a session is forgotten before the next one is admitted; who is no member is not answered; what was granted
//! runs on when a peer is taken off the list; a request that was forwarded here is never forwarded again.
//! Depends on: links, owner, revision, pod, limits.

#![expect(
    clippy::disallowed_types,
    reason = "what waits is a word or two of a request at hand, and those are bounded by `Limits` and the limiter's queue"
)]

mod owner;

use crate::limits::Limits;
use crate::links::Links;
use crate::links::control::{Ending, speak};
use crate::links::words::{self, Word, answer};
use crate::message::text;
use crate::pod::{DialFault, Look, Retries};
use crate::revision::Revision;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use life::Tasks;
use logic::limiter::shared::Message;
use logic::limiter::{Activators, Home, NodeId, PodId};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

/// Between two attempts to reach a peer.
const AGAIN: Duration = Duration::from_millis(200);
/// How long a slot is kept for a peer that does not answer.
const KEPT: Duration = Duration::from_secs(1);

/// Another node's daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The node's name.
    pub name: String,
    /// Where its gateway listens for plain HTTP; it asks from the same IP address.
    pub address: SocketAddr,
}

/// This daemon among those of other nodes.
pub struct Peers {
    node: String,
    limits: Limits,
    tasks: Tasks,
    links: Arc<Links>,
    kept: mpsc::UnboundedSender<KeptSlot>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    members: Vec<Member>,
    revisions: Vec<Weak<Revision>>,
}

struct Member {
    peer: Peer,
    id: NodeId,
    /// Dropped when it is no member any more.
    _stays: oneshot::Sender<()>,
}

struct KeptSlot {
    until: Instant,
    revision: Weak<Revision>,
    peer: NodeId,
    offer: u64,
}

/// A peer that has sent something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller(NodeId);

impl Peers {
    /// This node's daemon, alone. `None`: the name cannot stand in a header.
    #[must_use]
    pub fn new(node: &str, limits: Limits, tasks: &Tasks) -> Option<Arc<Self>> {
        let me = HeaderValue::from_str(node).ok()?;
        let (kept, mut offers) = mpsc::unbounded_channel::<KeptSlot>();
        tasks.spawn("offers without an answer", async move {
            let mut queue = VecDeque::new();
            loop {
                // All are kept for the same time, so they end in order.
                let first = queue.front().map(|kept: &KeptSlot| kept.until);
                tokio::select! {
                    kept = offers.recv() => match kept {
                        Some(kept) => queue.push_back(kept),
                        None => return,
                    },
                    () = async { sleep_until(first.unwrap_or_else(Instant::now)).await }, if first.is_some() => {
                        if let Some(kept) = queue.pop_front()
                            && let Some(revision) = kept.revision.upgrade()
                        {
                            revision.limiter.declined(kept.peer, kept.offer);
                        }
                    }
                }
            }
        });
        Some(Arc::new(Self {
            node: node.to_owned(),
            links: Arc::new(Links::new(me, limits.clone(), tasks.clone())),
            limits,
            tasks: tasks.clone(),
            kept,
            state: Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who the others are from now on. What runs at one that is gone runs on.
    pub fn set(self: &Arc<Self>, peers: &[Peer]) {
        let mut gone = Vec::new();
        {
            let mut state = self.state();
            let before = std::mem::take(&mut state.members);
            for member in before {
                match peers.contains(&member.peer) {
                    true => state.members.push(member),
                    false => gone.push(member.id),
                }
            }
            for peer in peers.iter().filter(|peer| peer.name != self.node) {
                if !state.members.iter().any(|member| member.peer.name == peer.name) {
                    state.members.push(self.begin(peer));
                }
            }
        }
        for node in gone {
            self.forget_asker(node, None);
        }
        let place = self.place();
        self.each(|revision| revision.limiter.set_activators(place));
    }

    /// Starts to hold a session with it.
    fn begin(self: &Arc<Self>, peer: &Peer) -> Member {
        let (stays, leaves) = oneshot::channel();
        let id = self.links.number(&peer.name);
        let (peers, address) = (Arc::clone(self), peer.address);
        self.tasks.spawn("peer", async move {
            let sessions = async {
                loop {
                    peers.session(id, address).await;
                    sleep(AGAIN).await;
                }
            };
            tokio::select! {
                () = sessions => {}
                _ = leaves => {}
                () = peers.tasks.draining() => {}
            }
        });
        Member {
            peer: peer.clone(),
            id,
            _stays: stays,
        }
    }

    /// Asks a peer for as long as it can be.
    async fn session(&self, node: NodeId, address: SocketAddr) {
        let (words, mut queue) = mpsc::unbounded_channel();
        let Ok((link, body, out)) = self.links.open(address, words).await else {
            return;
        };
        self.links.publish(node, &link);
        let _withdraw = Withdraw {
            peers: self,
            node,
            link: &link,
        };
        self.each(|revision| revision.limiter.owner_gone(node));
        let hear = |word| {
            if let Word::Offer(namespace, name, pod, offer) = word {
                self.offered(node, &namespace, &name, &pod, offer);
            }
        };
        if speak(body, out, &mut queue, hear).await == Ending::Silent {
            link.bury();
        }
    }

    fn offered(&self, node: NodeId, namespace: &str, name: &str, pod: &str, offer: u64) {
        let revision = self.find(namespace, name);
        let known = revision
            .as_ref()
            .and_then(|revision| revision.pod_at(pod.parse().ok()?));
        match (revision, known) {
            (Some(revision), Some(pod)) => revision.limiter.offered(node, pod.id, offer),
            // A pod that is not known here has no number.
            (Some(revision), None) => revision.limiter.offered(node, PodId(u64::MAX), offer),
            (None, _) => {
                let word = Word::Decline(namespace.to_owned(), name.to_owned(), offer);
                self.links.tell(node, word);
            }
        }
    }

    /// Lets a revision have pods on other nodes.
    pub fn join(self: &Arc<Self>, revision: &Arc<Revision>) {
        let (links, kept, weak) = (Arc::clone(&self.links), self.kept.clone(), Arc::downgrade(revision));
        let tell = move |node: NodeId, message: Message| {
            let Some(revision) = weak.upgrade() else {
                return;
            };
            let (namespace, name) = (revision.identity.namespace.clone(), revision.identity.name.clone());
            match message {
                Message::Offer(pod, offer) => {
                    let until = Instant::now() + KEPT;
                    let revision_of_it = Weak::clone(&weak);
                    // Only at the end of all is there nobody to take it.
                    drop(kept.send(KeptSlot {
                        until,
                        revision: revision_of_it,
                        peer: node,
                        offer,
                    }));
                    if let Some(pod) = revision.pod(pod) {
                        links.tell(node, Word::Offer(namespace, name, pod.address.to_string(), offer));
                    }
                }
                Message::Decline(_, offer) => links.tell(node, Word::Decline(namespace, name, offer)),
            }
        };
        revision.link(Arc::clone(&self.links), Box::new(tell));
        {
            let mut state = self.state();
            state.revisions.retain(|known| known.strong_count() > 0);
            state.revisions.push(Arc::downgrade(revision));
        }
        revision.limiter.set_activators(self.place());
    }

    /// Whose daemon counts the slots of a pod on that node.
    #[must_use]
    pub fn home(&self, node: &str) -> Home {
        match node == self.node {
            true => Home::Here,
            false => Home::Peer(self.links.number(node)),
        }
    }

    /// This daemon's place among all, by name.
    fn place(&self) -> Activators {
        let state = self.state();
        let before = state.members.iter().filter(|member| member.peer.name < self.node);
        Activators {
            index: u32::try_from(before.count()).ok(),
            count: u32::try_from(state.members.len() + 1).unwrap_or(u32::MAX),
        }
    }

    fn each(&self, change: impl Fn(&Revision)) {
        let revisions: Vec<_> = self.state().revisions.iter().filter_map(Weak::upgrade).collect();
        for revision in revisions {
            change(&revision);
        }
    }

    /// The youngest of that name.
    fn find(&self, namespace: &str, name: &str) -> Option<Arc<Revision>> {
        let state = self.state();
        let mut known = state.revisions.iter().rev().filter_map(Weak::upgrade);
        known.find(|revision| revision.identity.namespace == namespace && revision.identity.name == name)
    }

    fn forget_asker(&self, node: NodeId, session: Option<u64>) {
        if self.links.dismiss(node, session) {
            self.each(|revision| revision.limiter.asker_gone(node));
        }
    }

    /// Whether a request comes from another node's daemon: it says so, and comes from where that one is. A certificate will
    /// have to say so here, once nodes have them.
    pub(crate) fn caller(&self, headers: &HeaderMap, from: IpAddr) -> Option<Caller> {
        let name = headers.get(words::NODE)?.to_str().ok()?;
        let state = self.state();
        let is_it = |member: &&Member| {
            member.peer.name == name && member.peer.address.ip().to_canonical() == from.to_canonical()
        };
        state.members.iter().find(is_it).map(|member| Caller(member.id))
    }

    /// Whether a peer is there, which may be who asks from there, or not.
    pub(crate) fn is_at(&self, from: IpAddr) -> bool {
        let state = self.state();
        let mut members = state.members.iter();
        members.any(|member| member.peer.address.ip().to_canonical() == from.to_canonical())
    }

    /// Answers a peer.
    pub(crate) async fn serve(
        &self,
        caller: Caller,
        headers: &HeaderMap,
        body: RecvStream,
        mut respond: SendResponse<Bytes>,
    ) {
        let Ok(session) = text(headers, &words::SESSION).parse() else {
            return drop(say(&mut respond, answer::UNKNOWN, None));
        };
        if headers.contains_key(words::CONTROL) {
            return self.control(caller.0, session, body, respond).await;
        }
        let found = self.find(text(headers, &words::NAMESPACE), text(headers, &words::REVISION));
        let Some(revision) = found.filter(|_| self.links.is_current(caller.0, session)) else {
            return drop(say(&mut respond, answer::UNKNOWN, None));
        };
        let pod = text(headers, &words::POD).parse().ok();
        let pod = pod.and_then(|address| revision.pod_at(address));
        let offer = text(headers, &words::OFFER).parse().ok();
        let id = pod.as_ref().map_or(PodId(u64::MAX), |pod| pod.id);
        let permit = match (revision.limiter.ask(caller.0, id, offer), pod) {
            (Ok(permit), Some(pod)) => (permit, pod),
            (Err(number), _) => {
                let number = (words::NUMBER, number.to_string());
                return drop(say(&mut respond, answer::BUSY, Some(number)));
            }
            (Ok(_), None) => return drop(say(&mut respond, answer::UNKNOWN, None)),
        };
        let (permit, pod) = permit;
        let retries = match headers.contains_key(words::ELSEWHERE) {
            true => Retries::Elsewhere,
            false => Retries::Here,
        };
        let idle = match headers.contains_key(words::FRESH) {
            true => None,
            false => pod.idle(&self.limits, Instant::now(), Look::Socket),
        };
        let stream = match idle {
            Some(stream) => Ok(stream),
            None => tokio::select! {
                dialled = pod.dial(retries) => dialled,
                // The asker has gone.
                _ = std::future::poll_fn(|context| respond.poll_reset(context)) => return,
            },
        };
        match stream {
            Ok(stream) => {
                let word = if stream.is_reused {
                    answer::REUSED
                } else {
                    answer::GRANTED
                };
                if let Some(out) = begin(&mut respond, word) {
                    owner::carry(body, out, stream, &pod, &self.limits, permit).await;
                }
            }
            Err(DialFault::Refused(_, fault)) => {
                let fault = (words::FAULT, fault.to_string());
                drop(say(&mut respond, answer::REFUSED, Some(fault)));
            }
            Err(DialFault::Ours(..)) => drop(say(&mut respond, answer::UNKNOWN, None)),
            Err(_) => drop(say(&mut respond, answer::TIMED_OUT, None)),
        }
    }

    /// A peer's session.
    async fn control(&self, node: NodeId, session: u64, body: RecvStream, mut respond: SendResponse<Bytes>) {
        let (words, mut queue) = mpsc::unbounded_channel();
        // What was said in the one before is forgotten before anything is asked in this one.
        self.forget_asker(node, None);
        self.links.admit(node, session, words);
        if let Some(out) = begin(&mut respond, answer::WELCOME) {
            let hear = |word| {
                if let Word::Decline(namespace, name, offer) = word
                    && let Some(revision) = self.find(&namespace, &name)
                {
                    revision.limiter.declined(node, offer);
                }
            };
            tokio::select! {
                _ = speak(body, out, &mut queue, hear) => {}
                () = self.tasks.draining() => {}
            }
        }
        self.forget_asker(node, Some(session));
    }
}

/// Ends the asking half of a session, however it ends.
struct Withdraw<'a> {
    peers: &'a Peers,
    node: NodeId,
    link: &'a crate::links::Link,
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        self.peers.links.withdraw(self.node, self.link);
        self.peers.each(|revision| revision.limiter.owner_gone(self.node));
    }
}

/// An answer with data to come; `None`: the asker has gone.
fn begin(respond: &mut SendResponse<Bytes>, word: &'static str) -> Option<SendStream<Bytes>> {
    let mut head = Response::new(());
    head.headers_mut().insert(words::ANSWER, HeaderValue::from_static(word));
    respond.send_response(head, false).ok()
}

/// An answer that is all.
fn say(
    respond: &mut SendResponse<Bytes>,
    word: &'static str,
    more: Option<(HeaderName, String)>,
) -> Result<(), h2::Error> {
    let mut head = Response::new(());
    head.headers_mut().insert(words::ANSWER, HeaderValue::from_static(word));
    if let Some((name, value)) = more
        && let Ok(value) = HeaderValue::try_from(value)
    {
        head.headers_mut().insert(name, value);
    }
    respond.send_response(head, true).map(drop)
}
