// SPDX-License-Identifier: Apache-2.0
//! Bytes that were read and not yet used.
//!
//! Mechanism: a read goes to the stack first, so that a connection that waits holds no buffer; one that filled it is
//! followed by reads into a large buffer, of an eager sender into a larger one, until they bring little.
//! A client that has left is seen to have, though no more of it is read (`Watched`).
//! Invariants: reading may be given up at any time without losing a byte.
//! Depends on: room.

use crate::room::Heads;
use bytes::{Bytes, BytesMut};
use std::future::poll_fn;
use std::io;
use std::mem::{MaybeUninit, take};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::sleep;

/// A first read.
const SMALL: usize = 8 << 10;
/// A read after one that was full.
const LARGE: usize = 64 << 10;
/// A read after a large one that was full, of an eager sender: fewer turns, fewer calls for as many bytes.
const LARGEST: usize = 256 << 10;

/// Between two looks whether a client has left of whom no more is read.
const LOOK: Duration = Duration::from_secs(1);

/// A client's reading half.
pub(crate) trait Watched: AsyncRead + Unpin {
    /// Whether its end has come, behind what is still to be read.
    fn has_left(&self) -> bool;
}

impl Watched for OwnedReadHalf {
    fn has_left(&self) -> bool {
        has_left(self.as_ref())
    }
}

/// By what the runtime has heard of a socket.
pub(crate) fn has_left(socket: &TcpStream) -> bool {
    // Bytes alone do not satisfy this interest; an end, or a reset, does.
    socket.try_io(Interest::PRIORITY, || Ok(())).is_ok()
}

/// A reading half with what it has read ahead.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    pub(crate) io: R,
    pub(crate) buffer: BytesMut,
    /// How much is read at once.
    next: usize,
    /// And at most.
    most: usize,
    heads: Option<Heads>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(crate) fn new(io: R) -> Self {
        Self {
            io,
            buffer: BytesMut::new(),
            next: SMALL,
            most: LARGE,
            heads: None,
        }
    }

    /// For who sends as much as it is let.
    pub(crate) fn eager(self) -> Self {
        Self { most: LARGEST, ..self }
    }

    /// With a part in what all clients may fill.
    pub(crate) fn within(self, heads: Heads) -> Self {
        Self {
            heads: Some(heads),
            ..self
        }
    }

    /// Whether there is room for one more read beside a head that was taken.
    pub(crate) fn has_room(&mut self) -> bool {
        let bytes = self.buffer.len() + self.next;
        self.heads.as_mut().is_none_or(|heads| heads.hold(bytes))
    }

    /// A head of so many bytes was taken and is in use; 0: it is not any more.
    pub(crate) fn uses(&mut self, head: usize) {
        let bytes = self.buffer.len();
        if let Some(heads) = &mut self.heads {
            heads.head(head);
            // What was counted while it was read is no less.
            heads.hold(bytes);
        }
    }

    /// Reads more; false at the end.
    pub(crate) async fn fill(&mut self) -> io::Result<bool> {
        poll_fn(|context| self.poll_fill(context)).await
    }

    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let length = if self.next > SMALL {
            self.buffer.reserve(self.next);
            ready!(pin!(self.io.read_buf(&mut self.buffer)).poll(context))?
        } else {
            let mut stack = [MaybeUninit::uninit(); SMALL];
            let mut read = ReadBuf::uninit(&mut stack);
            ready!(Pin::new(&mut self.io).poll_read(context, &mut read))?;
            self.buffer.extend_from_slice(read.filled());
            read.filled().len()
        };
        self.next = match length {
            LARGE.. => self.most,
            SMALL.. => LARGE,
            _ => SMALL,
        };
        Poll::Ready(Ok(length > 0))
    }

    /// Cuts off so many bytes; no more than there are.
    pub(crate) fn take(&mut self, length: usize) -> Bytes {
        match length >= self.buffer.len() {
            true => take(&mut self.buffer).freeze(),
            false => self.buffer.split_to(length).freeze(),
        }
    }

    /// Nothing is expected for a while: gives back what is not needed.
    pub(crate) fn rest(&mut self) {
        self.next = SMALL;
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }
}

impl<R: Watched> Reader<R> {
    /// Waits for this, during which nothing is read, for as long as the client is there; `None`: it has left. What is done
    /// at once costs nothing more.
    pub(crate) async fn unless_left<T>(&mut self, done: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = done => Some(done),
            () = self.left() => None,
        }
    }

    async fn left(&mut self) {
        loop {
            sleep(LOOK).await;
            if self.io.has_left() {
                return;
            }
        }
    }

    /// Reads ahead, at most so many bytes, and returns when the other side has ended.
    pub(crate) async fn end(&mut self, most: usize) {
        while self.buffer.len() < most && self.has_room() {
            if !matches!(self.fill().await, Ok(true)) {
                return;
            }
        }
        if !self.io.has_left() {
            self.left().await;
        }
    }
}
