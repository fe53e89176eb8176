// SPDX-License-Identifier: Apache-2.0
//! Counts the streams that the `h2` crate answers itself: those beyond `Limits::streams`, and heads far above `request_head`.
//!
//! Problem: h2 tells nobody.
//! Mechanism: the frames that go to the client are walked for RST_STREAM with REFUSED_STREAM (RFC 9113 6.4), and for a head on a
//! stream that h2 has not handed out. Refusals that we have asked for are known, and counted elsewhere; the rest are h2's.
//! Invariants: what goes out is not changed, delayed or kept.
//! Depends on: room, walk.

use super::walk::{Step, Walk};
use crate::room::{Limit, Room};
use h2::Reason;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// The kinds of frames that an answer is made of, and that ends a stream.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;

/// What of a connection is counted elsewhere.
#[derive(Debug, Default)]
struct Known {
    /// Refusals of ours that are not on their way yet.
    refusals: AtomicU64,
    /// The last stream that h2 has handed out: it hands them out in their order.
    last: AtomicU32,
}

/// The refusals of a connection.
pub(super) struct Refusals {
    room: Room,
    known: Arc<Known>,
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
        self.known.refusals.fetch_add(1, Relaxed);
    }

    /// A stream was handed out: what answers it is not h2.
    pub(super) fn handed_out(&self, stream: u32) {
        self.known.last.store(stream, Relaxed);
    }

    /// Looks at what is written to the client.
    pub(super) fn watch<W>(&self, io: W) -> Watched<W> {
        Watched {
            io,
            walk: Walk::default(),
            code: None,
            sent: 0,
            room: self.room.clone(),
            known: Arc::clone(&self.known),
        }
    }
}

/// A writing half whose frames are looked at.
pub(super) struct Watched<W> {
    io: W,
    walk: Walk,
    /// The payload's number so far, if it is a RST_STREAM's.
    code: Option<u32>,
    /// Frames and KiB of answers that went out: as many frames that are no request may come for their sake (`incoming`).
    pub(super) sent: u32,
    room: Room,
    known: Arc<Known>,
}

impl<W> Watched<W> {
    fn went_out(&mut self, bytes: &[u8]) {
        let (code, sent, known, room) = (&mut self.code, &mut self.sent, &self.known, &self.room);
        self.walk.over(bytes, |step| match step {
            Step::Head(head) => {
                *code = (head.kind == RST_STREAM).then_some(0);
                if matches!(head.kind, DATA | HEADERS) {
                    let kib = u32::try_from(head.length >> 10).unwrap_or(u32::MAX);
                    *sent = sent.saturating_add(1).saturating_add(kib);
                }
                if head.kind == HEADERS && head.stream > known.last.load(Relaxed) {
                    room.refused(Limit::RequestHead);
                }
            }
            Step::Payload(payload) => *code = code.map(|code| payload.iter().fold(code, add)),
            Step::End if *code == Some(Reason::REFUSED_STREAM.into()) => {
                let refusals = &known.refusals;
                let ours = refusals.fetch_update(Relaxed, Relaxed, |known| known.checked_sub(1));
                if ours.is_err() {
                    room.refused(Limit::Streams);
                }
            }
            Step::End => {}
        });
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

fn add(code: u32, byte: &u8) -> u32 {
    code << 8 | u32::from(*byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http2::walk::tests::frame;

    #[test]
    fn only_what_is_not_ours_is_counted() {
        let room = Room::default();
        let refusals = Refusals::new(&room);
        let mut out = refusals.watch(());
        refusals.known();
        refusals.handed_out(3);
        // A payload that looks like a refusal is none.
        let inner = frame(RST_STREAM, 0, 1, &u32::from(Reason::REFUSED_STREAM).to_be_bytes());
        let all = [
            frame(4, 0, 0, &[]),
            frame(0, 0, 1, &inner),
            inner.clone(),
            frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes()),
            inner.clone(),
            frame(HEADERS, 4, 1, &[0; 300]),
            frame(HEADERS, 4, 3, &[]),
            frame(HEADERS, 5, 5, &[0; 3]),
            inner,
        ];
        // However it is cut.
        for piece in all.concat().chunks(7) {
            out.went_out(piece);
        }
        let counted: Vec<_> = room.refusals().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [(Limit::Streams, 2), (Limit::RequestHead, 1)]);
    }
}
