// SPDX-License-Identifier: Apache-2.0
//! One request to a pod and its answer back, both ways at once.
//!
//! Mechanism: `upload` and `download` run side by side in the request's task; when all of the request is sent, `upload` goes
//! on to watch for the client's end. What is in hand is gathered and written at once; nothing waits for more.
//! Invariants: a body is never held back for its end, nor in TLS; memory is one read each way; 101 ends in a `tunnel`.
//! Depends on: side, tunnel, wire, headers.

use super::side::One;
use super::tell;
use super::tunnel;
use crate::by_one::{closed_early, head_end, is_farewell, next_part};
use crate::ending::Ending;
use crate::exchange::{Broken, Intake, Lane, too_many};
use crate::headers;
use crate::limits::Limits;
use crate::message::{Request, Response, Version, upgrade};
use crate::pod::Stream;
use crate::progress::Progress;
use crate::reader::{Reader, Watched};
use crate::room::Heads;
use crate::sniff;
use crate::wire::body::{Body, Part, put, put_before};
use crate::wire::parse::{self, Framing, Search};
use crate::wire::usual::{Usual, usual};
use crate::wire::write;
use bytes::{Buf, BytesMut};
use http::{StatusCode, header};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::time::timeout;

/// A pod that does not answer `Expect: 100-continue` for so long gets the body all the same (Go's transport).
const CONTINUE: Duration = Duration::from_secs(1);
/// So much is gathered before it is written.
const GATHERED: usize = 64 << 10;
/// A part as large as that is not copied to be gathered.
const LARGE: usize = 4 << 10;

/// How the download ended.
enum Downloaded {
    /// Whole; the pod's connection may be used again.
    Whole(bool),
    /// The connection goes on as a tunnel.
    Tunnel,
}

/// What both directions tell each other.
struct Signals {
    /// The client is to send its body.
    go: Notify,
    /// All of the body went to the pod.
    sent: AtomicBool,
}

/// Carries one exchange; whether the pod's connection may be used again.
pub(super) async fn run<R, W>(
    client: &mut One<'_, R, W>,
    request: &Request,
    stream: &mut Stream,
    lane: &Lane<'_>,
) -> Result<bool, Broken>
where
    R: Watched + Send,
    W: Ending + Send,
{
    let signals = Signals {
        go: Notify::new(),
        sent: AtomicBool::new(false),
    };
    let mut head = BytesMut::with_capacity(1024);
    write::request(request, lane.host, &mut head);
    let may_repeat = lane.may_repeat(request, stream);
    let ended = {
        let up = Upload {
            body: &mut client.body,
            framing: request.body.into(),
            waits: client.waits,
            limits: lane.limits,
        };
        let upload = up.run(head, client.reader, &mut stream.writer, &signals);
        let down = Download {
            request,
            lane,
            may_repeat,
            facts: &mut client.facts,
            waits: &mut client.waits,
            is_over: &mut client.is_over,
            signals: &signals,
            held: None,
        };
        let download = down.run(&mut stream.reader, client.writer);
        tokio::select! {
            biased;
            ended = download => ended?,
            broken = upload => return Err(broken),
        }
    };
    let is_sent = signals.sent.load(Relaxed);
    match ended {
        Downloaded::Tunnel => {
            client.is_over = true;
            tunnel::run(client.reader, client.writer, stream, lane).await?;
            Ok(false)
        }
        Downloaded::Whole(keeps) => {
            client.is_over |= client.facts.close || !is_sent;
            // After a CONNECT the pod may take what follows for a tunnel, whatever it answered.
            Ok(keeps && is_sent && !request.is_connect())
        }
    }
}

/// The way to the pod.
struct Upload<'a> {
    body: &'a mut Body,
    framing: Framing,
    waits: bool,
    limits: &'a Limits,
}

impl Upload<'_> {
    /// Returns only when it is broken; after its work it watches the client.
    async fn run<R, W>(self, mut out: BytesMut, from: &mut Reader<R>, to: &mut W, signals: &Signals) -> Broken
    where
        R: Watched,
        W: AsyncWrite + Unpin,
    {
        if self.waits {
            match from.unless_left(to.write_all(&out)).await {
                Some(Ok(())) => out.clear(),
                Some(Err(_)) => return watch(from, self.limits).await,
                None => return Broken::Gone,
            }
            tokio::select! {
                () = signals.go.notified() => {}
                broken = watch(from, self.limits) => return broken,
            }
        }
        let mut intake = Intake::new(self.limits);
        loop {
            let part = match self.body.take(&mut from.buffer, self.limits) {
                Ok(part) => part,
                Err(_) => return Broken::BadBody,
            };
            if let Some(Part::Data(data)) = &part
                && let Err(broken) = intake.count(data.len())
            {
                return broken;
            }
            let is_last = matches!(part, Some(Part::End | Part::Trailers(_)));
            let writing = async {
                if let Some(part) = &part {
                    pass(part, self.framing, &mut out, to).await?;
                }
                match part.is_none() || is_last {
                    true => flush(&mut out, to).await,
                    false => Ok(()),
                }
            };
            match from.unless_left(writing).await {
                Some(Ok(())) => {}
                // The pod may have answered and closed already: the download knows.
                Some(Err(_)) => return watch(from, self.limits).await,
                None => return Broken::Gone,
            }
            if is_last {
                signals.sent.store(true, Relaxed);
                return watch(from, self.limits).await;
            }
            if part.is_none() {
                match intake.next(from.fill()).await {
                    Ok(Ok(true)) => {}
                    Ok(Ok(false) | Err(_)) => return Broken::Gone,
                    Err(broken) => return broken,
                }
            }
        }
    }
}

async fn watch<R: Watched>(from: &mut Reader<R>, limits: &Limits) -> Broken {
    from.end(limits.read_ahead).await;
    Broken::Gone
}

/// The way back.
struct Download<'a> {
    request: &'a Request,
    lane: &'a Lane<'a>,
    /// On another connection, if this one turns out to be over.
    may_repeat: bool,
    facts: &'a mut write::Client,
    waits: &'a mut bool,
    is_over: &'a mut bool,
    signals: &'a Signals,
    /// Of a large head, until the answer has gone on.
    held: Option<Heads>,
}

impl Download<'_> {
    async fn run<R, W>(mut self, from: &mut Reader<R>, to: &mut W) -> Result<Downloaded, Broken>
    where
        R: AsyncRead + Unpin,
        W: Ending,
    {
        let mut informed = 0;
        loop {
            let length = self.head(from, to).await?;
            if let Some((usual, out)) = self.usual(from.buffer.get(..length).unwrap_or_default()) {
                from.buffer.advance(length);
                return self.pass_on(usual, out, from, to).await;
            }
            let limits = self.lane.limits;
            let (response, framing) =
                parse::response(&from.take(length), limits, self.facts.is_head).map_err(Broken::Pod)?;
            match response.status {
                StatusCode::SWITCHING_PROTOCOLS => return self.switch(response, to).await,
                status if status.is_informational() => {
                    if let Some(objection) = too_many(informed, limits) {
                        return Err(Broken::Pod(objection.to_owned()));
                    }
                    informed += 1;
                    self.inform(response, to).await?;
                }
                status if status.is_success() && self.request.is_connect() => {
                    return self.connected(response, to).await;
                }
                _ if self.may_repeat && informed == 0 && is_farewell(&response) => return Err(Broken::NoAnswer),
                _ => return self.answer(response, framing, from, to).await,
            }
        }
    }

    /// The length of the next head; a client that waits to send its body is not left waiting by a silent pod.
    async fn head<R, W>(&mut self, from: &mut Reader<R>, to: &mut W) -> Result<usize, Broken>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut search = Search::default();
        loop {
            if let Some(end) = head_end(&mut search, &from.buffer, &mut self.held, self.lane)? {
                return Ok(end);
            }
            let read = if *self.waits {
                match timeout(CONTINUE, from.fill()).await {
                    Ok(read) => read,
                    Err(_) => {
                        self.go_on(to).await?;
                        continue;
                    }
                }
            } else {
                from.fill().await
            };
            match read {
                Ok(true) => {}
                Ok(false) if from.buffer.is_empty() => return Err(Broken::NoAnswer),
                Ok(false) => {
                    return Err(Broken::Pod(
                        "the application closed the connection within a head".to_owned(),
                    ));
                }
                Err(_) if from.buffer.is_empty() => return Err(Broken::NoAnswer),
                Err(fault) => return Err(Broken::Pod(format!("reading from the application: {fault}"))),
            }
        }
    }

    /// A head that goes on as it is, as the client gets it.
    fn usual(&self, head: &[u8]) -> Option<(Usual, BytesMut)> {
        // What was asked for is a tunnel; or the client may send its body or not.
        if self.request.is_connect() || *self.waits {
            return None;
        }
        let mut out = BytesMut::with_capacity(1024);
        let usual = usual(head, self.lane.limits.header_count, self.facts, &mut out)?;
        Some((usual, out))
    }

    /// The rest of an answer whose head is written but for its end.
    async fn pass_on<R, W>(
        self,
        usual: Usual,
        mut out: BytesMut,
        from: &mut Reader<R>,
        to: &mut W,
    ) -> Result<Downloaded, Broken>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut body = Body::new(usual.framing);
        if let (Framing::Length(length @ 1..), false) = (usual.framing, usual.has_type) {
            let first = beginning(from, length).await?;
            write::field(b"content-type", sniff::content_type(first).as_bytes(), &mut out);
        }
        write::end(usual.has_date, &mut out);
        *self.is_over = true;
        self.lane.progress.answering(usual.status.as_u16());
        copy(None, &mut body, usual.framing, from, to, out, self.lane).await?;
        *self.is_over = false;
        Ok(Downloaded::Whole(from.buffer.is_empty()))
    }

    /// Lets the client send its body.
    async fn go_on<W: AsyncWrite + Unpin>(&mut self, to: &mut W) -> Result<(), Broken> {
        *self.waits = false;
        tell(to, b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        self.signals.go.notify_one();
        Ok(())
    }

    async fn inform<W: AsyncWrite + Unpin>(&mut self, mut response: Response, to: &mut W) -> Result<(), Broken> {
        if response.status == StatusCode::CONTINUE && *self.waits {
            return self.go_on(to).await;
        }
        if self.facts.version == Version::One0 {
            return Ok(());
        }
        headers::to_client(&mut response.headers);
        let mut out = BytesMut::new();
        write::informational(response.status, &response.headers, &mut out);
        tell(to, &out).await
    }

    /// The pod goes on in another protocol: only in the one the client asked for.
    async fn switch<W: AsyncWrite + Unpin>(self, mut response: Response, to: &mut W) -> Result<Downloaded, Broken> {
        let asked = upgrade(&self.request.headers).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let given = response
            .headers
            .get(header::UPGRADE)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        match (&asked, &given) {
            (Some(asked), Some(given)) if asked.eq_ignore_ascii_case(given) => {}
            _ => {
                let (asked, given) = (asked.unwrap_or_default(), given.unwrap_or_default());
                let message = format!("backend tried to switch protocol {given:?} when {asked:?} was requested");
                return Err(Broken::Pod(message));
            }
        }
        headers::to_upgraded_client(&mut response.headers);
        let mut out = BytesMut::new();
        write::informational(response.status, &response.headers, &mut out);
        self.lane.progress.answering(response.status.as_u16());
        tell(to, &out).await?;
        Ok(Downloaded::Tunnel)
    }

    /// What was asked for by CONNECT is there: what follows is its own (RFC 9110 9.3.6).
    async fn connected<W: AsyncWrite + Unpin>(self, mut response: Response, to: &mut W) -> Result<Downloaded, Broken> {
        headers::to_client(&mut response.headers);
        let mut out = BytesMut::new();
        write::informational(response.status, &response.headers, &mut out);
        self.lane.progress.answering(response.status.as_u16());
        tell(to, &out).await?;
        Ok(Downloaded::Tunnel)
    }

    async fn answer<R, W>(
        self,
        mut response: Response,
        framing: Framing,
        from: &mut Reader<R>,
        to: &mut W,
    ) -> Result<Downloaded, Broken>
    where
        R: AsyncRead + Unpin,
        W: Ending,
    {
        let keeps = !crate::message::lists(&response.headers, &header::CONNECTION, "close");
        headers::to_client(&mut response.headers);
        match response.status.as_u16() {
            204 => response.body = crate::message::BodySize::None,
            304 => {
                response.body = crate::message::BodySize::None;
                response.headers.remove(header::CONTENT_TYPE);
            }
            _ => {}
        }
        let outgoing = match (framing, self.facts.version) {
            (Framing::None, _) => Framing::None,
            (Framing::Length(length), _) => Framing::Length(length),
            (_, Version::One0) => {
                self.facts.close = true;
                Framing::UntilClose
            }
            _ => Framing::Chunked,
        };
        // The client was never told to send its body: it may do so or not.
        self.facts.close |= *self.waits;
        let mut body = Body::new(framing);
        let mut out = BytesMut::with_capacity(1024);
        let first = match matches!(framing, Framing::Length(1..)) && sniff::is_unnamed(&response.headers) {
            true => Some(next_part(&mut body, from, self.lane.limits).await?),
            false => None,
        };
        if let Some(Part::Data(data)) = &first {
            sniff::name(&mut response.headers, data);
        }
        write::response(&response, outgoing, self.facts, &mut out);
        // Until its end is written, the response is not whole.
        *self.is_over = true;
        to.is_amid(outgoing == Framing::UntilClose);
        self.lane.progress.answering(response.status.as_u16());
        copy(first, &mut body, outgoing, from, to, out, self.lane).await?;
        to.is_amid(false);
        *self.is_over = false;
        Ok(Downloaded::Whole(
            keeps && framing != Framing::UntilClose && from.buffer.is_empty(),
        ))
    }
}

/// What is there of a body of this length, which is not nothing.
async fn beginning<R: AsyncRead + Unpin>(from: &mut Reader<R>, length: u64) -> Result<&[u8], Broken> {
    if from.buffer.is_empty() && !matches!(from.fill().await, Ok(true)) {
        return Err(closed_early());
    }
    let most = usize::try_from(length).unwrap_or(usize::MAX);
    Ok(from.buffer.get(..most).unwrap_or(&from.buffer))
}

/// Writes the rest of a body, `out` before it.
async fn copy<R, W>(
    mut first: Option<Part>,
    body: &mut Body,
    framing: Framing,
    from: &mut Reader<R>,
    to: &mut W,
    mut out: BytesMut,
    lane: &Lane<'_>,
) -> Result<(), Broken>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let progress: &Progress = lane.progress;
    if first.is_none()
        && let Some(length) = body.finish(&mut from.buffer, LARGE, &mut out)
    {
        flush(&mut out, to).await.map_err(|_| Broken::Gone)?;
        progress.wrote(length as u64);
        return Ok(());
    }
    loop {
        let part = match first.take() {
            Some(part) => Some(part),
            None => match body.take(&mut from.buffer, lane.limits) {
                Ok(part) => part,
                Err(_) => {
                    // What came before it is the client's.
                    flush(&mut out, to).await.map_err(|_| Broken::Gone)?;
                    return Err(Broken::Cut);
                }
            },
        };
        if let Some(part) = &part {
            pass(part, framing, &mut out, to).await.map_err(|_| Broken::Gone)?;
        }
        if let Some(Part::Data(data)) = &part {
            progress.wrote(data.len() as u64);
        }
        let is_last = matches!(part, Some(Part::End | Part::Trailers(_)));
        // What length a body has was told: where its last byte went, all is written but the end of chunks.
        let is_whole = framing != Framing::Chunked && body.is_done();
        if part.is_none() || is_last || is_whole {
            flush(&mut out, to).await.map_err(|_| Broken::Gone)?;
        }
        if is_last {
            return Ok(());
        }
        if part.is_none() {
            match next_part(body, from, lane.limits).await {
                Ok(part) => first = Some(part),
                Err(_) => return Err(Broken::Cut),
            }
        }
    }
}

/// A part of a body, behind what is gathered: small ones are gathered too, others are written where they lie.
async fn pass<W: AsyncWrite + Unpin>(part: &Part, framing: Framing, out: &mut BytesMut, to: &mut W) -> io::Result<()> {
    match part {
        Part::Data(data) if data.len() >= LARGE => {
            let after = put_before(data, framing, out);
            let mut all = Buf::chain(&out[..], &data[..]).chain(after);
            to.write_all_buf(&mut all).await?;
            out.clear();
        }
        part => {
            put(part, framing, out);
            if out.len() >= GATHERED {
                to.write_all(out).await?;
                out.clear();
            }
        }
    }
    Ok(())
}

/// Writes what is gathered; nothing that was written before stays behind in TLS.
async fn flush<W: AsyncWrite + Unpin>(out: &mut BytesMut, to: &mut W) -> io::Result<()> {
    if !out.is_empty() {
        to.write_all(out).await?;
        out.clear();
    }
    to.flush().await
}
