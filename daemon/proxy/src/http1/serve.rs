// SPDX-License-Identifier: Apache-2.0
//! A client's connection: one request after the other.
//!
//! Invariants: a head has bounded size and time; a refusal ends the connection, and the client gets to read it.
//! Depends on: client, side, origin, path, wire, door, limits.

use super::side::One;
use crate::alarm::Alarm;
use crate::door::Door;
use crate::ending::Ending;
use crate::exchange::Client as _;
use crate::limits::Limits;
use crate::message::{Answer, Peer, Request};
use crate::origin::Arrival;
use crate::path;
use crate::progress::Progress;
use crate::reader::{Reader, Watched};
use crate::room::Limit;
use crate::wire::body::Body;
use crate::wire::parse::{self, Fault, Search};
use crate::wire::plain;
use crate::wire::write;
use bytes::Buf as _;
use http::{Method, StatusCode};
use life::Reached;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

/// How much of an unread request body is read to keep the connection (Go: 256 KiB).
const DISCARDED: usize = 256 << 10;

/// A longer head is not kept twice, as it came and as it goes.
const USUAL: usize = 4 << 10;

/// How the next head did not come.
enum NoHead {
    /// The connection is over.
    Ended,
    Refused(Fault),
}

/// What a connection waits for beside its client.
struct Waits {
    alarm: Alarm,
    draining: Reached,
}

/// Serves a connection to its end.
pub(crate) async fn connection<R, W>(door: &Door, mut reader: Reader<R>, writer: &mut W, mut arrival: Arrival)
where
    R: Watched + Send,
    W: Ending + Send,
{
    let mut is_first = true;
    let mut waits = Waits {
        alarm: Alarm::new(),
        draining: door.tasks.drain_watch(),
    };
    loop {
        let mut request = match head(door, &mut reader, &arrival.peer, is_first, &mut waits).await {
            Ok(request) => request,
            Err(NoHead::Ended) => return,
            Err(NoHead::Refused(fault)) => {
                match fault {
                    Fault::TooLarge => door.front.room.refused(Limit::RequestHead),
                    Fault::NoRoom => door.front.room.refused(Limit::AllHeads),
                    _ => {}
                }
                if writer.write_all(refusal(fault, &door.limits).as_bytes()).await.is_ok() {
                    linger(&mut reader, writer, door.limits.linger_time).await;
                }
                return;
            }
        };
        is_first = false;
        let alarm = &mut waits.alarm;
        // What an exchange needs is not kept by a connection that waits for the next.
        let exchange = Box::pin(exchange(door, &mut arrival, &mut request, &mut reader, writer, alarm));
        if !exchange.await {
            linger(&mut reader, writer, door.limits.linger_time).await;
            return;
        }
    }
}

/// One request and its answer; whether the connection goes on.
async fn exchange<R, W>(
    door: &Door,
    arrival: &mut Arrival,
    request: &mut Request,
    reader: &mut Reader<R>,
    writer: &mut W,
    alarm: &mut Alarm,
) -> bool
where
    R: Watched + Send,
    W: Ending + Send,
{
    let mut client = One {
        reader,
        writer,
        body: Body::new(request.body.into()),
        facts: write::Client {
            version: request.version,
            is_head: request.method == Method::HEAD,
            close: request.close || door.tasks.is_draining() || arrival.is_sent_off(),
        },
        waits: request.expects_continue,
        is_over: false,
        limits: &door.limits,
    };
    if request.method == Method::OPTIONS && &*request.target.text == "*" {
        // It asks about this server, not about an application (RFC 9110 9.3.7).
        drop(client.answer(&Answer::empty(StatusCode::OK), &Progress::new()).await);
    } else {
        path::serve(door, arrival.leads(), request, &mut client, alarm).await;
    }
    if client.is_over {
        return false;
    }
    let mut discarded = 0;
    while !client.read_rest() {
        let before = client.reader.buffer.len();
        let more = timeout(door.limits.linger_time, client.reader.fill()).await;
        discarded += client.reader.buffer.len().saturating_sub(before);
        if discarded > DISCARDED || !matches!(more, Ok(Ok(true))) {
            return false;
        }
    }
    true
}

async fn head<R: AsyncRead + Unpin>(
    door: &Door,
    reader: &mut Reader<R>,
    peer: &Peer,
    is_first: bool,
    waits: &mut Waits,
) -> Result<Request, NoHead> {
    let limits = &door.limits;
    reader.uses(0);
    let skipped = parse::leading(&reader.buffer);
    reader.buffer.advance(skipped);
    if reader.buffer.is_empty() {
        reader.rest();
        let patience = if is_first { limits.head_time } else { limits.idle_time };
        let mut end = Instant::now() + patience;
        let mut watches = !is_first;
        let begun = loop {
            tokio::select! {
                biased;
                read = reader.fill() => break matches!(read, Ok(true)),
                () = waits.alarm.ring(end) => {
                    if is_first {
                        door.front.room.refused(Limit::HeadTime);
                    }
                    break false;
                }
                () = &mut waits.draining, if watches => {
                    watches = false;
                    // A request that is on its way already must not meet a closed connection.
                    end = end.min(Instant::now() + door.tasks.patience());
                }
            }
        };
        if !begun {
            return Err(NoHead::Ended);
        }
    }
    let mut search = Search::default();
    let length = match search.end(&reader.buffer) {
        // Nearly always it came in one piece.
        Some(end) if end <= limits.request_head && parse::leading(&reader.buffer) == 0 => end,
        _ => {
            let end = Instant::now() + limits.head_time;
            tokio::select! {
                biased;
                length = whole_head(reader, limits.request_head) => length?,
                () = waits.alarm.ring(end) => {
                    door.front.room.refused(Limit::HeadTime);
                    return Err(NoHead::Ended);
                }
            }
        }
    };
    if let Some(request) = usual(door, reader.buffer.get(..length).unwrap_or_default(), peer) {
        reader.buffer.advance(length);
        reader.uses(length);
        return Ok(request);
    }
    let head = reader.take(length);
    reader.uses(length);
    parse::request(&head, peer, limits).map_err(NoHead::Refused)
}

/// A head of which nobody wants to know much; logs and traces want to know all.
fn usual(door: &Door, head: &[u8], peer: &Peer) -> Option<Request> {
    let is_quiet = !door.log.is_on() && door.front.tracing.is_none();
    (is_quiet && head.len() <= USUAL).then(|| plain::request(head, door.limits.header_count, peer))?
}

async fn whole_head<R: AsyncRead + Unpin>(reader: &mut Reader<R>, most: usize) -> Result<usize, NoHead> {
    let mut search = Search::default();
    let mut has_begun = false;
    loop {
        if !has_begun {
            let skipped = parse::leading(&reader.buffer);
            reader.buffer.advance(skipped);
            has_begun = !reader.buffer.is_empty();
            // No method begins so; TLS does, whose client would wait for us as we for it.
            if reader.buffer.first().is_some_and(|first| !first.is_ascii_graphic()) {
                return Err(NoHead::Refused(Fault::Malformed));
            }
        }
        match search.end(&reader.buffer) {
            Some(end) if end > most => return Err(NoHead::Refused(Fault::TooLarge)),
            Some(end) => return Ok(end),
            None if reader.buffer.len() > most => return Err(NoHead::Refused(Fault::TooLarge)),
            None => {}
        }
        if !reader.has_room() {
            return Err(NoHead::Refused(Fault::NoRoom));
        }
        match reader.fill().await {
            Ok(true) => {}
            Ok(false) if !reader.buffer.is_empty() => return Err(NoHead::Refused(Fault::Malformed)),
            Ok(false) | Err(_) => return Err(NoHead::Ended),
        }
    }
}

/// The answer to a client for whom there is no room now.
pub(crate) fn no_room(limits: &Limits) -> String {
    let fault = Fault::NoRoom;
    let again = match limits.retry_after {
        Some(seconds) => format!("Retry-After: {seconds}\r\n"),
        None => String::new(),
    };
    format!("HTTP/1.1 {fault}\r\nContent-Type: text/plain; charset=utf-8\r\n{again}Connection: close\r\n\r\n{fault}\n")
}

fn refusal(fault: Fault, limits: &Limits) -> String {
    match fault {
        Fault::Expectation => {}
        Fault::NoRoom => return no_room(limits),
        other => return other.answer(),
    }
    let now = httpdate::HttpDate::from(std::time::SystemTime::now());
    format!("HTTP/1.1 {fault}\r\nConnection: close\r\nContent-Length: 0\r\nDate: {now}\r\n\r\n")
}

/// Ends a connection so that what was written last is read (Go waits 500 ms).
async fn linger<R, W>(reader: &mut Reader<R>, writer: &mut W, patience: Duration)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    if writer.shutdown().await.is_err() {
        return;
    }
    let drain = async {
        let mut read = 0;
        while read < DISCARDED && matches!(reader.fill().await, Ok(true)) {
            read += reader.buffer.len();
            reader.buffer.clear();
        }
    };
    drop(timeout(patience, drain).await);
}
