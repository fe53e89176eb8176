// SPDX-License-Identifier: Apache-2.0
//! How a connection ends in the middle of something.
//!
//! Problem: what lasts until its connection ends, an answer without a length or a tunnel, looks whole if that ends as
//! connections do (RFC 9112 8); and whoever drops a socket's half ends it so.
//! Mechanism: a half is told when such a thing is on its way, and when it is whole. In between its end is a reset, whatever
//! brings it about: no goodbye in TLS, and a socket that throws away what was not sent.
//! Invariants: a connection that is in the middle of nothing ends as connections do.
//! Depends on: tokio.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A writing half that knows whether its end would be too early.
pub(crate) trait Ending: AsyncWrite + Unpin {
    /// From now on its end would be, or would not be any more.
    fn is_amid(&mut self, is_amid: bool);
}

/// The writing half of a plain socket.
#[derive(Debug)]
pub(crate) struct Writing {
    /// `None`: it was taken out.
    half: Option<OwnedWriteHalf>,
    is_amid: bool,
}

impl Writing {
    /// The socket, as long as it has not ended.
    pub(crate) fn socket(&self) -> Option<&TcpStream> {
        self.half.as_ref().map(OwnedWriteHalf::as_ref)
    }

    /// One socket with its other half again.
    pub(crate) fn reunite(mut self, reader: OwnedReadHalf) -> Option<TcpStream> {
        reader.reunite(self.half.take()?).ok()
    }

    fn half(&mut self) -> io::Result<Pin<&mut OwnedWriteHalf>> {
        self.half.as_mut().map(Pin::new).ok_or_else(too_early)
    }
}

impl From<OwnedWriteHalf> for Writing {
    fn from(half: OwnedWriteHalf) -> Self {
        Self {
            half: Some(half),
            is_amid: false,
        }
    }
}

/// What who ends it too early gets to know.
pub(crate) fn too_early() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

/// Makes the end of a socket a reset; one that cannot be is over already.
pub(crate) fn sever(socket: &TcpStream) {
    drop(socket.set_zero_linger());
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(half) = self.half.take_if(|_| self.is_amid) {
            sever(half.as_ref());
            // Dropped, it would send an end before the reset.
            half.forget();
        }
    }
}

impl Ending for Writing {
    fn is_amid(&mut self, is_amid: bool) {
        self.is_amid = is_amid;
    }
}

impl AsyncWrite for Writing {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.half()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.half()?.poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.half()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.is_amid {
            true => Poll::Ready(Err(too_early())),
            false => self.half()?.poll_shutdown(context),
        }
    }
}
