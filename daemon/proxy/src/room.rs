// SPDX-License-Identifier: Apache-2.0
//! What all listeners may hold together.
//!
//! Mechanism: a counter a resource; who uses some of it holds a `Share`, which gives it back when it is dropped. Small heads
//! are free: they are part of what a connection costs, and so a usual request touches no counter.
//! Invariants: a counter never passes its bound; a share never gives back more than it took.
//! Depends on: nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// A head, or what was read ahead, up to this size is not counted.
pub(crate) const FREE: usize = 16 << 10;

/// What is in use by all listeners that have a clone of it.
#[derive(Debug, Clone, Default)]
pub struct Room(Arc<Counts>);

/// A bound that clients ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `all_connections`: 503, or a closed connection.
    AllConnections,
    /// `all_streams`: the stream is refused.
    AllStreams,
    /// `streams`: the stream is refused.
    Streams,
    /// `all_heads`: 503; within a head of HTTP/2 the connection is closed.
    AllHeads,
    /// `all_response_heads`: 502.
    AllResponseHeads,
    /// `request_head` or `header_count`: 431.
    RequestHead,
    /// `request_body`: 413.
    RequestBody,
    /// `body_time`: 408.
    BodyTime,
    /// `head_time`: the connection is closed within a head, or before its first one.
    HeadTime,
    /// `handshake_time`: the connection is closed within a handshake of TLS.
    HandshakeTime,
    /// `write_time`: who does not read loses its connection or stream.
    WriteTime,
    /// `pending_resets`, or more of other frames than any request needs: GOAWAY with `ENHANCE_YOUR_CALM`.
    PendingResets,
    /// `control_frames`: the connection is closed.
    ControlFrames,
}

impl Limit {
    const ALL: [Self; 13] = [
        Self::AllConnections,
        Self::AllStreams,
        Self::Streams,
        Self::AllHeads,
        Self::AllResponseHeads,
        Self::RequestHead,
        Self::RequestBody,
        Self::BodyTime,
        Self::HeadTime,
        Self::HandshakeTime,
        Self::WriteTime,
        Self::PendingResets,
        Self::ControlFrames,
    ];

    /// The name of the field in `Limits`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AllConnections => "all_connections",
            Self::AllStreams => "all_streams",
            Self::Streams => "streams",
            Self::AllHeads => "all_heads",
            Self::AllResponseHeads => "all_response_heads",
            Self::RequestHead => "request_head",
            Self::RequestBody => "request_body",
            Self::BodyTime => "body_time",
            Self::HeadTime => "head_time",
            Self::HandshakeTime => "handshake_time",
            Self::WriteTime => "write_time",
            Self::PendingResets => "pending_resets",
            Self::ControlFrames => "control_frames",
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    /// In the order of `Limit::ALL`.
    refused: [AtomicU64; Limit::ALL.len()],
    connections: AtomicUsize,
    streams: AtomicUsize,
    heads: AtomicUsize,
    response_heads: AtomicUsize,
    windows: AtomicUsize,
}

/// A part of one resource, until it is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Share {
    room: Room,
    of: fn(&Counts) -> &AtomicUsize,
    amount: usize,
}

impl Room {
    /// How many clients, or requests, each bound refused or ended.
    pub fn refusals(&self) -> impl Iterator<Item = (Limit, u64)> {
        let counts = self.0.refused.iter().map(|count| count.load(Relaxed));
        Limit::ALL.into_iter().zip(counts)
    }

    /// Counts one.
    pub(crate) fn refused(&self, limit: Limit) {
        if let Some(count) = self.0.refused.get(limit as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    fn or_refused(&self, share: Option<Share>, limit: Limit) -> Option<Share> {
        if share.is_none() {
            self.refused(limit);
        }
        share
    }

    /// A place for one more connection.
    pub(crate) fn connection(&self, most: usize) -> Option<Share> {
        let share = self.share(|counts| &counts.connections, 1, most);
        self.or_refused(share, Limit::AllConnections)
    }

    /// A place for one more stream of HTTP/2.
    pub(crate) fn stream(&self, most: usize) -> Option<Share> {
        let share = self.share(|counts| &counts.streams, 1, most);
        self.or_refused(share, Limit::AllStreams)
    }

    /// Room for bytes that a client of HTTP/2 may send before anybody reads them.
    pub(crate) fn window(&self, bytes: u32, most: usize) -> Option<Share> {
        self.share(|counts| &counts.windows, usize::try_from(bytes).ok()?, most)
    }

    /// Room for heads; none is taken yet.
    pub(crate) fn heads(&self, most: usize) -> Heads {
        Heads {
            share: self.empty(|counts| &counts.heads),
            most,
            head: 0,
        }
    }

    /// Room for pods' heads; none is taken yet.
    pub(crate) fn response_heads(&self, most: usize) -> Heads {
        Heads {
            share: self.empty(|counts| &counts.response_heads),
            most,
            head: 0,
        }
    }

    fn share(&self, of: fn(&Counts) -> &AtomicUsize, amount: usize, most: usize) -> Option<Share> {
        let mut share = self.empty(of);
        share.set(amount, most).then_some(share)
    }

    fn empty(&self, of: fn(&Counts) -> &AtomicUsize) -> Share {
        Share {
            room: self.clone(),
            of,
            amount: 0,
        }
    }
}

impl Share {
    /// Makes it as large as that; less always fits. False: it does not fit, and nothing has changed.
    fn set(&mut self, amount: usize, most: usize) -> bool {
        if amount == self.amount {
            return true;
        }
        let counter = (self.of)(&self.room.0);
        let fits = match amount.checked_sub(self.amount) {
            None => {
                counter.fetch_sub(self.amount - amount, Relaxed);
                true
            }
            Some(more) => {
                let grown = |now: usize| now.checked_add(more).filter(|after| *after <= most);
                counter.fetch_update(Relaxed, Relaxed, grown).is_ok()
            }
        };
        if fits {
            self.amount = amount;
        }
        fits
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0, 0);
    }
}

/// The bytes of a connection's or a stream's head, or of a pod's, and of what was read after it.
#[derive(Debug)]
pub(crate) struct Heads {
    share: Share,
    most: usize,
    head: usize,
}

impl Heads {
    /// So many bytes beside the head; whether there is room for them.
    pub(crate) fn hold(&mut self, bytes: usize) -> bool {
        let all = self.head.saturating_add(bytes);
        self.share.set(if all > FREE { all } else { 0 }, self.most)
    }

    /// A head of so many bytes is used from now on; none: it is not any more.
    pub(crate) fn head(&mut self, bytes: usize) {
        self.head = bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_full_takes_one_more_when_one_has_gone() {
        let room = Room::default();
        let first = room.connection(2).unwrap();
        let _second = room.clone().connection(2).unwrap();
        assert!(room.connection(2).is_none());
        drop(first);
        assert!(room.connection(2).is_some());
        assert!(
            Limit::ALL
                .iter()
                .enumerate()
                .all(|(index, limit)| *limit as usize == index)
        );
        let refused = room.refusals().filter(|(_, count)| *count > 0);
        assert_eq!(refused.collect::<Vec<_>>(), [(Limit::AllConnections, 1)]);
        assert!(room.stream(1).is_some());
    }

    proptest! {
        #[test]
        fn heads_never_pass_their_bound_and_all_is_given_back(steps in prop::collection::vec((0_usize..4, 0_usize..200_000), 0..50)) {
            const MOST: usize = 300_000;
            let room = Room::default();
            let mut all: Vec<_> = (0..4).map(|_| room.heads(MOST)).collect();
            for (who, bytes) in steps {
                let before = room.0.heads.load(Relaxed);
                let fits = all[who].hold(bytes);
                let after = room.0.heads.load(Relaxed);
                prop_assert!(after <= MOST);
                prop_assert!(fits || after == before);
                prop_assert!(fits || bytes > FREE);
            }
            drop(all);
            prop_assert_eq!(room.0.heads.load(Relaxed), 0);
        }
    }
}
