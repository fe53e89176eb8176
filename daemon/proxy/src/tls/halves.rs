// SPDX-License-Identifier: Apache-2.0
//! The halves of a TLS connection.
//!
//! Problem: tokio's halves hide the socket, which tells that a client has left of whom no more is read.
//! Mechanism: both halves share the connection behind a lock that nobody waits for: they belong to one task.
//! Depends on: ending, reader.

use crate::ending::{Ending, sever, too_early};
use crate::reader::{Watched, has_left};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

type Shared = Arc<Mutex<TlsStream<TcpStream>>>;

/// What the client says.
pub(crate) struct Reading(Shared);

/// What the client is told.
pub(crate) struct Writing {
    shared: Shared,
    is_amid: bool,
}

/// Splits a connection.
pub(super) fn split(stream: TlsStream<TcpStream>) -> (Reading, Writing) {
    let shared = Arc::new(Mutex::new(stream));
    let writing = Writing {
        shared: Arc::clone(&shared),
        is_amid: false,
    };
    (Reading(shared), writing)
}

fn lock(shared: &Shared) -> MutexGuard<'_, TlsStream<TcpStream>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watched for Reading {
    fn has_left(&self) -> bool {
        has_left(lock(&self.0).get_ref().0)
    }
}

impl AsyncRead for Reading {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.0)).poll_read(context, into)
    }
}

impl Ending for Writing {
    fn is_amid(&mut self, is_amid: bool) {
        self.is_amid = is_amid;
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if self.is_amid {
            sever(lock(&self.shared).get_ref().0);
        }
    }
}

impl AsyncWrite for Writing {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *lock(&self.shared)).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *lock(&self.shared)).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        lock(&self.shared).is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *lock(&self.shared)).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.is_amid {
            true => Poll::Ready(Err(too_early())),
            false => Pin::new(&mut *lock(&self.shared)).poll_shutdown(context),
        }
    }
}
