// SPDX-License-Identifier: Apache-2.0
//! Heads of HTTP/1: requests and responses to text.
//!
//! Invariants: names in canonical case, as Go writes them; one framing header at most.
//! Depends on: message, parse.

use super::parse::Framing;
use crate::message::{BodySize, Request, Response, Version};
use bytes::{BufMut as _, BytesMut};
use http::{HeaderMap, StatusCode};
use std::io::Write as _;

/// Lines of these headers.
pub(crate) fn fields(headers: &HeaderMap, out: &mut BytesMut) {
    for (name, value) in headers {
        field(name.as_str(), value.as_bytes(), out);
    }
}

fn field(name: &str, value: &[u8], out: &mut BytesMut) {
    let mut starts = true;
    for byte in name.bytes() {
        out.put_u8(if starts { byte.to_ascii_uppercase() } else { byte });
        starts = byte == b'-';
    }
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn framing_field(body: BodySize, out: &mut BytesMut) {
    match body {
        BodySize::None => {}
        // Writing to a buffer cannot fail.
        BodySize::Known(length) => drop(write!(out.writer(), "Content-Length: {length}\r\n")),
        BodySize::Open => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
}

/// The head that the pod gets.
pub(crate) fn request(request: &Request, host: &str, out: &mut BytesMut) {
    out.extend_from_slice(request.method.as_str().as_bytes());
    out.put_u8(b' ');
    // Characters of a target are bytes (`Target::parse`).
    out.extend(
        request
            .target
            .text
            .chars()
            .map(|char| u8::try_from(u32::from(char)).unwrap_or(b'?')),
    );
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    out.extend_from_slice(host.as_bytes());
    out.extend_from_slice(b"\r\n");
    framing_field(request.body, out);
    fields(&request.headers, out);
    out.extend_from_slice(b"\r\n");
}

/// The head that the client gets.
pub(crate) fn response(response: &Response, framing: Framing, to: &Client, out: &mut BytesMut) {
    let version = if to.version == Version::One0 {
        "HTTP/1.0"
    } else {
        "HTTP/1.1"
    };
    status_line(version, response.status, out);
    match (framing, response.body) {
        (Framing::Chunked, _) => framing_field(BodySize::Open, out),
        (Framing::Length(length), _) => framing_field(BodySize::Known(length), out),
        // The length that a GET would get.
        (Framing::None, BodySize::Known(length)) if to.is_head => framing_field(BodySize::Known(length), out),
        (Framing::None | Framing::UntilClose, _) => {}
    }
    match (to.version, to.close) {
        (Version::One1, true) => out.extend_from_slice(b"Connection: close\r\n"),
        (Version::One0, false) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        _ => {}
    }
    fields(&response.headers, out);
    if !response.headers.contains_key(http::header::DATE) {
        let now = httpdate::HttpDate::from(std::time::SystemTime::now());
        drop(write!(out.writer(), "Date: {now}\r\n"));
    }
    out.extend_from_slice(b"\r\n");
}

/// An informational head.
pub(crate) fn informational(status: StatusCode, headers: &HeaderMap, out: &mut BytesMut) {
    status_line("HTTP/1.1", status, out);
    fields(headers, out);
    out.extend_from_slice(b"\r\n");
}

fn status_line(version: &str, status: StatusCode, out: &mut BytesMut) {
    let code = status.as_u16();
    drop(match status.canonical_reason() {
        Some(reason) => write!(out.writer(), "{version} {code} {reason}\r\n"),
        None => write!(out.writer(), "{version} {code} status code {code}\r\n"),
    });
}

/// What of a client decides how it is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    pub(crate) version: Version,
    pub(crate) is_head: bool,
    /// The connection ends after this answer.
    pub(crate) close: bool,
}
