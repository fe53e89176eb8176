// SPDX-License-Identifier: Apache-2.0
//! After an extended CONNECT or a CONNECT: frames on one side, bytes on the other.
//!
//! Invariants: one side's end is passed on; whose bytes were cut off sees a reset.
//! Depends on: ending, exchange, frames, motion, pod.

use super::no_more;
use crate::ending::Ending;
use crate::exchange::{Broken, Lane};
use crate::frames::send;
use crate::motion::{Lost, Motion, both};
use crate::pod::Stream;
use crate::reader::Reader;
use bytes::Bytes;
use h2::{RecvStream, SendStream};
use std::future::poll_fn;
use tokio::io::{AsyncRead, AsyncWriteExt as _};

/// Carries bytes until both sides have ended.
pub(super) async fn run(
    body: &mut RecvStream,
    out: &mut SendStream<Bytes>,
    stream: &mut Stream,
    lane: &Lane<'_>,
) -> Result<(), Broken> {
    let motion = Motion::begin();
    let up = up(body, &mut stream.writer, &motion);
    let down = down(&mut stream.reader, out, &motion, lane);
    both(up, down, &motion, lane.limits.half_open_time).await
}

async fn up<W: Ending>(from: &mut RecvStream, to: &mut W, motion: &Motion) -> Result<(), Lost> {
    to.is_amid(true);
    while let Some(data) = from.data().await {
        let data = data.map_err(|_| Lost::Speaker)?;
        motion.moved();
        to.write_all(&data).await.map_err(|_| Lost::Hearer)?;
        motion.moved();
        drop(from.flow_control().release_capacity(data.len()));
    }
    to.is_amid(false);
    to.shutdown().await.map_err(|_| Lost::Hearer)
}

async fn down<R>(from: &mut Reader<R>, to: &mut SendStream<Bytes>, motion: &Motion, lane: &Lane<'_>) -> Result<(), Lost>
where
    R: AsyncRead + Unpin,
{
    loop {
        if !from.buffer.is_empty() {
            let data = from.buffer.split().freeze();
            let sent = motion.telling(send(to, data, false, lane.limits.write_time)).await;
            sent.map_err(|_| Lost::Hearer)?;
            lane.progress.touch();
        }
        let read = tokio::select! {
            read = from.fill() => read,
            // It may have ended its own side before: nobody else would see it leave.
            _ = poll_fn(|context| to.poll_reset(context)) => return Err(Lost::Hearer),
        };
        if !read.map_err(|_| Lost::Speaker)? {
            return to.send_data(no_more(), true).map_err(|_| Lost::Hearer);
        }
    }
}
