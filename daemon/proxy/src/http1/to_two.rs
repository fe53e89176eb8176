// SPDX-License-Identifier: Apache-2.0
//! One request of an HTTP/1 client to a pod of HTTP/2 and its answer back, both ways at once.
//!
//! Mechanism: as `relay`, with frames on the pod's side; trailers pass both ways, if the client's body or answer is chunked.
//! Invariants: memory is one read each way; a response that breaks off ends the connection, never as if it were whole.
//! Depends on: side, frames, wire, headers, sniff.

use super::side::One;
use super::tell;
use crate::ending::Ending;
use crate::exchange::{Broken, Client as _, Intake, Lane};
use crate::frames::{self, Head, outgoing};
use crate::headers;
use crate::limits::Limits;
use crate::message::{BodySize, Request, Response, Version};
use crate::pod::Lease;
use crate::reader::{Reader, Watched};
use crate::sniff;
use crate::wire::body::{Body, Part, put};
use crate::wire::parse::Framing;
use crate::wire::write;
use bytes::{Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use http::header;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::AsyncWrite;

/// Carries one exchange.
pub(super) async fn run<R, W>(client: &mut One<'_, R, W>, request: &Request, lane: &Lane<'_>) -> Result<(), Broken>
where
    R: Watched + Send,
    W: Ending + Send,
{
    let lease = lane.pod.two(lane.retries, lane.limits, lane.tasks);
    let mut lease = client.unless_gone(lease).await?;
    if std::mem::take(&mut client.waits) {
        // There is room on a pod: the body may come.
        tell(client.writer, b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let mut head = outgoing(request, lane.host, None)?;
    head.headers_mut().remove(header::EXPECT);
    let is_ended = client.body.is_done();
    let (answer, to_pod) = lease
        .sender
        .send_request(head, is_ended)
        .map_err(|fault| frames::no_answer(&fault, true))?;
    let (is_sent, is_taken) = (AtomicBool::new(is_ended), AtomicBool::new(false));
    {
        let upload = upload(
            &mut client.body,
            client.reader,
            to_pod,
            lane.limits,
            (&is_sent, &is_taken),
        );
        let back = Back {
            facts: &mut client.facts,
            is_over: &mut client.is_over,
            is_taken: &is_taken,
            lease: &mut lease,
            lane,
        };
        tokio::select! {
            biased;
            done = back.run(answer, client.writer) => done?,
            broken = upload => return Err(broken),
        }
    }
    lease.whole();
    client.is_over |= client.facts.close || !is_sent.load(Relaxed);
    Ok(())
}

/// Returns only when it is broken; after its work it watches the client.
async fn upload<R: Watched>(
    body: &mut Body,
    from: &mut Reader<R>,
    mut to: SendStream<Bytes>,
    limits: &Limits,
    (is_sent, is_taken): (&AtomicBool, &AtomicBool),
) -> Broken {
    let mut intake = Intake::new(limits);
    while !is_sent.load(Relaxed) {
        let part = body.take(&mut from.buffer, limits);
        is_taken.fetch_or(matches!(part, Ok(Some(_))), Relaxed);
        let passed = match part {
            Ok(Some(Part::Data(data))) => match intake.count(data.len()) {
                Ok(()) => {
                    let sending = frames::send(&mut to, data, false, Duration::ZERO);
                    match from.unless_left(sending).await {
                        Some(sent) => sent.is_ok(),
                        None => return Broken::Gone,
                    }
                }
                Err(broken) => return broken,
            },
            Ok(Some(last)) => {
                is_sent.store(true, Relaxed);
                match last {
                    Part::Trailers(trailers) => to.send_trailers(trailers).is_ok(),
                    _ => to.send_data(Bytes::new(), true).is_ok(),
                }
            }
            Ok(None) => match intake.next(from.fill()).await {
                Ok(Ok(true)) => true,
                Ok(Ok(false) | Err(_)) => return Broken::Gone,
                Err(broken) => return broken,
            },
            Err(_) => return Broken::BadBody,
        };
        // A pod that wants no more of it may still answer.
        if !passed {
            break;
        }
    }
    from.end(limits.read_ahead).await;
    Broken::Gone
}

/// The way back.
struct Back<'a> {
    facts: &'a mut write::Client,
    is_over: &'a mut bool,
    /// Something of the request's body was.
    is_taken: &'a AtomicBool,
    lease: &'a mut Lease,
    lane: &'a Lane<'a>,
}

impl Back<'_> {
    async fn run<W>(self, mut answer: h2::client::ResponseFuture, to: &mut W) -> Result<(), Broken>
    where
        W: Ending,
    {
        let mut informed = 0;
        loop {
            let head = frames::next_head(&mut answer).await;
            self.lease.answered();
            match head.map_err(|fault| frames::no_answer(&fault, !self.is_taken.load(Relaxed)))? {
                Head::Informational(head) => {
                    if let Some(objection) = frames::objection(head.status(), informed, self.lane.limits) {
                        return Err(Broken::Pod(objection.to_owned()));
                    }
                    informed += 1;
                    if self.facts.version != Version::One0 {
                        let (head, ()) = head.into_parts();
                        let mut headers = head.headers;
                        headers::to_client(&mut headers);
                        let mut out = BytesMut::new();
                        write::informational(head.status, &headers, &mut out);
                        tell(to, &out).await?;
                    }
                }
                Head::Final(response) => {
                    let mut held = None;
                    self.lane.hold(&mut held, frames::size(response.headers()))?;
                    return self.answer(response, to).await;
                }
            }
        }
    }

    async fn answer<W: Ending>(self, response: http::Response<RecvStream>, to: &mut W) -> Result<(), Broken> {
        let (mut response, mut body) = read(response);
        let bodiless = self.facts.is_head || matches!(response.status.as_u16(), 204 | 304);
        let framing = match (bodiless, response.body) {
            (true, _) => Framing::None,
            (_, BodySize::Open) if self.facts.version == Version::One0 => {
                self.facts.close = true;
                Framing::UntilClose
            }
            (_, BodySize::None) => Framing::Length(0),
            (_, size) => size.into(),
        };
        let mut first = None;
        if matches!(framing, Framing::Length(1..)) && sniff::is_unnamed(&response.headers) {
            first = body.data().await;
            if let Some(Ok(data)) = &first {
                sniff::name(&mut response.headers, data);
            }
        }
        let mut out = BytesMut::with_capacity(2048);
        write::response(&response, framing, self.facts, &mut out);
        // Until its end is written, the response is not whole.
        *self.is_over = true;
        to.is_amid(framing == Framing::UntilClose);
        self.lane.progress.answering(response.status.as_u16());
        if bodiless {
            tell(to, &out).await?;
        } else {
            copy(first, body, framing, out, to, self.lane).await?;
        }
        to.is_amid(false);
        *self.is_over = false;
        Ok(())
    }
}

/// Head and body; the length is not among the headers.
fn read(response: http::Response<RecvStream>) -> (Response, RecvStream) {
    let (head, body) = response.into_parts();
    let mut headers = head.headers;
    headers::to_client(&mut headers);
    let known = headers.remove(header::CONTENT_LENGTH);
    let length = known.and_then(|length| length.to_str().ok()?.parse().ok());
    let size = match (length, body.is_end_stream()) {
        (Some(length), _) => BodySize::Known(length),
        (None, true) => BodySize::None,
        (None, false) => BodySize::Open,
    };
    let response = Response {
        status: head.status,
        headers,
        body: size,
    };
    (response, body)
}

/// Writes `out`, then the body, `first` before what is still to come.
async fn copy<W: AsyncWrite + Unpin>(
    mut first: Option<Result<Bytes, h2::Error>>,
    mut body: RecvStream,
    framing: Framing,
    mut out: BytesMut,
    to: &mut W,
    lane: &Lane<'_>,
) -> Result<(), Broken> {
    tell(to, &out).await?;
    loop {
        let data = match first.take() {
            Some(data) => Some(data),
            None => body.data().await,
        };
        let part = match data {
            Some(Ok(data)) if data.is_empty() => continue,
            Some(Ok(data)) => Part::Data(data),
            Some(Err(_)) => return Err(Broken::Cut),
            None => match frames::trailers(&mut body).await.map_err(|_| Broken::Cut)? {
                Some(trailers) => Part::Trailers(trailers),
                None => Part::End,
            },
        };
        out.clear();
        put(&part, framing, &mut out);
        tell(to, &out).await?;
        let Part::Data(data) = part else {
            return Ok(());
        };
        lane.progress.wrote(data.len() as u64);
        drop(body.flow_control().release_capacity(data.len()));
    }
}
