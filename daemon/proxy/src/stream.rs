// SPDX-License-Identifier: Apache-2.0
//! A connection to a pod, for one HTTP/1.1 request after the other.
//!
//! Mechanism: it belongs to the runtime that made it; one that is used on another core moves to the runtime there.
//! Invariants: `open` counts it until it is gone; only a connection without bytes in hand moves.
//! Depends on: cores, reader, way.

use crate::cores;
use crate::reader::Reader;
use crate::way::{FromPod, ToPod};
use std::io;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::net::TcpStream;

/// An HTTP/1.1 connection to a pod.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) reader: Reader<FromPod>,
    pub(crate) writer: ToPod,
    /// It has carried a request before.
    pub(crate) is_reused: bool,
    /// The core whose runtime it belongs to.
    home: usize,
    _open: Option<Open>,
}

/// Counts a connection for as long as it is open.
#[derive(Debug)]
pub(crate) struct Open(Arc<AtomicUsize>);

impl Open {
    pub(crate) fn count(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// How closely an idle connection is looked at before it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// At what the runtime knows: costs nothing, and may miss an end of this very moment. For requests that may be repeated.
    Known,
    /// At the socket itself.
    Socket,
}

impl Look {
    /// At a connection for a request that may be repeated or not.
    pub(crate) fn before(may_repeat: bool) -> Self {
        match may_repeat {
            true => Self::Known,
            false => Self::Socket,
        }
    }
}

impl Stream {
    /// One that was just made on this core.
    pub(crate) fn new(reader: Reader<FromPod>, writer: ToPod, open: Option<Open>) -> Self {
        Self {
            reader,
            writer,
            is_reused: false,
            home: cores::here(),
            _open: open,
        }
    }

    /// For use on this core; `None`: it is over.
    pub(crate) fn here(self, look: Look) -> Option<Self> {
        if self.home == cores::here() {
            return self.is_quiet(look).then_some(self);
        }
        // Another runtime has heard nothing of it yet.
        if !self.is_quiet(Look::Socket) {
            return None;
        }
        let (reader, writer) = match (self.reader.io, self.writer) {
            (FromPod::Socket(reader), ToPod::Socket(writer)) => {
                let socket = writer.reunite(reader)?.into_std().ok()?;
                let (reader, writer) = TcpStream::from_std(socket).ok()?.into_split();
                (FromPod::Socket(reader), ToPod::Socket(writer.into()))
            }
            granted => granted,
        };
        Some(Self {
            reader: Reader::new(reader).eager(),
            writer,
            home: cores::here(),
            ..self
        })
    }

    /// Neither the end nor unasked bytes wait in the socket.
    fn is_quiet(&self, look: Look) -> bool {
        let is_idle = |fault: io::Error| fault.kind() == io::ErrorKind::WouldBlock;
        match look {
            Look::Known => match &self.reader.io {
                FromPod::Socket(half) => half.try_read(&mut [0]).is_err_and(is_idle),
                // Granted just now.
                FromPod::Peer(_) => true,
            },
            Look::Socket => match &self.writer {
                ToPod::Socket(half) => {
                    let peek = |half| socket2::SockRef::from(half).peek(&mut [MaybeUninit::uninit()]);
                    half.socket().is_some_and(|half| peek(half).is_err_and(is_idle))
                }
                ToPod::Peer(_) => true,
            },
        }
    }
}
