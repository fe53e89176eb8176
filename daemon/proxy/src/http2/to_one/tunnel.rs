// SPDX-License-Identifier: Apache-2.0
//! After an extended CONNECT or a CONNECT: frames on one side, bytes on the other.
//!
//! Invariants: one side's end is passed on; the other side then has a while for what it still has to say.
//! Depends on: exchange, frames, pod.

use super::no_more;
use crate::exchange::Lane;
use crate::frames::send;
use crate::pod::Stream;
use crate::reader::Reader;
use bytes::Bytes;
use h2::{RecvStream, SendStream};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// How long one side may go on alone.
const HALF_OPEN: Duration = Duration::from_secs(10);

/// One side broke, and so do both.
struct Over;

/// Carries bytes until both sides have ended.
pub(super) async fn run(body: &mut RecvStream, out: &mut SendStream<Bytes>, stream: &mut Stream, lane: &Lane<'_>) {
    let up = up(body, &mut stream.writer);
    let down = down(&mut stream.reader, out, lane);
    tokio::pin!(up, down);
    tokio::select! {
        up = &mut up => if up.is_ok() {
            drop(timeout(HALF_OPEN, down).await);
        },
        down = &mut down => if down.is_ok() {
            drop(timeout(HALF_OPEN, up).await);
        },
    }
}

async fn up<W: AsyncWrite + Unpin>(from: &mut RecvStream, to: &mut W) -> Result<(), Over> {
    while let Some(data) = from.data().await {
        let data = data.map_err(|_| Over)?;
        to.write_all(&data).await.map_err(|_| Over)?;
        drop(from.flow_control().release_capacity(data.len()));
    }
    to.shutdown().await.map_err(|_| Over)
}

async fn down<R>(from: &mut Reader<R>, to: &mut SendStream<Bytes>, lane: &Lane<'_>) -> Result<(), Over>
where
    R: AsyncRead + Unpin,
{
    loop {
        if !from.buffer.is_empty() {
            let data = from.buffer.split().freeze();
            send(to, data, false, lane.limits.write_time).await.map_err(|_| Over)?;
            lane.progress.touch();
        }
        if !from.fill().await.map_err(|_| Over)? {
            return to.send_data(no_more(), true).map_err(|_| Over);
        }
    }
}
