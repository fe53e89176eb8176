// SPDX-License-Identifier: Apache-2.0
//! The bytes of a connection to a pod: over a socket of this daemon, or over the daemon of the pod's own node.
//!
//! Mechanism: the latter is a stream of HTTP/2 whose data are the bytes (`peers`): whoever speaks to the pod need not know.
//! A tunnel that ends with the trailer `CLEAN` leaves the connection fit for another request; any other end closes it, and one
//! that is too early resets it.
//! Invariants: data is sent as the window allows; windows are given back as the reader takes what filled them.
//! Depends on: ending, h2, tokio.

use crate::ending::{Ending, Writing};
use bytes::{Buf as _, Bytes};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::any::Any;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;

/// The trailer of a tunnel whose connection may be used again.
pub(crate) const CLEAN: HeaderName = HeaderName::from_static("sluice-clean");

/// The reset of a tunnel in the middle of what lasts until its end (RFC 9113 8.5); the pod's connection is to end as this one did.
/// Any other stream that was not ended is cancelled: nobody waits for an answer any more.
pub(crate) const SEVERED: Reason = Reason::CONNECT_ERROR;

/// What the pod says.
#[derive(Debug)]
pub(crate) enum FromPod {
    Socket(OwnedReadHalf),
    Peer(FromPeer),
}

/// What the pod is told.
pub(crate) enum ToPod {
    Socket(Writing),
    Peer(ToPeer),
}

/// Bytes out of a tunnel.
#[derive(Debug)]
pub(crate) struct FromPeer {
    body: RecvStream,
    rest: Bytes,
}

/// Bytes into a tunnel.
pub(crate) struct ToPeer {
    out: SendStream<Bytes>,
    /// Its end would be too early.
    is_amid: bool,
    /// Counts the tunnel among those of its connection.
    _line: Arc<dyn Any + Send + Sync>,
}

impl FromPeer {
    pub(crate) fn new(body: RecvStream) -> Self {
        let rest = Bytes::new();
        Self { body, rest }
    }
}

impl ToPeer {
    pub(crate) fn new(out: SendStream<Bytes>, line: Arc<dyn Any + Send + Sync>) -> Self {
        Self {
            out,
            is_amid: false,
            _line: line,
        }
    }

    /// Ends the tunnel; its connection is fit for another request.
    pub(crate) fn end_clean(mut self) {
        let mut trailers = HeaderMap::new();
        trailers.insert(CLEAN, HeaderValue::from_static("1"));
        // If it cannot be said, the tunnel is over already.
        drop(self.out.send_trailers(trailers));
    }
}

impl Drop for ToPeer {
    fn drop(&mut self) {
        if self.is_amid {
            self.out.send_reset(SEVERED);
        }
    }
}

impl std::fmt::Debug for ToPod {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(match self {
            Self::Socket(_) => "Socket",
            Self::Peer(_) => "Peer",
        })
    }
}

impl AsyncRead for FromPod {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Socket(half) => Pin::new(half).poll_read(context, into),
            Self::Peer(half) => half.poll_read(context, into),
        }
    }
}

impl FromPeer {
    fn poll_read(&mut self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(self.body.poll_data(context)) {
                Some(Ok(data)) => self.rest = data,
                Some(Err(fault)) => return Poll::Ready(Err(broken(fault))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.rest.len().min(into.remaining());
        into.put_slice(self.rest.get(..length).unwrap_or_default());
        self.rest.advance(length);
        // A stream that is over needs no window.
        drop(self.body.flow_control().release_capacity(length));
        Poll::Ready(Ok(()))
    }
}

impl Ending for ToPod {
    fn is_amid(&mut self, is_amid: bool) {
        match self {
            Self::Socket(half) => half.is_amid(is_amid),
            Self::Peer(half) => half.is_amid = is_amid,
        }
    }
}

impl AsyncWrite for ToPod {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Socket(half) => Pin::new(half).poll_write(context, bytes),
            Self::Peer(half) => half.poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Socket(half) => Pin::new(half).poll_write_vectored(context, slices),
            Self::Peer(half) => {
                let first = slices.iter().find(|slice| !slice.is_empty());
                half.poll_write(context, first.map_or(&[], |slice| slice))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self, Self::Socket(_))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Socket(half) => Pin::new(half).poll_flush(context),
            Self::Peer(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Socket(half) => Pin::new(half).poll_shutdown(context),
            Self::Peer(half) => Poll::Ready(half.out.send_data(Bytes::new(), true).map_err(broken)),
        }
    }
}

impl ToPeer {
    fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.out.reserve_capacity(bytes.len());
        let mut room = self.out.capacity();
        while room == 0 {
            room = match ready!(self.out.poll_capacity(context)) {
                Some(Ok(room)) => room,
                Some(Err(fault)) => return Poll::Ready(Err(broken(fault))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
        }
        let piece = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        let sent = self.out.send_data(Bytes::copy_from_slice(piece), false);
        Poll::Ready(sent.map(|()| piece.len()).map_err(broken))
    }
}

fn broken(fault: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, fault)
}
