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
        field(name.as_str().as_bytes(), value.as_bytes(), out);
    }
}

pub(crate) fn field(name: &[u8], value: &[u8], out: &mut BytesMut) {
    let begin = out.len();
    out.extend_from_slice(name);
    capitalize(out.get_mut(begin..).unwrap_or_default());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// A name in canonical case.
pub(crate) fn name(name: &[u8], out: &mut Vec<u8>) {
    let begin = out.len();
    out.extend_from_slice(name);
    capitalize(out.get_mut(begin..).unwrap_or_default());
}

fn capitalize(name: &mut [u8]) {
    let mut starts = true;
    for byte in name {
        *byte = match starts {
            true => byte.to_ascii_uppercase(),
            false => byte.to_ascii_lowercase(),
        };
        starts = *byte == b'-';
    }
}

fn framing_field(body: BodySize, out: &mut BytesMut) {
    match body {
        BodySize::None => {}
        BodySize::Known(length) => {
            out.extend_from_slice(b"Content-Length: ");
            decimal(length, out);
            out.extend_from_slice(b"\r\n");
        }
        BodySize::Open => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
}

fn decimal(mut number: u64, out: &mut BytesMut) {
    let mut digits = [0_u8; 20];
    let mut begin = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        begin -= 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(begin..).unwrap_or_default());
}

/// The head that the pod gets.
pub(crate) fn request(request: &Request, host: &str, out: &mut BytesMut) {
    out.extend_from_slice(request.method.as_str().as_bytes());
    out.put_u8(b' ');
    let target = &*request.target.text;
    if target.is_ascii() {
        out.extend_from_slice(target.as_bytes());
    } else {
        // Characters of a target are bytes (`Target::parse`).
        out.extend(target.chars().map(|char| u8::try_from(u32::from(char)).unwrap_or(b'?')));
    }
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    out.extend_from_slice(host.as_bytes());
    out.extend_from_slice(b"\r\n");
    framing_field(request.body, out);
    fields(&request.headers, out);
    out.extend_from_slice(request.rest.as_deref().unwrap_or_default());
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
    end(response.headers.contains_key(http::header::DATE), out);
}

/// The end of a head that the client gets.
pub(crate) fn end(has_date: bool, out: &mut BytesMut) {
    if !has_date {
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

pub(super) fn status_line(version: &str, status: StatusCode, out: &mut BytesMut) {
    out.extend_from_slice(version.as_bytes());
    out.put_u8(b' ');
    out.extend_from_slice(status.as_str().as_bytes());
    match status.canonical_reason() {
        Some(reason) => {
            out.put_u8(b' ');
            out.extend_from_slice(reason.as_bytes());
        }
        None => {
            out.extend_from_slice(b" status code ");
            out.extend_from_slice(status.as_str().as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// What of a client decides how it is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    pub(crate) version: Version,
    pub(crate) is_head: bool,
    /// The connection ends after this answer.
    pub(crate) close: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for number in [0, 7, 10, 99, 100, 1 << 20, u64::MAX] {
            let mut out = BytesMut::new();
            decimal(number, &mut out);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
