// SPDX-License-Identifier: Apache-2.0
//! A stream of an HTTP/2 client, carried to a pod and back.
//!
//! Mechanism: frames are passed on as they come; a window is given back when the other side has taken what filled it.
//! Invariants: a reset goes through with its reason; a body that breaks off ends in a reset, never as if it were whole.
//! Depends on: exchange, headers, pod.

use crate::exchange::{Broken, Client, Lane};
use crate::headers;
use crate::message::{Answer, Request, Response};
use crate::pod::TwoFault;
use crate::progress::Progress;
use crate::sniff;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderValue, StatusCode, Uri, header};
use std::future::poll_fn;
use std::task::Poll;

/// An open stream.
pub(super) struct Two {
    body: RecvStream,
    respond: SendResponse<Bytes>,
    /// Once the head of the response is out.
    out: Option<SendStream<Bytes>>,
    is_head: bool,
    /// How a response that breaks off is reset.
    reason: Reason,
}

impl Two {
    pub(super) fn new(body: RecvStream, respond: SendResponse<Bytes>, is_head: bool) -> Self {
        Self {
            body,
            respond,
            out: None,
            is_head,
            reason: Reason::INTERNAL_ERROR,
        }
    }
}

impl Client for Two {
    async fn answer(&mut self, answer: &Answer, progress: &Progress) -> Result<(), Broken> {
        let mut head = answer.head();
        head.headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(answer.body.len()));
        let is_bare = self.is_head || answer.body.is_empty();
        progress.answering(answer.status.as_u16());
        begin(&mut self.respond, &mut self.out, head, is_bare)?;
        if !is_bare && let Some(out) = &mut self.out {
            send(out, Bytes::from(answer.body.clone()), true).await?;
            progress.wrote(answer.body.len() as u64);
        }
        Ok(())
    }

    async fn forward(&mut self, request: &Request, lane: &Lane<'_>) -> Result<(), Broken> {
        let mut sender = match lane.pod.two(lane.retries, lane.limits, lane.tasks).await {
            Ok(sender) => sender,
            Err(TwoFault::Dial(fault)) => return Err(fault.into()),
            Err(TwoFault::Protocol(fault)) => return Err(Broken::Pod(fault.to_string())),
        };
        let head = outgoing(request, lane.host).ok_or(Broken::BadBody)?;
        let is_ended = self.body.is_end_stream();
        let (answer, to_pod) = sender
            .send_request(head, is_ended)
            .map_err(|fault| Broken::Pod(fault.to_string()))?;
        let result = {
            let upload = upload(&mut self.body, to_pod, is_ended);
            let download = download(answer, &mut self.respond, &mut self.out, self.is_head, lane.progress);
            tokio::select! {
                biased;
                done = download => done,
                () = upload => Err(Fault::Gone),
            }
        };
        result.map_err(|fault| match fault {
            Fault::Gone => Broken::Gone,
            Fault::BeforeHead(fault) => Broken::Pod(fault.to_string()),
            Fault::InBody(fault) => {
                self.reason = fault.reason().unwrap_or(Reason::INTERNAL_ERROR);
                Broken::Cut
            }
        })
    }

    async fn gone(&mut self) {
        drop(poll_fn(|context| self.respond.poll_reset(context)).await);
    }

    fn cut(&mut self) {
        match &mut self.out {
            Some(out) => out.send_reset(self.reason),
            None => self.respond.send_reset(Reason::CANCEL),
        }
    }
}

/// Why a stream broke.
enum Fault {
    Gone,
    BeforeHead(h2::Error),
    InBody(h2::Error),
}

fn outgoing(request: &Request, host: &str) -> Option<http::Request<()>> {
    let uri = Uri::builder()
        .scheme("http")
        .authority(host)
        .path_and_query(&*request.target.text)
        .build()
        .ok()?;
    let mut head = http::Request::new(());
    *head.method_mut() = request.method.clone();
    *head.uri_mut() = uri;
    *head.version_mut() = http::Version::HTTP_2;
    *head.headers_mut() = request.headers.clone();
    Some(head)
}

/// Carries the request's body; returns only when the client is gone.
async fn upload(from: &mut RecvStream, mut to: SendStream<Bytes>, is_ended: bool) {
    if !is_ended {
        loop {
            match from.data().await {
                Some(Ok(data)) => {
                    let length = data.len();
                    // A pod that wants no more of it may still answer.
                    if send(&mut to, data, false).await.is_err() {
                        break;
                    }
                    drop(from.flow_control().release_capacity(length));
                }
                Some(Err(_)) => return,
                None => {
                    match from.trailers().await {
                        Ok(Some(trailers)) => drop(to.send_trailers(trailers)),
                        Ok(None) => drop(to.send_data(Bytes::new(), true)),
                        Err(_) => return,
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
}

async fn download(
    mut answer: h2::client::ResponseFuture,
    respond: &mut SendResponse<Bytes>,
    out: &mut Option<SendStream<Bytes>>,
    is_head: bool,
    progress: &Progress,
) -> Result<(), Fault> {
    let response = tokio::select! {
        response = &mut answer => response.map_err(Fault::BeforeHead)?,
        _ = poll_fn(|context| respond.poll_reset(context)) => return Err(Fault::Gone),
    };
    let (head, mut body) = response.into_parts();
    let mut headers = head.headers;
    headers::to_client(&mut headers);
    let is_ended = body.is_end_stream();
    let bodiless = is_head || matches!(head.status.as_u16(), 204 | 304);
    let is_known = headers.contains_key(header::CONTENT_LENGTH);
    if is_ended && !is_known && !bodiless {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let mut first = None;
    let is_unnamed = !headers.contains_key(header::CONTENT_TYPE) && !headers.contains_key(header::CONTENT_ENCODING);
    if is_known && is_unnamed && !is_ended {
        first = body.data().await;
        if let Some(Ok(data)) = &first {
            let kind = HeaderValue::from_static(sniff::content_type(data));
            headers.insert(header::CONTENT_TYPE, kind);
        }
    }
    let response = Response {
        status: head.status,
        headers,
        body: crate::message::BodySize::Open,
    };
    progress.answering(head.status.as_u16());
    begin(respond, out, response, is_ended).map_err(|_| Fault::Gone)?;
    let Some(out) = out.as_mut().filter(|_| !is_ended) else {
        return Ok(());
    };
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
                send(out, data, false).await.map_err(|_| Fault::Gone)?;
                progress.wrote(length as u64);
                drop(body.flow_control().release_capacity(length));
            }
            Some(Err(fault)) => return Err(Fault::InBody(fault)),
            None => break,
        }
    }
    let sent = match body.trailers().await.map_err(Fault::InBody)? {
        Some(trailers) => out.send_trailers(trailers),
        None => out.send_data(Bytes::new(), true),
    };
    sent.map_err(|_| Fault::Gone)
}

/// Sends the head of a response.
fn begin(
    respond: &mut SendResponse<Bytes>,
    out: &mut Option<SendStream<Bytes>>,
    response: Response,
    is_ended: bool,
) -> Result<(), Broken> {
    let mut head = http::Response::new(());
    *head.status_mut() = response.status;
    *head.headers_mut() = response.headers;
    if !head.headers().contains_key(header::DATE) {
        let now = httpdate::HttpDate::from(std::time::SystemTime::now()).to_string();
        if let Ok(now) = HeaderValue::try_from(now) {
            head.headers_mut().insert(header::DATE, now);
        }
    }
    debug_assert_ne!(response.status, StatusCode::SWITCHING_PROTOCOLS);
    *out = Some(respond.send_response(head, is_ended).map_err(|_| Broken::Gone)?);
    Ok(())
}

/// Sends data as the window allows.
async fn send(to: &mut SendStream<Bytes>, mut data: Bytes, is_last: bool) -> Result<(), Broken> {
    while !data.is_empty() {
        to.reserve_capacity(data.len());
        let room = match to.capacity() {
            0 => match poll_fn(|context| to.poll_capacity(context)).await {
                Some(Ok(room)) => room,
                Some(Err(_)) | None => return Err(Broken::Gone),
            },
            room => room,
        };
        let piece = data.split_to(room.min(data.len()));
        let ends = is_last && data.is_empty();
        to.send_data(piece, ends).map_err(|_| Broken::Gone)?;
    }
    Ok(())
}
