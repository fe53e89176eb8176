// SPDX-License-Identifier: Apache-2.0
//! Clients that the kernel redirected here: what they asked for, and when they had better come again.
//!
//! Problem: a client inside the cluster connects to the address of a Service and ends up at the gateway; its `Host` need not
//! say which Service it was. When the way becomes a direct one, it must connect anew, and no request may fail by that.
//! Mechanism: an accepted connection is looked up once; an `Origin` is shared by all connections that were redirected from one
//! address, and tells them by a watch where requests go now and when to end: HTTP/1 with the next answer
//! (`Connection: close`), HTTP/2 by GOAWAY.
//! Each connection takes a moment of
//! its own within `SPREAD`: who connects anew is sent where there is least to do, which must be known by then.
//! Invariants: an idle HTTP/1 connection is never closed under its client's hands; one look at an atomic a request.
//! Depends on: message, revision.

use crate::message::Peer;
use crate::revision::Revision;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Within this time after they are sent off, clients end their connections.
const SPREAD: Duration = Duration::from_secs(1);

/// Where requests of redirected clients go.
#[derive(Clone)]
pub enum Leads {
    /// To this revision, whatever they say.
    Revision(Arc<Revision>),
    /// By the routes, as if this was their `Host`.
    Host(Box<str>),
}

/// An address inside the cluster that clients are redirected from.
pub struct Origin {
    now: watch::Sender<Now>,
}

#[derive(Clone)]
struct Now {
    leads: Leads,
    /// How often clients were asked to connect anew.
    farewells: u64,
}

impl Origin {
    /// An address that leads there.
    #[must_use]
    pub fn new(leads: Leads) -> Arc<Self> {
        let now = watch::Sender::new(Now { leads, farewells: 0 });
        Arc::new(Self { now })
    }

    /// Requests from now on go there, on open connections too.
    pub fn lead(&self, leads: Leads) {
        self.now.send_modify(|now| now.leads = leads);
    }

    /// Clients that are connected now end their connections with an answer within a second, or their next one after it, and
    /// so connect anew.
    pub fn send_off(&self) {
        self.now.send_modify(|now| now.farewells += 1);
    }

    /// How many connections of such clients are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.now.receiver_count()
    }
}

/// Finds what the client of an accepted connection asked for, by its own address and ours.
pub type Lookup = dyn Fn(SocketAddr, SocketAddr) -> Option<Arc<Origin>> + Send + Sync;

/// What a listener for clients inside the cluster knows besides: it looks connections up, and believes Knative's headers
/// that name a revision (they come from another gateway or activator).
#[derive(Clone)]
pub struct Inside {
    /// Asked once a connection.
    pub origin: Arc<Lookup>,
}

/// A client's connection, as it came in.
#[derive(Clone)]
pub(crate) struct Arrival {
    pub(crate) peer: Peer,
    origin: Option<Seen>,
}

#[derive(Clone)]
struct Seen {
    watched: watch::Receiver<Now>,
    now: Now,
    /// What `farewells` was when it came.
    farewells: u64,
    /// When it goes.
    leaves: Option<Instant>,
}

impl Arrival {
    pub(crate) fn new(peer: SocketAddr, local: Option<SocketAddr>, inside: Option<&Inside>) -> Self {
        let origin = local
            .zip(inside)
            .and_then(|(local, inside)| (inside.origin)(peer, local));
        let origin = origin.map(|origin| {
            let watched = origin.now.subscribe();
            let now = watched.borrow().clone();
            let farewells = now.farewells;
            Seen {
                watched,
                now,
                farewells,
                leaves: None,
            }
        });
        let peer = Peer::new(peer);
        Self { peer, origin }
    }

    /// Where a request that comes now goes; `None`: as it says itself.
    pub(crate) fn leads(&mut self) -> Option<&Leads> {
        let seen = self.origin.as_mut()?;
        seen.refresh();
        Some(&seen.now.leads)
    }

    /// Whether this connection is to end with the next answer.
    pub(crate) fn is_sent_off(&mut self) -> bool {
        self.origin
            .as_mut()
            .is_some_and(|seen| seen.leaves().is_some_and(|leaves| leaves <= Instant::now()))
    }

    /// Returns when it is; never for a client that was not redirected.
    pub(crate) async fn sent_off(&mut self) {
        let Some(seen) = &mut self.origin else {
            return std::future::pending().await;
        };
        loop {
            if let Some(leaves) = seen.leaves() {
                return sleep_until(leaves).await;
            }
            if seen.watched.changed().await.is_err() {
                return std::future::pending().await;
            }
            // `changed` has marked it as seen.
            seen.now = seen.watched.borrow_and_update().clone();
        }
    }
}

impl Seen {
    /// When it goes, if it is to.
    fn leaves(&mut self) -> Option<Instant> {
        self.refresh();
        if self.leaves.is_none() && self.now.farewells != self.farewells {
            self.leaves = Some(Instant::now() + SPREAD.mul_f64(fastrand::f64()));
        }
        self.leaves
    }

    fn refresh(&mut self) {
        if self.watched.has_changed().unwrap_or(false) {
            self.now = self.watched.borrow_and_update().clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(origin: &Arc<Origin>) -> Arrival {
        let origin = Arc::clone(origin);
        let inside = Inside {
            origin: Arc::new(move |_, _| Some(Arc::clone(&origin))),
        };
        let address = SocketAddr::from(([10, 0, 0, 1], 1));
        Arrival::new(address, Some(address), Some(&inside))
    }

    #[tokio::test(start_paused = true)]
    async fn open_connections_follow_and_only_they_are_sent_off() {
        let origin = Origin::new(Leads::Host("a".into()));
        let mut first = arrival(&origin);
        assert!(matches!(first.leads(), Some(Leads::Host(host)) if &**host == "a"));
        origin.lead(Leads::Host("b".into()));
        assert!(matches!(first.leads(), Some(Leads::Host(host)) if &**host == "b"));
        assert!(!first.is_sent_off());
        origin.send_off();
        let mut second = arrival(&origin);
        assert!(first.leads().is_some() && !second.is_sent_off());
        let _ = first.is_sent_off();
        tokio::time::advance(SPREAD).await;
        assert!(first.is_sent_off() && !second.is_sent_off());
        assert_eq!(origin.connections(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_hears_of_it_and_nobody_else() {
        let origin = Origin::new(Leads::Host("a".into()));
        let mut told = arrival(&origin);
        let mut stranger = Arrival::new(told.peer.address, None, None);
        let patience = std::time::Duration::from_secs(1);
        assert!(tokio::time::timeout(patience, told.sent_off()).await.is_err());
        origin.lead(Leads::Host("b".into()));
        assert!(tokio::time::timeout(patience, told.sent_off()).await.is_err());
        let later = async {
            tokio::time::sleep(patience).await;
            origin.send_off();
        };
        tokio::join!(told.sent_off(), later);
        drop(origin);
        assert!(tokio::time::timeout(patience, stranger.sent_off()).await.is_err());
    }
}
