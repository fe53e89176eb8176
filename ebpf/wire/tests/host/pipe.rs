// SPDX-License-Identifier: Apache-2.0
//! The transport of an oracle: bytes go in by hand, what it writes comes out by hand, and it is polled by hand.
//!
//! No clock, no runtime: after every byte it is known exactly what the oracle has understood.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Default)]
struct Inner {
    input: VecDeque<u8>,
    ended: bool,
    output: Vec<u8>,
    shut: bool,
}

/// One end of a connection.
#[derive(Clone, Default)]
pub struct Pipe(Arc<Mutex<Inner>>);

impl Pipe {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
    pub fn feed(&self, bytes: &[u8]) {
        self.inner().input.extend(bytes);
    }
    pub fn end(&self) {
        self.inner().ended = true;
    }
    /// What was written since.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.inner().output)
    }
    pub fn is_shut(&self) -> bool {
        self.inner().shut
    }

    fn pull(&self, room: usize) -> Option<Vec<u8>> {
        let mut inner = self.inner();
        let count = room.min(inner.input.len());
        if count == 0 && !inner.ended {
            None
        } else {
            Some(inner.input.drain(..count).collect())
        }
    }
    fn push(&self, bytes: &[u8]) -> usize {
        self.inner().output.extend_from_slice(bytes);
        bytes.len()
    }
    fn shut(&self) {
        self.inner().shut = true;
    }
}

impl hyper::rt::Read for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.pull(buf.remaining()) {
            Some(bytes) => {
                buf.put_slice(&bytes);
                Poll::Ready(Ok(()))
            }
            None => Poll::Pending,
        }
    }
}

impl hyper::rt::Write for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.push(buf)))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut();
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.pull(buf.remaining()) {
            Some(bytes) => {
                buf.put_slice(&bytes);
                Poll::Ready(Ok(()))
            }
            None => Poll::Pending,
        }
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.push(buf)))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut();
        Poll::Ready(Ok(()))
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A future polled by hand until it has nothing to do.
pub struct Task<T>(Option<Pin<Box<dyn Future<Output = T>>>>, Option<T>);

impl<T> Task<T> {
    pub fn new(future: impl Future<Output = T> + 'static) -> Self {
        Self(Some(Box::pin(future)), None)
    }

    /// Runs until nothing is left to do; whether it has finished.
    pub fn run(&mut self) -> bool {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(flag.clone());
        let mut context = Context::from_waker(&waker);
        for _ in 0..10_000 {
            let Some(future) = &mut self.0 else { return true };
            if !flag.0.swap(false, Ordering::Relaxed) {
                return false;
            }
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                self.0 = None;
                self.1 = Some(output);
            }
        }
        panic!("an oracle that never rests");
    }

    pub fn is_finished(&self) -> bool {
        self.0.is_none()
    }

    pub fn output(&mut self) -> Option<T> {
        self.1.take()
    }
}
