// SPDX-License-Identifier: Apache-2.0
//! What this daemon does for a peer that has a slot of a pod of this node: carry bytes.
//!
//! Invariants: the slot is held until the pod is done with the request: its connection is fit for another one, or it has
//! closed it, or a second has passed since it was told that nobody waits. It is told so by a reset if the asker has gone in the
//! middle of something (`ending`): what was cut off does not look whole.
//! Depends on: ending, pod, way, frames, limits.

use crate::ending::Ending as _;
use crate::frames;
use crate::limits::Limits;
use crate::pod::{Pod, Stream};
use crate::reader::Reader;
use crate::way::{CLEAN, FromPod, ToPod};
use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use logic::limiter::shared::Permit;
use std::future::poll_fn;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

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
    let (up_ends, down_ends) = both(&mut body, &mut out, &mut stream).await;
    if up_ends == Ends::Clean && stream.reader.buffer.is_empty() {
        pod.keep(stream, limits);
        // The asker has said its last word already.
        drop(out.send_data(Bytes::new(), true));
        return drop(permit);
    }
    // What both have ended may still be on its way.
    if (up_ends, down_ends) != (Ends::Whole, Ends::Whole) {
        out.send_reset(Reason::CANCEL);
    }
    if up_ends == Ends::Severed && down_ends != Ends::Whole {
        // A reset; what a pod does then that has not ended itself nobody hears.
        drop(stream);
        sleep(FAREWELL).await;
        return drop(permit);
    }
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

/// How one way came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// The asker says that the connection is fit for another request.
    Clean,
    /// All was said and passed on.
    Whole,
    /// Who should hear it, or say it, has gone.
    Broken,
    /// The same, and what was said until then is not all.
    Severed,
}

/// Both ways, until both have ended or one of them makes the other useless.
async fn both(body: &mut RecvStream, out: &mut SendStream<Bytes>, stream: &mut Stream) -> (Ends, Ends) {
    let up = up(body, &mut stream.writer);
    let down = down(&mut stream.reader, out);
    tokio::pin!(up, down);
    tokio::select! {
        // The last word of an asker and the end of its stream come together: the word counts.
        biased;
        ends = &mut up => match ends {
            // The pod may still have something to say.
            Ends::Whole => (ends, down.await),
            _ => (ends, Ends::Broken),
        },
        ends = &mut down => match ends {
            // The asker may still speak; a connection that the pod has closed is fit for nothing.
            Ends::Whole => match up.await {
                Ends::Clean => (Ends::Whole, ends),
                up => (up, ends),
            },
            // It had not said all.
            Ends::Severed => (ends, Ends::Broken),
            _ => (Ends::Broken, ends),
        },
    }
}

/// Until the asker has ended its side or has gone. The pod's connection is amid something until it is known how that was.
async fn up(body: &mut RecvStream, to: &mut ToPod) -> Ends {
    to.is_amid(true);
    let ends = pass_on(body, to).await;
    to.is_amid(ends == Ends::Severed);
    if ends == Ends::Whole {
        drop(to.shutdown().await);
    }
    ends
}

async fn pass_on(body: &mut RecvStream, to: &mut ToPod) -> Ends {
    loop {
        match body.data().await {
            Some(Ok(data)) => {
                if to.write_all(&data).await.is_err() {
                    // The pod may still have said something.
                    return Ends::Whole;
                }
                // A stream that is over needs no window.
                drop(body.flow_control().release_capacity(data.len()));
            }
            Some(Err(fault)) => return lost(&fault),
            None => {
                return match body.trailers().await {
                    Ok(Some(trailers)) if trailers.contains_key(CLEAN) => Ends::Clean,
                    Ok(_) => Ends::Whole,
                    Err(fault) => lost(&fault),
                };
            }
        }
    }
}

/// How the way up ended when the asker went without its last word. Of one whose connection is lost nobody knows what it would
/// have said.
fn lost(fault: &h2::Error) -> Ends {
    match fault.reason() == Some(Reason::CANCEL) {
        true => Ends::Broken,
        false => Ends::Severed,
    }
}

/// Until the pod has closed the connection and all it said is on its way, or the asker has gone.
async fn down(from: &mut Reader<FromPod>, out: &mut SendStream<Bytes>) -> Ends {
    loop {
        if !from.buffer.is_empty() {
            let data = from.take(usize::MAX);
            // The asker knows how long its client may take.
            if frames::send(out, data, false, Duration::ZERO).await.is_err() {
                return Ends::Severed;
            }
        }
        let filled = tokio::select! {
            filled = from.fill() => filled,
            _ = poll_fn(|context| out.poll_reset(context)) => return Ends::Severed,
        };
        match filled {
            Ok(true) => {}
            Ok(false) => {
                drop(out.send_data(Bytes::new(), true));
                return Ends::Whole;
            }
            Err(_) => return Ends::Broken,
        }
    }
}
