// SPDX-License-Identifier: Apache-2.0
//! After an upgrade: bytes both ways.
//!
//! Invariants: one side's end is passed on; the other side then has a while for what it still has to say.
//! Depends on: reader, pod, progress.

use super::write_whole;
use crate::pod::Stream;
use crate::progress::Progress;
use crate::reader::Reader;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// How long one side may go on alone.
const HALF_OPEN: Duration = Duration::from_secs(10);

/// Carries bytes until both sides have ended.
pub(super) async fn run<R, W>(reader: &mut Reader<R>, writer: &mut W, stream: &mut Stream, progress: &Progress)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let up = carry(reader, &mut stream.writer, None);
    let down = carry(&mut stream.reader, writer, Some(progress));
    tokio::pin!(up, down);
    // A fault on either side ends both; so does silence after one has ended.
    tokio::select! {
        up = &mut up => if up.is_ok() {
            drop(timeout(HALF_OPEN, down).await);
        },
        down = &mut down => if down.is_ok() {
            drop(timeout(HALF_OPEN, up).await);
        },
    }
}

async fn carry<R, W>(from: &mut Reader<R>, to: &mut W, progress: Option<&Progress>) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    loop {
        if !from.buffer.is_empty() {
            write_whole(to, &from.buffer).await?;
            from.buffer.clear();
            if let Some(progress) = progress {
                progress.touch();
            }
        }
        if !from.fill().await? {
            return to.shutdown().await;
        }
    }
}
