// SPDX-License-Identifier: Apache-2.0
//! A stream carried to a pod of HTTP/2 and back.
//!
//! Mechanism: frames are passed on as they come; a window is given back when the other side has taken what filled it. What
//! follows an extended CONNECT is data like any other.
//! Depends on: frames, headers, pod, side.

use super::side::Two;
use crate::exchange::{Broken, Client as _, Intake, Lane};
use crate::frames::{self, Head, begin, inform, next_head, outgoing, send};
use crate::headers;
use crate::message::{Request, Response};
use crate::pod::Lease;
use crate::progress::Progress;
use crate::sniff;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderValue, header};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;
use tokio::time::sleep;

/// How long a pod may take to say whether it knows extended CONNECT, once it is connected.
const SETTINGS: Duration = Duration::from_millis(500);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// Why a stream broke.
enum Fault {
    Gone,
    Client(Broken),
    BeforeHead(h2::Error),
    InBody(h2::Error),
    BadHead(&'static str),
}

/// Carries one exchange.
pub(super) async fn run(client: &mut Two, request: &Request, lane: &Lane<'_>) -> Result<(), Broken> {
    let lease = lane.pod.two(lane.retries, lane.limits, lane.tasks);
    let mut lease = client.unless_gone(lease).await?;
    if client.protocol.is_some() && !knows_extended_connect(&lease.sender).await {
        return Err(Broken::Pod("the application takes no extended CONNECT".to_owned()));
    }
    let head = outgoing(request, lane.host, client.protocol.as_ref())?;
    let is_ended = client.body.is_end_stream();
    let (answer, to_pod) = lease
        .sender
        .send_request(head, is_ended)
        .map_err(|fault| frames::no_answer(&fault, true))?;
    let is_taken = AtomicBool::new(false);
    let result = {
        let intake = match client.protocol {
            None => Intake::new(lane.limits),
            Some(_) => Intake::any(),
        };
        let upload = upload(&mut client.body, to_pod, (is_ended, &is_taken), intake);
        let back = Back {
            respond: &mut client.respond,
            out: &mut client.out,
            is_head: client.is_head,
            lease: &mut lease,
            lane,
        };
        tokio::select! {
            biased;
            done = back.run(answer) => done,
            broken = upload => Err(Fault::Client(broken)),
        }
    };
    if result.is_ok() {
        lease.whole();
    }
    result.map_err(|fault| match fault {
        Fault::Gone => Broken::Gone,
        Fault::Client(broken) => broken,
        Fault::BeforeHead(fault) => frames::no_answer(&fault, !is_taken.load(Relaxed)),
        Fault::BadHead(objection) => Broken::Pod(objection.to_owned()),
        Fault::InBody(fault) => {
            // A request that has part of an answer was looked at, whatever the pod says now.
            let reason = fault.reason().filter(|reason| *reason != Reason::REFUSED_STREAM);
            client.reason = reason.unwrap_or(Reason::INTERNAL_ERROR);
            Broken::Cut
        }
    })
}

/// The pod's settings say so; on a new connection they may be on their way.
async fn knows_extended_connect(sender: &h2::client::SendRequest<Bytes>) -> bool {
    let mut waited = Duration::ZERO;
    while !sender.is_extended_connect_protocol_enabled() && waited < SETTINGS {
        sleep(LOOK).await;
        waited += LOOK;
    }
    sender.is_extended_connect_protocol_enabled()
}

/// Carries the request's body, of which nothing may come or something be taken; returns only when the client is gone.
async fn upload(
    from: &mut RecvStream,
    mut to: SendStream<Bytes>,
    (is_ended, is_taken): (bool, &AtomicBool),
    mut intake: Intake,
) -> Broken {
    if !is_ended {
        loop {
            let data = match intake.next(from.data()).await {
                Ok(data) => data,
                Err(broken) => return broken,
            };
            is_taken.store(true, Relaxed);
            match data {
                Some(Ok(data)) => {
                    let length = data.len();
                    if let Err(broken) = intake.count(length) {
                        return broken;
                    }
                    // A pod that wants no more of it may still answer.
                    if send(&mut to, data, false, Duration::ZERO).await.is_err() {
                        break;
                    }
                    drop(from.flow_control().release_capacity(length));
                }
                Some(Err(_)) => return Broken::Gone,
                None => {
                    match frames::trailers(from).await {
                        Ok(Some(trailers)) => drop(to.send_trailers(trailers)),
                        Ok(None) => drop(to.send_data(Bytes::new(), true)),
                        Err(_) => return Broken::Gone,
                    }
                    break;
                }
            }
        }
    }
    // Held to the end: dropping it early would reset a request that is still being sent.
    let _open = to;
    poll_fn(|context| match from.poll_trailers(context) {
        Poll::Ready(Err(_)) => Poll::Ready(()),
        _ => Poll::Pending,
    })
    .await;
    Broken::Gone
}

/// The way back.
struct Back<'a> {
    respond: &'a mut SendResponse<Bytes>,
    out: &'a mut Option<SendStream<Bytes>>,
    is_head: bool,
    lease: &'a mut Lease,
    lane: &'a Lane<'a>,
}

impl Back<'_> {
    async fn run(mut self, answer: h2::client::ResponseFuture) -> Result<(), Fault> {
        let (head, mut body) = self.head(answer).await?.into_parts();
        let mut headers = head.headers;
        let mut held = None;
        self.lane
            .hold(&mut held, frames::size(&headers))
            .map_err(Fault::Client)?;
        headers::to_client(&mut headers);
        let bodiless = self.is_head || matches!(head.status.as_u16(), 204 | 304);
        // There are applications that send a body where none may be.
        let is_ended = bodiless || body.is_end_stream();
        let is_known = headers.contains_key(header::CONTENT_LENGTH);
        if is_ended && !is_known && !bodiless {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let mut first = None;
        if is_known && !is_ended && sniff::is_unnamed(&headers) {
            first = tokio::select! {
                data = body.data() => data,
                _ = poll_fn(|context| self.respond.poll_reset(context)) => return Err(Fault::Gone),
            };
            if let Some(Ok(data)) = &first {
                sniff::name(&mut headers, data);
            }
        }
        let response = Response {
            status: head.status,
            headers,
            body: crate::message::BodySize::Open,
        };
        self.lane.progress.answering(head.status.as_u16());
        begin(self.respond, self.out, response, is_ended).map_err(|_| Fault::Gone)?;
        match self.out.as_mut().filter(|_| !is_ended) {
            Some(out) => copy(first, body, out, self.lane.progress, self.lane.limits.write_time).await,
            None => Ok(()),
        }
    }

    /// The final head; informational ones go on at once.
    async fn head(&mut self, mut answer: h2::client::ResponseFuture) -> Result<http::Response<RecvStream>, Fault> {
        let mut informed = 0;
        loop {
            let head = tokio::select! {
                head = next_head(&mut answer) => head,
                _ = poll_fn(|context| self.respond.poll_reset(context)) => return Err(Fault::Gone),
            };
            self.lease.answered();
            let response = match head.map_err(Fault::BeforeHead)? {
                Head::Final(response) => return Ok(response),
                Head::Informational(response) => response,
            };
            if let Some(objection) = frames::objection(response.status(), informed, self.lane.limits) {
                return Err(Fault::BadHead(objection));
            }
            informed += 1;
            let (head, ()) = response.into_parts();
            let mut headers = head.headers;
            headers::to_client(&mut headers);
            inform(self.respond, head.status, headers);
        }
    }
}

/// Passes the body on, `first` before what is still to come.
async fn copy(
    mut first: Option<Result<Bytes, h2::Error>>,
    mut body: RecvStream,
    out: &mut SendStream<Bytes>,
    progress: &Progress,
    most: Duration,
) -> Result<(), Fault> {
    loop {
        let data = match first.take() {
            Some(data) => Some(data),
            None => tokio::select! {
                data = body.data() => data,
                _ = poll_fn(|context| out.poll_reset(context)) => return Err(Fault::Gone),
            },
        };
        match data {
            Some(Ok(data)) => {
                let length = data.len();
                send(out, data, false, most).await.map_err(Fault::Client)?;
                progress.wrote(length as u64);
                drop(body.flow_control().release_capacity(length));
            }
            Some(Err(fault)) => return Err(Fault::InBody(fault)),
            None => break,
        }
    }
    let sent = match frames::trailers(&mut body).await.map_err(Fault::InBody)? {
        Some(trailers) => out.send_trailers(trailers),
        None => out.send_data(Bytes::new(), true),
    };
    sent.map_err(|_| Fault::Gone)
}
