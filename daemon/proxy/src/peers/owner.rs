// SPDX-License-Identifier: Apache-2.0
//! What this daemon does for a peer that has a slot of a pod of this node: carry bytes.
//!
//! Invariants: the slot is held until the pod is done with the request: its connection is fit for another one, or it has
//! closed it, or a second has passed since it was told that nobody waits.
//! Depends on: pod, way, frames, limits.

use crate::frames;
use crate::limits::Limits;
use crate::pod::{Pod, Stream};
use crate::reader::Reader;
use crate::way::{CLEAN, FromPod, ToPod};
use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use logic::limiter::shared::Permit;
use std::future::{pending, poll_fn};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

/// How long a pod may take to see that nobody waits any more.
const FAREWELL: Duration = Duration::from_secs(1);

/// Carries until the asker or the pod has enough.
pub(super) async fn carry(
    mut body: RecvStream,
    mut out: SendStream<Bytes>,
    mut stream: Stream,
    pod: &Pod,
    limits: &Limits,
    permit: Permit,
) {
    let is_clean = tokio::select! {
        is_clean = up(&mut body, &mut stream.writer) => is_clean,
        () = down(&mut stream.reader, &mut out) => false,
    };
    if is_clean && stream.reader.buffer.is_empty() {
        pod.keep(stream, limits);
        // The asker has said its last word already.
        drop(out.send_data(Bytes::new(), true));
        return drop(permit);
    }
    out.send_reset(Reason::CANCEL);
    let mut rest = [0; 4096];
    let leave = async {
        if stream.writer.shutdown().await.is_ok() {
            while matches!(stream.reader.io.read(&mut rest).await, Ok(1..)) {}
        }
    };
    // It had its time.
    drop(timeout(FAREWELL, leave).await);
    drop(stream);
    drop(permit);
}

/// True: the connection is fit for another request. False: the asker has gone.
async fn up(body: &mut RecvStream, to: &mut ToPod) -> bool {
    loop {
        match body.data().await {
            Some(Ok(data)) => {
                if to.write_all(&data).await.is_err() {
                    // The pod may still have said something.
                    break;
                }
                // A stream that is over needs no window.
                drop(body.flow_control().release_capacity(data.len()));
            }
            Some(Err(_)) => return false,
            None => match body.trailers().await {
                Ok(Some(trailers)) if trailers.contains_key(CLEAN) => return true,
                Ok(_) => {
                    drop(to.shutdown().await);
                    break;
                }
                Err(_) => return false,
            },
        }
    }
    pending().await
}

/// Returns when the pod has closed the connection and all it said has gone, or the asker has gone.
async fn down(from: &mut Reader<FromPod>, out: &mut SendStream<Bytes>) {
    loop {
        if !from.buffer.is_empty() {
            let data = from.take(usize::MAX);
            // The asker knows how long its client may take.
            if frames::send(out, data, false, Duration::ZERO).await.is_err() {
                return;
            }
        }
        let filled = tokio::select! {
            filled = from.fill() => filled,
            _ = poll_fn(|context| out.poll_reset(context)) => return,
        };
        match filled {
            Ok(true) => {}
            Ok(false) => {
                drop(out.send_data(Bytes::new(), true));
                // The asker may still speak, and ends it.
                drop(poll_fn(|context| out.poll_reset(context)).await);
                return;
            }
            Err(_) => return,
        }
    }
}
