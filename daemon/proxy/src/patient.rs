// SPDX-License-Identifier: Apache-2.0
//! A client that does not read is not waited for without end.
//!
//! Mechanism: a writing half that fails when nothing of it could be written for some time. Writes that go through at once
//! cost a comparison; the timer is made when one has to wait for the first time. An end waits as a write does: with TLS it
//! comes after all that was written.
//! Invariants: it never fails before the time has passed without a byte; who was given up is not waited for again.
//! Depends on: alarm, ending, room.

use crate::alarm::Alarm;
use crate::ending::Ending;
use crate::room::{Limit, Room};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::time::Instant;

/// A writing half, and how long it may stand still; zero: any time.
pub(crate) struct Patient<W> {
    io: W,
    most: Duration,
    since: Option<Instant>,
    alarm: Option<Alarm>,
    /// Nothing could be written for so long.
    is_given_up: bool,
    room: Room,
}

impl<W: AsyncWrite + Unpin> Patient<W> {
    /// Who is given up is counted in `room`.
    pub(crate) fn new(io: W, most: Duration, room: &Room) -> Self {
        Self {
            room: room.clone(),
            io,
            most,
            since: None,
            alarm: None,
            is_given_up: false,
        }
    }

    fn judge<T>(&mut self, result: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if result.is_ready() || self.most.is_zero() {
            self.since = None;
            return result;
        }
        if self.is_given_up {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let alarm = self.alarm.get_or_insert_with(Alarm::new);
        match since.checked_add(self.most) {
            Some(end) => alarm.poll_ring(end, context).map(|()| {
                self.is_given_up = true;
                self.room.refused(Limit::WriteTime);
                Err(io::ErrorKind::TimedOut.into())
            }),
            None => Poll::Pending,
        }
    }
}

impl<W: Ending> Ending for Patient<W> {
    fn is_amid(&mut self, is_amid: bool) {
        self.io.is_amid(is_amid);
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Patient<W> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.judge(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.judge(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        self.judge(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.io).poll_shutdown(context);
        self.judge(ended, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    #[tokio::test(start_paused = true)]
    async fn it_waits_as_long_as_something_moves() {
        let (here, mut there) = duplex(10);
        let room = Room::default();
        let mut here = Patient::new(here, Duration::from_secs(5), &room);
        let begin = Instant::now();
        let slow = async {
            // Ten bytes go at once; then one every four seconds, then none.
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(4)).await;
                there.read_u8().await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        let fault = tokio::select! {
            written = here.write_all(&[0; 100]) => written.unwrap_err(),
            () = slow => unreachable!(),
        };
        assert_eq!((fault.kind(), begin.elapsed().as_secs()), (io::ErrorKind::TimedOut, 17));
        assert!(room.refusals().any(|refused| refused == (Limit::WriteTime, 1)));
    }
}
