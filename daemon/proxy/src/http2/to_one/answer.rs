// SPDX-License-Identifier: Apache-2.0
//! The answer of a pod of HTTP/1.1, as frames.
//!
//! Depends on: frames, headers, wire, sniff.

use super::no_more;
use crate::by_one::{head_end, is_farewell, next_part};
use crate::exchange::{Broken, Lane, too_many};
use crate::frames::{begin, inform, send};
use crate::headers;
use crate::message::{BodySize, Request, Response, lists};
use crate::reader::Reader;
use crate::room::Heads;
use crate::sniff;
use crate::wire::body::{Body, Part};
use crate::wire::parse::{self, Framing, Search};
use bytes::Bytes;
use h2::SendStream;
use h2::ext::Protocol;
use h2::server::SendResponse;
use http::{HeaderName, HeaderValue, StatusCode, header};
use std::future::poll_fn;
use tokio::io::AsyncRead;

/// Means nothing outside HTTP/1.1 (RFC 8441 5).
const WEBSOCKET_ACCEPT: HeaderName = HeaderName::from_static("sec-websocket-accept");

/// How the answer ended.
pub(super) enum Answered {
    /// Whole; the pod's connection may be used again.
    Whole(bool),
    /// What follows is bytes both ways.
    Tunnel,
}

/// The way back.
pub(super) struct Back<'a> {
    pub(super) request: &'a Request,
    pub(super) protocol: Option<&'a Protocol>,
    /// On another connection, if this one turns out to be over.
    pub(super) may_repeat: bool,
    pub(super) respond: &'a mut SendResponse<Bytes>,
    pub(super) out: &'a mut Option<SendStream<Bytes>>,
    pub(super) is_head: bool,
    pub(super) lane: &'a Lane<'a>,
    /// Of a large head, until the answer has gone on.
    pub(super) held: Option<Heads>,
}

impl Back<'_> {
    pub(super) async fn run<R: AsyncRead + Unpin>(mut self, from: &mut Reader<R>) -> Result<Answered, Broken> {
        let mut informed = 0;
        loop {
            let (response, framing) = self.head(from).await?;
            match response.status {
                StatusCode::SWITCHING_PROTOCOLS => return self.switched(response),
                status if status.is_informational() => {
                    if let Some(objection) = too_many(informed, self.lane.limits) {
                        return Err(Broken::Pod(objection.to_owned()));
                    }
                    informed += 1;
                    let mut headers = response.headers;
                    headers::to_client(&mut headers);
                    inform(self.respond, status, headers);
                }
                status if status.is_success() && self.request.is_connect() => return self.connected(response),
                status => match self.protocol {
                    // A client takes it for the agreement, and what follows for what was agreed to (RFC 8441 5).
                    Some(protocol) if status.is_success() => {
                        let message = format!("the application did not switch to the protocol {:?}", protocol.as_str());
                        return Err(Broken::Pod(message));
                    }
                    _ if self.may_repeat && informed == 0 && is_farewell(&response) => return Err(Broken::NoAnswer),
                    _ => return self.answer(response, framing, from).await,
                },
            }
        }
    }

    /// The next head.
    async fn head<R: AsyncRead + Unpin>(&mut self, from: &mut Reader<R>) -> Result<(Response, Framing), Broken> {
        let limits = self.lane.limits;
        let mut search = Search::default();
        loop {
            if let Some(end) = head_end(&mut search, &from.buffer, &mut self.held, self.lane)? {
                let head = from.take(end);
                return parse::response(&head, limits, self.is_head).map_err(Broken::Pod);
            }
            let read = tokio::select! {
                read = from.fill() => read,
                _ = poll_fn(|context| self.respond.poll_reset(context)) => return Err(Broken::Gone),
            };
            match read {
                Ok(true) => {}
                Ok(false) | Err(_) if from.buffer.is_empty() => return Err(Broken::NoAnswer),
                Ok(false) | Err(_) => {
                    return Err(Broken::Pod(
                        "the application closed the connection within a head".to_owned(),
                    ));
                }
            }
        }
    }

    /// The pod goes on in another protocol: only in the one the client asked for.
    fn switched(self, response: Response) -> Result<Answered, Broken> {
        let asked = self.protocol.map(Protocol::as_str).unwrap_or_default();
        let given = response.headers.get(header::UPGRADE).map(HeaderValue::as_bytes);
        if asked.is_empty() || !given.is_some_and(|given| given.eq_ignore_ascii_case(asked.as_bytes())) {
            let given = String::from_utf8_lossy(given.unwrap_or_default());
            let message = format!("backend tried to switch protocol {given:?} when {asked:?} was requested");
            return Err(Broken::Pod(message));
        }
        self.connected(response)
    }

    fn connected(self, response: Response) -> Result<Answered, Broken> {
        let mut headers = response.headers;
        headers::to_client(&mut headers);
        headers.remove(WEBSOCKET_ACCEPT);
        let response = Response {
            status: StatusCode::OK,
            headers,
            body: BodySize::Open,
        };
        self.lane.progress.answering(response.status.as_u16());
        begin(self.respond, self.out, response, false)?;
        Ok(Answered::Tunnel)
    }

    async fn answer<R: AsyncRead + Unpin>(
        self,
        mut response: Response,
        framing: Framing,
        from: &mut Reader<R>,
    ) -> Result<Answered, Broken> {
        let keeps = !lists(&response.headers, &header::CONNECTION, "close");
        headers::to_client(&mut response.headers);
        match response.status.as_u16() {
            204 => response.body = BodySize::None,
            304 => {
                response.body = BodySize::None;
                response.headers.remove(header::CONTENT_TYPE);
            }
            _ => {}
        }
        if let BodySize::Known(length) = response.body {
            let length = HeaderValue::from(length);
            response.headers.insert(header::CONTENT_LENGTH, length);
        }
        let mut body = Body::new(framing);
        let mut first = None;
        if matches!(framing, Framing::Length(1..)) && sniff::is_unnamed(&response.headers) {
            let part = tokio::select! {
                part = next_part(&mut body, from, self.lane.limits) => part?,
                _ = poll_fn(|context| self.respond.poll_reset(context)) => return Err(Broken::Gone),
            };
            if let Part::Data(data) = &part {
                sniff::name(&mut response.headers, data);
            }
            first = Some(part);
        }
        let is_ended = body.is_done() && first.is_none();
        self.lane.progress.answering(response.status.as_u16());
        begin(self.respond, self.out, response, is_ended)?;
        if let Some(out) = self.out.as_mut().filter(|_| !is_ended) {
            copy(first, &mut body, from, out, self.lane).await?;
        }
        Ok(Answered::Whole(
            keeps && framing != Framing::UntilClose && from.buffer.is_empty(),
        ))
    }
}

/// Passes the body on, `first` before what is still to come.
async fn copy<R: AsyncRead + Unpin>(
    mut first: Option<Part>,
    body: &mut Body,
    from: &mut Reader<R>,
    out: &mut SendStream<Bytes>,
    lane: &Lane<'_>,
) -> Result<(), Broken> {
    loop {
        let part = match first.take() {
            Some(part) => part,
            None => tokio::select! {
                part = next_part(body, from, lane.limits) => part.map_err(|_| Broken::Cut)?,
                _ = poll_fn(|context| out.poll_reset(context)) => return Err(Broken::Gone),
            },
        };
        let sent = match part {
            Part::Data(data) => {
                let length = data.len() as u64;
                send(out, data, false, lane.limits.write_time).await?;
                lane.progress.wrote(length);
                continue;
            }
            Part::Trailers(trailers) => out.send_trailers(trailers),
            Part::End => out.send_data(no_more(), true),
        };
        return sent.map_err(|_| Broken::Gone);
    }
}
