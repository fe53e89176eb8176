// SPDX-License-Identifier: Apache-2.0
//! h2 as the judge: streams as the application sees them.
//!
//! `/sleep/MS` · `/bytes/N` · `/trailers/N` · `/early` (answers before the request's body) · `/reset` (RST_STREAM
//! instead of an answer) · `/half-reset` (answer begun, then RST_STREAM) · `/goaway` (answers, then a graceful end).

use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Response};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Ledger, Request};

pub(super) async fn talk(stream: TcpStream, ledger: &Ledger, streams: u32) -> Result<()> {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(1 << 20)
        .initial_connection_window_size(4 << 20);
    builder.max_concurrent_streams(if streams == 0 { 1 << 20 } else { streams });
    builder
        .max_concurrent_reset_streams(1 << 16)
        .max_pending_accept_reset_streams(1 << 16);
    let mut connection = builder.handshake::<_, Bytes>(stream).await?;
    // Dropped with the connection: what is still being answered then is aborted.
    let mut answers = JoinSet::new();
    while let Some(accepted) = connection.accept().await {
        let (request, reply) = accepted?;
        let work = ledger.begin();
        let leave = request.uri().path() == "/goaway";
        answers.spawn(one(ledger.clone(), request, reply, work));
        while answers.try_join_next().is_some() {}
        if leave {
            connection.graceful_shutdown();
        }
    }
    Ok(())
}

async fn one(ledger: Ledger, request: http::Request<RecvStream>, mut reply: SendResponse<Bytes>, mut work: Request) {
    let is_head = request.method() == http::Method::HEAD;
    let path = if is_head {
        "/bytes/0".to_owned()
    } else {
        request.uri().path().to_owned()
    };
    let early = path == "/early";
    let mut body = request.into_body();
    let result = if early {
        let answered = answer(&path, &mut reply, &mut work).await;
        let read = whole(&mut body, &ledger).await;
        answered.and(read)
    } else {
        match whole(&mut body, &ledger).await {
            Ok(()) => answer(&path, &mut reply, &mut work).await,
            Err(error) => Err(error),
        }
    };
    if result.is_ok() {
        work.end();
    }
}

async fn whole(body: &mut RecvStream, ledger: &Ledger) -> Result<()> {
    while let Some(data) = body.data().await {
        let size = data?.len();
        ledger.body(size as u64);
        body.flow_control().release_capacity(size)?;
    }
    body.trailers().await?;
    Ok(())
}

async fn answer(path: &str, reply: &mut SendResponse<Bytes>, work: &mut Request) -> Result<()> {
    let mut parts = path.trim_start_matches('/').split('/');
    let kind = parts.next().unwrap_or_default();
    let amount: usize = parts.next().and_then(|part| part.parse().ok()).unwrap_or(13);
    match kind {
        "sleep" => sleep(Duration::from_millis(amount as u64), reply).await?,
        "reset" => {
            reply.send_reset(Reason::INTERNAL_ERROR);
            bail!("reset on request");
        }
        _ => {}
    }
    work.answer(200);
    let size = if kind == "bytes" || kind == "trailers" {
        amount
    } else {
        13
    };
    if size == 0 {
        work.last_write();
        reply.send_response(Response::new(()), true)?;
        return Ok(());
    }
    let mut stream = reply.send_response(Response::new(()), false)?;
    if kind == "half-reset" {
        send(&mut stream, size, false).await?;
        stream.send_reset(Reason::CANCEL);
        bail!("reset on request");
    }
    let trailers = kind == "trailers";
    send(&mut stream, size - 1, false).await?;
    work.last_write();
    send(&mut stream, 1, !trailers).await?;
    if trailers {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("1"));
        stream.send_trailers(trailers)?;
    }
    Ok(())
}

async fn sleep(time: Duration, reply: &mut SendResponse<Bytes>) -> Result<()> {
    tokio::select! {
        () = tokio::time::sleep(time) => Ok(()),
        reason = std::future::poll_fn(|context| reply.poll_reset(context)) => bail!("reset by the client: {reason:?}"),
    }
}

async fn send(stream: &mut SendStream<Bytes>, size: usize, end: bool) -> Result<()> {
    let mut left = size;
    while left > 0 {
        stream.reserve_capacity(left.min(64 << 10));
        let room = match std::future::poll_fn(|context| stream.poll_capacity(context)).await {
            Some(room) => room?,
            None => bail!("the stream is gone"),
        };
        let part = room.min(left);
        left -= part;
        stream.send_data(Bytes::from(vec![b'x'; part]), end && left == 0)?;
    }
    Ok(())
}
