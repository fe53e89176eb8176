// SPDX-License-Identifier: Apache-2.0
//! A pod's usual head, written for the client as it is read.
//!
//! Problem: nearly every head of an answer goes on as it is; a map of its fields is made, asked and taken apart for nothing.
//! Mechanism: each line is judged by the rules of `parse` and written by those of `write`; whatever either of them would
//! change, complain of or decide by is not usual, and the head is read again by `parse`, as if nothing had been tried.
//! Invariants: what is written here is what `parse` and `write` make of the same bytes, but that fields of one name stay where they
//! were; nothing of a head that is not usual is left in `out`.
//! Depends on: line, parse, write.

use super::line::{self, line};
use super::parse::Framing;
use super::write::{self, Client};
use crate::message::Version;
use bytes::BytesMut;
use http::StatusCode;

/// What was written: the head but for its empty line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Usual {
    pub(crate) status: StatusCode,
    /// How the body is delimited, as it comes and as it goes.
    pub(crate) framing: Framing,
    /// It says what its body is.
    pub(crate) has_type: bool,
    pub(crate) has_date: bool,
}

/// What a field is to us.
enum Field {
    Plain,
    Length,
    Coding,
    Type,
    Date,
    /// Of one hop only, or it says more than one thing.
    Hop,
}

/// Writes the head of an answer to anything but CONNECT, of so many fields at most; `None`: it is not usual.
pub(crate) fn usual(head: &[u8], most: usize, to: &Client, out: &mut BytesMut) -> Option<Usual> {
    let begin = out.len();
    let written = lines(head, most, to, out);
    if written.is_none() {
        out.truncate(begin);
    }
    written
}

fn lines(head: &[u8], most: usize, to: &Client, out: &mut BytesMut) -> Option<Usual> {
    if to.is_head || to.version != Version::One1 {
        return None;
    }
    let (line, mut rest) = line(head)?;
    let status = status(line)?;
    write::status_line("HTTP/1.1", status, out);
    if to.close {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    let mut framing = None;
    let (mut has_type, mut has_date) = (false, false);
    for _ in 0..=most {
        let (line, after) = line::line(rest)?;
        rest = after;
        if line.is_empty() {
            return Some(Usual {
                status,
                framing: framing?,
                has_type,
                has_date,
            });
        }
        let (name, value) = line::field(line)?;
        match field(name) {
            Field::Plain => {}
            Field::Date => has_date = true,
            Field::Type => has_type = true,
            Field::Length if framing.is_none() => framing = Some(Framing::Length(line::length(value)?)),
            Field::Coding if framing.is_none() && value.eq_ignore_ascii_case(b"chunked") => {
                framing = Some(Framing::Chunked);
                out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
                continue;
            }
            Field::Length | Field::Coding | Field::Hop => return None,
        }
        write::field(name, value, out);
    }
    None
}

/// Of a final answer that may have a body.
fn status(line: &[u8]) -> Option<StatusCode> {
    let code = line.strip_prefix(b"HTTP/1.1 ")?;
    let (code, reason) = code.split_at_checked(3)?;
    let status = StatusCode::from_bytes(code).ok()?;
    let is_usual = matches!(reason, [] | [b' ', ..]) && matches!(status.as_u16(), 200..=203 | 205..=303 | 305..=599);
    is_usual.then_some(status)
}

fn field(name: &[u8]) -> Field {
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    match name.len() {
        2 if is("te") => Field::Hop,
        4 if is("date") => Field::Date,
        6 if is("pragma") => Field::Hop,
        7 if is("trailer") || is("upgrade") => Field::Hop,
        10 if is("connection") || is("keep-alive") => Field::Hop,
        12 if is("content-type") => Field::Type,
        14 if is("content-length") => Field::Length,
        16 if is("content-encoding") => Field::Type,
        16 if is("proxy-connection") => Field::Hop,
        17 if is("transfer-encoding") => Field::Coding,
        18 if is("proxy-authenticate") => Field::Hop,
        19 if is("proxy-authorization") => Field::Hop,
        _ => Field::Plain,
    }
}

#[cfg(test)]
mod tests;
