// SPDX-License-Identifier: Apache-2.0
//! After an upgrade: bytes both ways.
//!
//! Invariants: one side's end is passed on; whose bytes were cut off sees a reset.
//! Depends on: ending, exchange, motion, pod, progress, reader.

use super::write_whole;
use crate::ending::Ending;
use crate::exchange::{Broken, Lane};
use crate::motion::{Lost, Motion, both};
use crate::pod::Stream;
use crate::progress::Progress;
use crate::reader::Reader;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWriteExt as _};

/// Carries bytes until both sides have ended.
pub(super) async fn run<R, W>(
    reader: &mut Reader<R>,
    writer: &mut W,
    stream: &mut Stream,
    lane: &Lane<'_>,
) -> Result<(), Broken>
where
    R: AsyncRead + Unpin,
    W: Ending,
{
    let pod = (&mut stream.reader, &mut stream.writer);
    carry((reader, writer), pod, lane.progress, lane.limits.half_open_time).await
}

async fn carry<R, W, F, T>(
    client: (&mut Reader<R>, &mut W),
    pod: (&mut Reader<F>, &mut T),
    progress: &Progress,
    half_open: Duration,
) -> Result<(), Broken>
where
    R: AsyncRead + Unpin,
    W: Ending,
    F: AsyncRead + Unpin,
    T: Ending,
{
    let motion = Motion::begin();
    let up = up(client.0, pod.1, &motion);
    let down = down(pod.0, client.1, &motion, progress);
    both(up, down, &motion, half_open).await
}

async fn up<R, W>(from: &mut Reader<R>, to: &mut W, motion: &Motion) -> Result<(), Lost>
where
    R: AsyncRead + Unpin,
    W: Ending,
{
    to.is_amid(true);
    loop {
        if !from.buffer.is_empty() {
            write_whole(to, &from.buffer).await.map_err(|_| Lost::Hearer)?;
            from.buffer.clear();
            motion.moved();
        }
        if !from.fill().await.map_err(|_| Lost::Speaker)? {
            to.is_amid(false);
            return to.shutdown().await.map_err(|_| Lost::Hearer);
        }
        motion.moved();
    }
}

async fn down<R, W>(from: &mut Reader<R>, to: &mut W, motion: &Motion, progress: &Progress) -> Result<(), Lost>
where
    R: AsyncRead + Unpin,
    W: Ending,
{
    to.is_amid(true);
    loop {
        if !from.buffer.is_empty() {
            let told = motion.telling(write_whole(to, &from.buffer)).await;
            told.map_err(|_| Lost::Hearer)?;
            from.buffer.clear();
            progress.touch();
        }
        if !from.fill().await.map_err(|_| Lost::Speaker)? {
            to.is_amid(false);
            return motion.telling(to.shutdown()).await.map_err(|_| Lost::Hearer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use tokio::io::{AsyncReadExt as _, AsyncWrite, DuplexStream, duplex, empty};
    use tokio::time::sleep;

    /// A writing half that keeps what it was told.
    struct Half {
        io: DuplexStream,
        is_amid: bool,
    }

    impl Ending for Half {
        fn is_amid(&mut self, is_amid: bool) {
            self.is_amid = is_amid;
        }
    }

    impl AsyncWrite for Half {
        fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.io).poll_write(context, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_flush(context)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_shutdown(context)
        }
    }

    /// A half, and who hears it.
    fn half() -> (Half, DuplexStream) {
        let (io, hearer) = duplex(100);
        (Half { io, is_amid: false }, hearer)
    }

    /// A client ends its side at once; its pod says five bytes, one every nine seconds, and then ends, or says no more.
    async fn half_closed(ends: bool) -> (Result<(), Broken>, String, [bool; 2]) {
        let ((mut to_client, mut client), (mut to_pod, _pod)) = (half(), half());
        let (mut pod, from_pod) = duplex(100);
        let (mut reader, mut from_pod) = (Reader::new(empty()), Reader::new(from_pod));
        let progress = Progress::new();
        let says = async {
            for byte in b"hello" {
                sleep(Duration::from_secs(9)).await;
                pod.write_u8(*byte).await.unwrap();
            }
            if !ends {
                sleep(Duration::from_secs(1000)).await;
            }
            drop(pod);
        };
        let (up, down) = ((&mut reader, &mut to_client), (&mut from_pod, &mut to_pod));
        let carrying = carry(up, down, &progress, Duration::from_secs(10));
        let ((), ended) = tokio::join!(says, carrying);
        let amid = [to_client.is_amid, to_pod.is_amid];
        drop(to_client);
        let mut got = String::new();
        client.read_to_string(&mut got).await.unwrap();
        (ended, got, amid)
    }

    #[tokio::test(start_paused = true)]
    async fn a_download_goes_on_after_the_end_of_the_client_as_long_as_bytes_come() {
        let (ended, got, amid) = half_closed(true).await;
        assert!(ended.is_ok(), "{ended:?}");
        assert_eq!((got.as_str(), amid), ("hello", [false, false]));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_stands_still_is_cut_off_and_its_client_is_to_see_so() {
        let (ended, got, amid) = half_closed(false).await;
        assert!(matches!(ended, Err(Broken::Cut)), "{ended:?}");
        assert_eq!((got.as_str(), amid), ("hello", [true, false]));
    }
}
