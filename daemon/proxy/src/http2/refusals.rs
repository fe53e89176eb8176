// SPDX-License-Identifier: Apache-2.0
//! Counts the streams that the `h2` crate refuses beyond `Limits::streams`.
//!
//! Problem: h2 refuses them itself, and tells nobody.
//! Mechanism: the frames that go to the client are walked, by their lengths, for RST_STREAM with REFUSED_STREAM (RFC 9113 6.4).
//! Those that we have asked for are known, and counted elsewhere; the rest are h2's.
//! Invariants: what goes out is not changed, delayed or kept; however it is cut in writes, a frame is seen once.
//! Depends on: room.

use crate::room::{Limit, Room};
use h2::Reason;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// The kind of frame that ends a stream.
const RST_STREAM: u8 = 3;
/// Bytes before a frame's payload.
const HEAD: usize = 9;

/// The refusals of a connection.
pub(super) struct Refusals {
    room: Room,
    /// Ours that are not on their way yet.
    known: Arc<AtomicU64>,
}

impl Refusals {
    /// Counted in `room`.
    pub(super) fn new(room: &Room) -> Self {
        Self {
            room: room.clone(),
            known: Arc::default(),
        }
    }

    /// One is about to be sent that is counted elsewhere.
    pub(super) fn known(&self) {
        self.known.fetch_add(1, Relaxed);
    }

    /// Looks at what is written to the client.
    pub(super) fn watch<W>(&self, io: W) -> Watched<W> {
        Watched {
            io,
            walk: Walk::default(),
            room: self.room.clone(),
            known: Arc::clone(&self.known),
        }
    }
}

/// A writing half whose frames are looked at.
pub(super) struct Watched<W> {
    io: W,
    walk: Walk,
    room: Room,
    known: Arc<AtomicU64>,
}

impl<W> Watched<W> {
    fn went_out(&mut self, bytes: &[u8]) {
        for _ in 0..self.walk.over(bytes) {
            let ours = self.known.fetch_update(Relaxed, Relaxed, |known| known.checked_sub(1));
            if ours.is_err() {
                self.room.refused(Limit::Streams);
            }
        }
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Watched<W> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        if let Poll::Ready(Ok(length)) = written {
            self.went_out(bytes.get(..length).unwrap_or_default());
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        if let Poll::Ready(Ok(mut left)) = written {
            for slice in slices {
                let length = left.min(slice.len());
                self.went_out(slice.get(..length).unwrap_or_default());
                left -= length;
            }
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// Where in a row of frames it is.
#[derive(Default)]
struct Walk {
    /// Of the frame's head, while it is not whole.
    head: Vec<u8>,
    /// Bytes of the payload that are still to come.
    left: usize,
    /// The payload's number so far, if it is a RST_STREAM's.
    code: Option<u32>,
}

impl Walk {
    /// Goes on; how many streams were refused on the way.
    fn over(&mut self, mut bytes: &[u8]) -> usize {
        let mut refused = 0;
        while !bytes.is_empty() {
            if self.left > 0 {
                let (payload, rest) = bytes.split_at_checked(self.left).unwrap_or((bytes, &[]));
                self.left -= payload.len();
                self.code = self.code.map(|code| payload.iter().fold(code, add));
                refused += usize::from(self.left == 0 && self.code == Some(Reason::REFUSED_STREAM.into()));
                bytes = rest;
            } else if let (true, Some((head, rest))) = (self.head.is_empty(), bytes.split_first_chunk()) {
                self.begin(head);
                bytes = rest;
            } else {
                let (part, rest) = bytes.split_at_checked(HEAD - self.head.len()).unwrap_or((bytes, &[]));
                self.head.extend_from_slice(part);
                bytes = rest;
                if let Some(head) = self.head.first_chunk().copied() {
                    self.head = Vec::new();
                    self.begin(&head);
                }
            }
        }
        refused
    }

    fn begin(&mut self, [long, middle, short, kind, ..]: &[u8; HEAD]) {
        self.left = usize::from(*long) << 16 | usize::from(*middle) << 8 | usize::from(*short);
        self.code = (*kind == RST_STREAM).then_some(0);
    }
}

fn add(code: u32, byte: &u8) -> u32 {
    code << 8 | u32::from(*byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [length[1], length[2], length[3], kind, 0, 0, 0, 0, 1];
        [&head[..], payload].concat()
    }

    #[test]
    fn only_refusals_are_counted_and_ours_are_known() {
        let room = Room::default();
        let refusals = Refusals::new(&room);
        let mut out = refusals.watch(());
        refusals.known();
        // A payload that looks like a refusal is none.
        let inner = frame(RST_STREAM, &u32::from(Reason::REFUSED_STREAM).to_be_bytes());
        let all = [
            frame(4, &[]),
            frame(0, &inner),
            inner.clone(),
            frame(RST_STREAM, &8_u32.to_be_bytes()),
            inner.clone(),
            frame(1, &[0; 300]),
            inner,
        ];
        out.went_out(&all.concat());
        let counted: Vec<_> = room.refusals().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [(Limit::Streams, 2)]);
    }

    proptest! {
        #[test]
        fn however_it_is_cut_each_frame_is_seen_once(
            frames in prop::collection::vec((0_u8..10, 0_usize..40, any::<bool>()), 0..30),
            cuts in prop::collection::vec(1_usize..30, 1..20),
        ) {
            let due = frames.iter().filter(|(.., refuses)| *refuses).count();
            let bytes: Vec<u8> = frames.iter().flat_map(|(kind, length, refuses)| match refuses {
                true => frame(RST_STREAM, &u32::from(Reason::REFUSED_STREAM).to_be_bytes()),
                false if *kind == RST_STREAM => frame(RST_STREAM, &[0, 0, 0, 8]),
                false => frame(*kind, &vec![7; *length]),
            }).collect();
            let (mut walk, mut seen, mut rest) = (Walk::default(), 0, &bytes[..]);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                seen += walk.over(now);
                rest = later;
            }
            prop_assert_eq!(seen, due);
        }
    }
}
