// SPDX-License-Identifier: Apache-2.0
//! The words of the limiter: what goes in and what comes out.
//!
//! Depends on: nothing.

/// A pod, or another place that takes requests: the caller's own number, one a pod's life (not its address: a pod that
/// comes back keeps its count, a new pod with an old address starts at none).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodId(pub u64);

/// A node's daemon, as the caller numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// Whose daemon counts a pod's slots (design 4.1: the one on the pod's own node).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// This daemon: it grants and refuses.
    Here,
    /// That node's daemon: it must be asked.
    Peer(NodeId),
}

/// One pod of the revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodSpec {
    /// Which one.
    pub id: PodId,
    /// Who counts its slots.
    pub home: Home,
    /// Whether it takes new requests; false while it drains.
    pub accepting: bool,
}

/// Where this daemon stands among those in the path of the revision (data-plane spec 3.4, assignment).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activators {
    /// Its place in the sorted list; `None` while it is not in it, and then every pod is its own.
    pub index: Option<u32>,
    /// How many there are; 0 before it is known.
    pub count: u32,
}

/// A request in the limiter. It is used up by the request's end; an old one is recognised and ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

impl Ticket {
    /// A small number that no other request in the limiter has now: an index for what the caller keeps beside it.
    #[must_use]
    pub fn index(self) -> usize {
        self.slot as usize
    }
}

/// How many requests may be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueBound {
    /// So many may wait, however many run.
    Waiting(u32),
    /// So many may wait or run: Knative's breaker, queue depth plus maximum (data-plane spec 3.4).
    Present(u64),
}

/// What does not change in a revision's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Requests a pod may run at once; 0: any number.
    pub container_concurrency: u32,
    /// How many requests may be held.
    pub queue: QueueBound,
    /// How many bytes the waiting requests may hold together.
    pub queue_bytes: u64,
    /// Whether pods outside of this daemon's slice are asked when the slice is full.
    pub beyond_slice: bool,
    /// Whether a shared address (no pod known by itself) is bounded by the revision's capacity at this daemon.
    pub gated: bool,
}

impl Settings {
    /// Requests that may wait for a revision at one daemon (design 4.1).
    pub const DEPTH: u32 = 10_000;
    /// Bytes that they may hold together.
    pub const BYTES: u64 = 64 << 20;

    /// Sluice's own: the slice only says whom to ask first.
    #[must_use]
    pub fn new(container_concurrency: u32) -> Self {
        Self {
            container_concurrency,
            queue: QueueBound::Waiting(Self::DEPTH),
            queue_bytes: Self::BYTES,
            beyond_slice: true,
            gated: true,
        }
    }

    /// Knative's throttler: the slice is all there is, and the queue holds 10 000 + 2147483647 (data-plane spec 3.4).
    #[must_use]
    pub fn like_knative(container_concurrency: u32) -> Self {
        Self {
            queue: QueueBound::Present(u64::from(Self::DEPTH) + 2_147_483_647),
            queue_bytes: u64::MAX,
            beyond_slice: false,
            ..Self::new(container_concurrency)
        }
    }
}

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// As many are held as may be.
    #[error("pending request queue full")]
    QueueFull,
    /// It would not fit into the bytes that may wait.
    #[error("pending request queue full")]
    QueueBytesFull,
    /// No slot is free now, and the caller did not want to wait.
    #[error("no slot is free")]
    Busy,
}

impl Refusal {
    /// The HTTP status for the client; `Retry-After` goes with it (design 4.1).
    #[must_use]
    pub fn status(self) -> u16 {
        503
    }
}

/// A question to a pod's own node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// For which request; report `granted` or `refused`.
    pub ticket: Ticket,
    /// For a slot of which pod.
    pub pod: PodId,
    /// Whom to ask.
    pub node: NodeId,
    /// The number of its offer that is taken up by this, if it is.
    pub offer: Option<u64>,
}

/// What becomes of a request now.
#[must_use = "a request that starts or waits must be ended, else its slot is lost"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It runs on this pod.
    Start(Ticket, PodId),
    /// The pod's own node is to be asked.
    Ask(Ask),
    /// It waits; an `Effect` tells when that is over.
    Wait(Ticket),
    /// It is not in the limiter.
    Refused(Refusal),
}

/// What the caller has to do because of something that happened to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// A waiting request runs on this pod now.
    Start(Ticket, PodId),
    /// For a waiting request the pod's own node is to be asked.
    Ask(Ask),
    /// Tell this peer that a slot of this pod is kept for it, under this number, until it asks or declines.
    Offer(NodeId, PodId, u64),
    /// Tell this peer that the slot which it keeps under this number is not wanted any more.
    Decline(NodeId, PodId, u64),
}

/// Why a pod's own node did not take a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebuff {
    /// It has no slot for it; it remembers who asked, under this number, and will offer.
    Busy(u64),
    /// It does not answer, so nobody will offer: not asked again until it is back (`peer_gone`) or pods are listed.
    Unreachable,
}

/// What a pod's own node answers a peer.
#[must_use = "a granted slot must be given back"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The slot is its own until this ticket ends.
    Granted(Ticket),
    /// Not now, or not here; the number is for `Rebuff::Busy`.
    Busy(u64),
}

/// How many there are of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// This daemon's own requests on pods.
    pub running: u32,
    /// Requests for which a peer is being asked.
    pub asking: u32,
    /// Requests that wait.
    pub waiting: u32,
    /// Bytes that these hold.
    pub waiting_bytes: u64,
    /// Bytes held by those for which a peer is being asked.
    pub asking_bytes: u64,
    /// Peers' requests on pods of this node.
    pub for_peers: u32,
    /// Slots kept for peers.
    pub offered: u32,
}

impl Counts {
    /// This daemon's own requests, running or not.
    #[must_use]
    pub fn present(&self) -> u64 {
        u64::from(self.running) + u64::from(self.asking) + u64::from(self.waiting)
    }
}
