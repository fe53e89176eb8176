// SPDX-License-Identifier: Apache-2.0
//! Two halves as one stream again, with what was read ahead first, and looked at as it passes.
//!
//! Depends on: incoming, reader, refusals.

use super::incoming::Incoming;
use super::refusals::Watched;
use crate::reader::Reader;
use bytes::Buf as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream of two halves.
pub(super) struct Whole<R, W> {
    pub(super) reader: Reader<R>,
    pub(super) writer: Watched<W>,
    pub(super) incoming: Incoming,
}

impl<R: AsyncRead + Unpin, W> Whole<R, W> {
    fn poll_some(&mut self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let ahead = &mut self.reader.buffer;
        if ahead.is_empty() {
            return Pin::new(&mut self.reader.io).poll_read(context, into);
        }
        let length = ahead.len().min(into.remaining());
        into.put_slice(ahead.get(..length).unwrap_or_default());
        ahead.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<R: AsyncRead + Unpin, W: Unpin> AsyncRead for Whole<R, W> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = self.poll_some(context, into);
        let whole = &mut *self;
        match read {
            Poll::Ready(Ok(())) => {
                let bytes = into.filled().get(before..).unwrap_or_default();
                Poll::Ready(whole.incoming.came_in(bytes, &mut whole.writer.sent))
            }
            Poll::Ready(Err(fault)) => Poll::Ready(Err(fault)),
            Poll::Pending => whole.incoming.poll_open(context).map(Err),
        }
    }
}

impl<R: Unpin, W: AsyncWrite + Unpin> AsyncWrite for Whole<R, W> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.writer.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(context)
    }
}
