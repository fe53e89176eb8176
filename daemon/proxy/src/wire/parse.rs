// SPDX-License-Identifier: Apache-2.0
//! Heads of HTTP/1: text to requests and responses.
//!
//! Problem: client and pod must never read different messages out of the same bytes.
//! Mechanism: a head is cut out whole, read strictly, and written anew by `write`; nothing of it is ever passed on as bytes.
//! What is lenient is what Go is lenient in: a bare LF ends a line, a folded line is joined with one space.
//! Invariants: no input panics; a length is digits only; two lengths, or an unknown coding, are refused.
//! Depends on: message, target, limits.

use crate::limits::Limits;
use crate::message::{BodySize, Peer, Request, Response, Version, lists, prune_trailers};
use crate::target::{Target, is_host};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use memchr::memchr;

/// Why a head is refused; each has Go's answer (data-plane spec 4; RFC 9112).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("400 Bad Request")]
    Malformed,
    #[error("400 Bad Request: invalid header name")]
    HeaderName,
    #[error("400 Bad Request: missing required Host header")]
    NoHost,
    #[error("400 Bad Request: malformed Host header")]
    BadHost,
    #[error("400 Bad Request: content in a CONNECT request")]
    Content,
    #[error("431 Request Header Fields Too Large")]
    TooLarge,
    #[error("505 HTTP Version Not Supported: unsupported protocol version")]
    Version,
    #[error("501 Not Implemented")]
    Coding,
    /// Too much is held for all clients.
    #[error("503 Service Unavailable")]
    NoRoom,
    /// Answered like any request, not as a bare text.
    #[error("417 Expectation Failed")]
    Expectation,
}

impl Fault {
    /// The whole answer; the connection ends with it.
    pub(crate) fn answer(self) -> String {
        let body = match self {
            Self::Coding => "Unsupported transfer encoding".to_owned(),
            other => other.to_string(),
        };
        format!("HTTP/1.1 {self}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n{body}")
    }
}

/// Looks for the end of a head, over bytes that come bit by bit.
#[derive(Debug, Default)]
pub(crate) struct Search {
    seen: usize,
}

impl Search {
    /// The length of the head at the beginning of `bytes`, its empty line included.
    pub(crate) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let from = self.seen.saturating_sub(3);
        let rest = bytes.get(from..)?;
        self.seen = bytes.len();
        let mut position = 0;
        while let Some(at) = memchr(b'\n', rest.get(position..)?) {
            let next = position + at + 1;
            match rest.get(next..)? {
                [b'\n', ..] => return Some(from + next + 1),
                [b'\r', b'\n', ..] => return Some(from + next + 2),
                _ => position = next,
            }
        }
        None
    }
}

/// Empty lines before a request line are passed over (RFC 9112 2.2).
pub(crate) fn leading(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(head);
    std::iter::from_fn(move || {
        let text = rest?;
        let (line, after) = match memchr(b'\n', text).and_then(|end| text.split_at_checked(end)) {
            Some((line, after)) => (line, after.get(1..)),
            None => (text, None),
        };
        rest = after;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// Reads a request's head.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn request(head: &Bytes, peer: &Peer, limits: &Limits) -> Result<Request, Fault> {
    let mut lines = lines(head);
    let (method, target, version) = request_line(lines.next().unwrap_or_default())?;
    let mut headers = fields(lines, head, limits, Spaced::Refused)?;
    add_cache_control(&mut headers);
    let host = host(&mut headers, &target, version, &method)?;
    // Length and coding at once: the coding stands, and the connection ends, since whoever sent this may mean to smuggle a
    // request (RFC 9112 6.1).
    let is_ambiguous = headers.contains_key(header::CONTENT_LENGTH) && headers.contains_key(header::TRANSFER_ENCODING);
    let is_connect = method == Method::CONNECT;
    let body = match request_body(&mut headers, version)? {
        BodySize::None | BodySize::Known(0) if is_connect => BodySize::None,
        // It has none (RFC 9110 9.3.6): who takes what follows for a tunnel's would read something else than we.
        _ if is_connect => return Err(Fault::Content),
        body => body,
    };
    headers.remove(header::CONTENT_LENGTH);
    let expects_continue = expectation(&headers, version, body)?;
    // What came too early of a tunnel that was refused must not be read as a request.
    let close = is_ambiguous
        || is_connect
        || match version {
            Version::One0 => !stays_open(&headers),
            _ => lists(&headers, &header::CONNECTION, "close"),
        };
    Ok(Request {
        method,
        target,
        version,
        headers,
        rest: None,
        host,
        body,
        peer: peer.clone(),
        expects_continue,
        close,
    })
}

fn request_line(line: &[u8]) -> Result<(Method, Target, Version), Fault> {
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
        return Err(Fault::Malformed);
    };
    let method = Method::from_bytes(method).map_err(|_| Fault::Malformed)?;
    let version = match version {
        b"HTTP/1.0" => Version::One0,
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit() => Version::One1,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            return Err(Fault::Version);
        }
        _ => return Err(Fault::Malformed),
    };
    let target = Target::parse(target, method == Method::CONNECT).ok_or(Fault::Malformed)?;
    Ok((method, target, version))
}

/// What becomes of a field with a space in its name, as before the colon.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spaced {
    /// It may hide a field from others (RFC 9112 5.1).
    Refused,
    /// It goes no further, as with Go.
    Dropped,
}

/// Values are parts of `whole`, of which `lines` are made: nothing is copied.
fn fields<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    whole: &Bytes,
    limits: &Limits,
    spaced: Spaced,
) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    let mut lines = lines.peekable();
    let mut count = 0_usize;
    while let Some(line) = lines.next() {
        if line.is_empty() {
            break;
        }
        let colon = line.iter().position(|byte| *byte == b':').ok_or(Fault::Malformed)?;
        let (name, value) = line.split_at_checked(colon).ok_or(Fault::Malformed)?;
        let mut value = whole.slice_ref(trimmed(value.get(1..).unwrap_or_default()));
        // obs-fold (RFC 9112 5.2): replaced by one space.
        let is_folded = matches!(lines.peek(), Some([b' ' | b'\t', ..]));
        while let Some(folded) = lines.next_if(|line| matches!(line, [b' ' | b'\t', ..])) {
            value = [&value, &b" "[..], trimmed(folded)].concat().into();
            // What is folded may be empty.
            value = value.slice_ref(trimmed(&value));
        }
        if name.is_empty() || name.first() == Some(&b' ') {
            return Err(Fault::Malformed);
        }
        if spaced == Spaced::Dropped && name.contains(&b' ') && name.iter().all(is_spaced_token) {
            continue;
        }
        let name = HeaderName::from_bytes(name).map_err(|_| match name.contains(&b' ') {
            true => Fault::HeaderName,
            false => Fault::Malformed,
        })?;
        // Who does not join these lines sees another length, or another host.
        if is_folded && [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::HOST].contains(&name) {
            return Err(Fault::Malformed);
        }
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| Fault::Malformed)?;
        count += 1;
        if count > limits.header_count || headers.try_append(name, value).is_err() {
            return Err(Fault::TooLarge);
        }
    }
    Ok(headers)
}

fn is_spaced_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b" -_!#$%&'*+.^`|~".contains(byte)
}

/// What HTTP/1.0 said in another way (RFC 9111 5.4); Go reads every head of HTTP/1 so.
fn add_cache_control(headers: &mut HeaderMap) {
    if headers.get(header::PRAGMA).is_some_and(|value| value == "no-cache")
        && !headers.contains_key(header::CACHE_CONTROL)
    {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
}

/// Whether a connection of HTTP/1.0 goes on.
fn stays_open(headers: &HeaderMap) -> bool {
    lists(headers, &header::CONNECTION, "keep-alive") && !lists(headers, &header::CONNECTION, "close")
}

/// Without spaces and tabs around it; a bare CR is no space, and no value either.
pub(super) fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn host(headers: &mut HeaderMap, target: &Target, version: Version, method: &Method) -> Result<Box<str>, Fault> {
    if headers.get_all(header::HOST).iter().count() > 1 {
        return Err(Fault::Malformed);
    }
    let named = headers.remove(header::HOST);
    if named.is_none() && version == Version::One1 && *method != Method::CONNECT {
        return Err(Fault::NoHost);
    }
    let named = named.unwrap_or(HeaderValue::from_static(""));
    if !is_host(named.as_bytes()) {
        return Err(Fault::BadHost);
    }
    let named = named.to_str().map_err(|_| Fault::BadHost)?;
    Ok(target.authority.as_deref().unwrap_or(named).into())
}

fn request_body(headers: &mut HeaderMap, version: Version) -> Result<BodySize, Fault> {
    if let Some(coding) = coding(headers).map_err(|()| Fault::Coding)? {
        // HTTP/1.0 knows no coding: what follows cannot be told apart (RFC 9112 6.1).
        if version == Version::One0 {
            return Err(Fault::Malformed);
        }
        return Ok(coding);
    }
    Ok(length(headers)?.map_or(BodySize::None, BodySize::Known))
}

/// The body is chunked; takes the header away, and a length beside it.
fn coding(headers: &mut HeaderMap) -> Result<Option<BodySize>, ()> {
    let mut values = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() || !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(());
    }
    headers.remove(header::TRANSFER_ENCODING);
    Ok(Some(BodySize::Open))
}

/// The length, one however often it is said; takes the header away.
fn length(headers: &mut HeaderMap) -> Result<Option<u64>, Fault> {
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(first) = values.next() else {
        return Ok(None);
    };
    if values.any(|other| other != first) {
        return Err(Fault::Malformed);
    }
    let text = first.to_str().map_err(|_| Fault::Malformed)?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::Malformed);
    }
    let length: u64 = text.parse().map_err(|_| Fault::Malformed)?;
    if i64::try_from(length).is_err() {
        return Err(Fault::Malformed);
    }
    headers.remove(header::CONTENT_LENGTH);
    Ok(Some(length))
}

fn expectation(headers: &HeaderMap, version: Version, body: BodySize) -> Result<bool, Fault> {
    if !headers.contains_key(header::EXPECT) {
        return Ok(false);
    }
    if lists(headers, &header::EXPECT, "100-continue") {
        let has_body = !matches!(body, BodySize::None | BodySize::Known(0));
        return Ok(version == Version::One1 && has_body);
    }
    if headers.get(header::EXPECT).is_some_and(|value| value.is_empty()) {
        return Ok(false);
    }
    Err(Fault::Expectation)
}

/// Reads a response's head; a body as long as the connection is `Open` like a chunked one, told apart by `is_chunked`.
///
/// # Errors
/// What is wrong with it, in words for the client of a 502.
pub(crate) fn response(head: &Bytes, limits: &Limits, is_head: bool) -> Result<(Response, Framing), String> {
    let mut lines = lines(head);
    let line = lines.next().unwrap_or_default();
    let (version, status) = status_line(line).ok_or("the application sent no HTTP status line")?;
    let mut headers =
        fields(lines, head, limits, Spaced::Dropped).map_err(|_| "the application sent a malformed header")?;
    add_cache_control(&mut headers);
    let chunked = match version {
        Version::One0 => {
            headers.remove(header::TRANSFER_ENCODING);
            None
        }
        _ => coding(&mut headers).map_err(|()| "the application sent an unknown transfer encoding")?,
    };
    match chunked {
        Some(_) => drop(headers.remove(header::CONTENT_LENGTH)),
        // None can come.
        None => drop(headers.remove(header::TRAILER)),
    }
    let length = length(&mut headers).map_err(|_| "the application sent a malformed Content-Length")?;
    let has_none = is_head || status.is_informational() || matches!(status.as_u16(), 204 | 304);
    let framing = match (has_none, chunked, length) {
        (true, ..) => Framing::None,
        (_, Some(_), _) => Framing::Chunked,
        (_, None, Some(length)) => Framing::Length(length),
        (_, None, None) => Framing::UntilClose,
    };
    let body = match (framing, length) {
        (Framing::None, Some(length)) => BodySize::Known(length),
        (Framing::None, None) => BodySize::None,
        (Framing::Length(length), _) => BodySize::Known(length),
        (Framing::Chunked | Framing::UntilClose, _) => BodySize::Open,
    };
    let says_close = lists(&headers, &header::CONNECTION, "close");
    let keeps = match version {
        Version::One0 => stays_open(&headers),
        _ => !says_close,
    };
    // The end of a connection that is not kept is told by the framing `UntilClose` or by this header.
    if !keeps && !says_close {
        headers.append(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok((Response { status, headers, body }, framing))
}

fn status_line(line: &[u8]) -> Option<(Version, StatusCode)> {
    let (version, rest) = line.split_at_checked(line.iter().position(|byte| *byte == b' ')?)?;
    let version = match version {
        b"HTTP/1.0" => Version::One0,
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit() => Version::One1,
        _ => return None,
    };
    let rest = rest.trim_ascii_start();
    let code = rest.split(|byte| *byte == b' ').next()?;
    Some((version, StatusCode::from_bytes(code).ok()?))
}

/// Trailers, as the last part of a chunked body.
pub(crate) fn trailers(block: &Bytes, limits: &Limits) -> Result<HeaderMap, Fault> {
    let mut headers = fields(lines(block), block, limits, Spaced::Refused)?;
    prune_trailers(&mut headers);
    Ok(headers)
}

/// How a body is delimited on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// No body.
    None,
    /// So many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
    /// To the end of the connection.
    UntilClose,
}

impl From<BodySize> for Framing {
    fn from(size: BodySize) -> Self {
        match size {
            BodySize::None => Self::None,
            BodySize::Known(length) => Self::Length(length),
            BodySize::Open => Self::Chunked,
        }
    }
}

#[cfg(test)]
mod tests;
