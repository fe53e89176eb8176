// SPDX-License-Identifier: Apache-2.0
//! A client's HTTP/2 connection: a task for each of its streams.
//!
//! Invariants: streams, resets, heads and windows are bounded by `Limits`; draining says GOAWAY and lets streams finish.
//! Depends on: side, incoming, io, refusals, origin, path, peers, pod, door, limits.

use super::incoming::Incoming;
use super::io::Whole;
use super::refusals::Refusals;
use super::side::Two;
use crate::alarm::Alarm;
use crate::door::Door;
use crate::exchange::Client as _;
use crate::limits::Limits;
use crate::message::{Answer, BodySize, Peer, Request, Version, lists};
use crate::origin::Arrival;
use crate::path;
use crate::peers::Caller;
use crate::pod::{REMEMBERED, STRAYS};
use crate::progress::Progress;
use crate::reader::Reader;
use crate::room::Limit;
use crate::target::{Target, is_host};
use h2::ext::Protocol;
use h2::{Reason, RecvStream};
use http::{Method, StatusCode, header};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, timeout};

/// The window that every connection has (RFC 9113 6.9.2).
const NARROW: u32 = 65_535;

/// The shortest time between two looks whether a connection is idle.
const LOOK: Duration = Duration::from_secs(1);

/// A head may be so much longer than `request_head` that we refuse it, and say why; of a longer one the h2 crate says 431 and no more.
const BEYOND: usize = 64 << 10;

/// Serves a connection to its end.
pub(crate) async fn connection<R, W>(door: &Arc<Door>, reader: Reader<R>, writer: W, mut arrival: Arrival)
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let limits = &door.limits;
    let room = &door.front.room;
    let wide = room.window(limits.connection_window, limits.all_windows);
    let refusals = Refusals::new(room);
    let peers = door.peers.as_deref();
    let may_be_peer = peers.is_some_and(|peers| peers.is_at(arrival.peer.address.ip()));
    let mut widening = Widening::Client;
    let handshake = settings(limits, wide.is_some(), may_be_peer).handshake::<_, bytes::Bytes>(Whole {
        reader,
        writer: refusals.watch(writer),
        incoming: Incoming::new(limits, longest(limits), room),
    });
    let mut connection = match timeout(limits.head_time, handshake).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(_)) => return,
        Err(_) => return room.refused(Limit::HeadTime),
    };
    let mut is_draining = false;
    let live = Arc::new(());
    let mut last = Instant::now();
    let mut quiet = Box::pin(sleep(limits.idle_time));
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            () = door.tasks.draining(), if !is_draining => {
                is_draining = true;
                connection.graceful_shutdown();
                continue;
            }
            () = arrival.sent_off(), if !is_draining => {
                is_draining = true;
                connection.graceful_shutdown();
                continue;
            }
            () = &mut quiet => {
                let now = Instant::now();
                if Arc::strong_count(&live) == 1 && last + limits.idle_time <= now {
                    if is_draining {
                        return;
                    }
                    is_draining = true;
                    connection.graceful_shutdown();
                }
                quiet.as_mut().reset((last + limits.idle_time).max(now + LOOK));
                continue;
            }
        };
        let (request, mut respond) = match accepted {
            Some(Ok(accepted)) => accepted,
            Some(Err(fault)) => {
                if fault.is_library() && fault.reason() == Some(Reason::ENHANCE_YOUR_CALM) {
                    room.refused(Limit::PendingResets);
                }
                return;
            }
            None => return,
        };
        refusals.handed_out(respond.stream_id().into());
        let Some(share) = room.stream(limits.all_streams) else {
            refusals.known();
            respond.send_reset(Reason::REFUSED_STREAM);
            continue;
        };
        let caller = peers.and_then(|peers| peers.caller(request.headers(), arrival.peer.address.ip()));
        if caller.is_some() {
            widening.go_on(&mut connection, limits);
        }
        last = Instant::now();
        let live = Arc::clone(&live);
        let (door_of_it, arrival) = (Arc::clone(door), arrival.clone());
        door.tasks.spawn("HTTP/2 stream", async move {
            stream(&door_of_it, arrival, request, respond, caller).await;
            drop((share, live));
        });
    }
}

/// From the windows of a client to those of a daemon, whose requests are of many clients.
#[derive(PartialEq, Eq)]
enum Widening {
    Client,
    /// All of the connection's streams together have room.
    Connection,
    /// And each has its own.
    Streams,
}

impl Widening {
    /// Settings wait for those before them to be acknowledged: the next stream tries again. Until then a stream may have the
    /// larger window of a client's, so the connection has room for as many of these.
    fn go_on<S>(&mut self, connection: &mut h2::server::Connection<S, bytes::Bytes>, limits: &Limits)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if *self == Self::Client {
            connection.set_target_window_size(limits.peer_connection_window());
            *self = Self::Connection;
        }
        if *self == Self::Connection && connection.set_initial_window_size(limits.pod_stream_window).is_ok() {
            *self = Self::Streams;
        }
    }
}

/// What a connection is told, and kept within.
fn settings(limits: &Limits, is_wide: bool, may_be_peer: bool) -> h2::server::Builder {
    // Windows are memory that the client may fill.
    let (of_stream, of_all) = match is_wide {
        true => (limits.stream_window, limits.connection_window),
        false => (limits.stream_window.min(NARROW), limits.connection_window.min(NARROW)),
    };
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(of_stream)
        .initial_connection_window_size(of_all)
        .max_send_buffer_size(limits.send_buffer)
        .max_concurrent_streams(limits.streams)
        .max_pending_accept_reset_streams(limits.pending_resets)
        .max_concurrent_reset_streams(limits.pending_resets)
        .enable_connect_protocol()
        .max_header_list_size(u32::try_from(longest(limits)).unwrap_or(u32::MAX));
    if may_be_peer {
        // One client that cancels must not end the requests of others.
        builder
            .max_pending_accept_reset_streams(REMEMBERED)
            .max_concurrent_reset_streams(REMEMBERED)
            .max_local_error_reset_streams(Some(STRAYS));
    }
    builder
}

/// The longest head that the h2 crate takes.
fn longest(limits: &Limits) -> usize {
    limits.request_head.saturating_add(BEYOND)
}

async fn stream(
    door: &Door,
    mut arrival: Arrival,
    request: http::Request<RecvStream>,
    respond: h2::server::SendResponse<bytes::Bytes>,
    caller: Option<Caller>,
) {
    let is_head = request.method() == Method::HEAD;
    let (head, body) = request.into_parts();
    if let Some((peers, caller)) = door.peers.as_ref().zip(caller) {
        return peers.serve(caller, &head.headers, body, respond).await;
    }
    let is_ended = body.is_end_stream();
    let mut client = Two {
        body,
        respond,
        out: None,
        is_head,
        protocol: head.extensions.get::<Protocol>().cloned(),
        waits: !is_ended && lists(&head.headers, &header::EXPECT, "100-continue"),
        reason: Reason::INTERNAL_ERROR,
        write_time: door.limits.write_time,
        room: door.front.room.clone(),
    };
    let size = size(&head);
    let objection = match () {
        () if head.headers.len() > door.limits.header_count => Some("too many header fields"),
        () if size > door.limits.request_head => Some("too large a head"),
        () => None,
    };
    if let Some(objection) = objection {
        door.front.room.refused(Limit::RequestHead);
        let answer = Answer::error(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, objection);
        return drop(client.answer(&answer, &Progress::new()).await);
    }
    let mut heads = door.front.room.heads(door.limits.all_heads);
    if !heads.hold(size) {
        door.front.room.refused(Limit::AllHeads);
        let answer = Answer::error(StatusCode::SERVICE_UNAVAILABLE, "too much is held");
        return drop(client.answer(&answer, &Progress::new()).await);
    }
    match read(head, is_ended, &arrival.peer) {
        Ok(mut request) => path::serve(door, arrival.leads(), &mut request, &mut client, &mut Alarm::new()).await,
        Err(fault) => {
            let answer = Answer::error(StatusCode::BAD_REQUEST, fault);
            drop(client.answer(&answer, &Progress::new()).await);
        }
    }
    drop(heads);
    if !client.body.is_end_stream() {
        linger(&mut client.body, door.limits.linger_time).await;
    }
}

/// Drops what a client still sends after its answer. The stream could be reset at once (RFC 9113 8.1), but some clients, as
/// curl 7, give up an answer that they read together with its reset. Windows are not given back: what may come is bounded.
async fn linger(body: &mut RecvStream, patience: Duration) {
    let rest = async { while let Some(Ok(_)) = body.data().await {} };
    drop(timeout(patience, rest).await);
}

/// The size of a head as HTTP/2 counts it (RFC 9113 6.5.2).
fn size(head: &http::request::Parts) -> usize {
    let uri = &head.uri;
    let protocol = head.extensions.get::<Protocol>().map(Protocol::as_str);
    let first = [
        (":method", Some(head.method.as_str())),
        (":scheme", uri.scheme_str()),
        (":authority", uri.authority().map(http::uri::Authority::as_str)),
        (":path", uri.path_and_query().map(http::uri::PathAndQuery::as_str)),
        (":protocol", protocol),
    ];
    let first = first
        .iter()
        .filter_map(|(name, value)| Some(name.len() + (*value)?.len() + 32));
    let fields = head.headers.iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + 32);
    first.chain(fields).sum()
}

/// Reads a request's head, or says what is wrong with it.
fn read(mut head: http::request::Parts, is_ended: bool, peer: &Peer) -> Result<Request, &'static str> {
    const MALFORMED: &str = "malformed request";
    let is_extended = head.extensions.get::<Protocol>().is_some();
    let is_connect = head.method == Method::CONNECT && !is_extended;
    if is_extended {
        // What it leads to is asked for as any resource (RFC 8441 5.1: as a GET of HTTP/1.1).
        head.method = Method::GET;
    }
    let named = head.headers.remove(header::HOST);
    let host: Box<str> = match head.uri.authority() {
        Some(authority) => authority.as_str().into(),
        None => named
            .as_ref()
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default()
            .into(),
    };
    let path = match is_connect {
        true => host.as_bytes(),
        false => head
            .uri
            .path_and_query()
            .map_or(&b"/"[..], |path| path.as_str().as_bytes()),
    };
    let target = Target::parse(path, is_connect).ok_or(MALFORMED)?;
    let known = head
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    if is_connect && known.is_some_and(|length: u64| length > 0) {
        return Err("content in a CONNECT request");
    }
    let body = match (is_ended || is_extended, known) {
        // What follows is the tunnel's (RFC 9110 9.3.6).
        _ if is_connect => BodySize::None,
        (true, Some(0)) => BodySize::Known(0),
        (true, _) => BodySize::None,
        (false, Some(length)) => BodySize::Known(length),
        (false, None) => BodySize::Open,
    };
    // How the body is framed is said anew to each side, and when it may come.
    head.headers.remove(header::CONTENT_LENGTH);
    if lists(&head.headers, &header::EXPECT, "100-continue") {
        head.headers.remove(header::EXPECT);
    }
    if !is_host(host.as_bytes()) {
        return Err(MALFORMED);
    }
    Ok(Request {
        method: head.method,
        target,
        version: Version::Two,
        headers: head.headers,
        host,
        body,
        peer: peer.clone(),
        expects_continue: false,
        close: false,
        rest: None,
    })
}
