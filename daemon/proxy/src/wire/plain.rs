// SPDX-License-Identifier: Apache-2.0
//! A client's usual head, of which little is looked at.
//!
//! Problem: of most requests nobody on the way wants to know more than the target and the host; a map of the other fields
//! is made, asked in vain, and taken apart again.
//! Mechanism: fields that mean nothing to us are kept as lines, as the pod will get them (`Request::rest`), beside the map of
//! the others. A head with a field that somebody may look at, or with anything odd, is read by `parse` as if nothing had been
//! tried; and the lines can be made part of the map at any time (`unfold`).
//! Invariants: the request is what `parse` makes of the same bytes; no field is both in the map and a line.
//! Depends on: line, message, parse, target, write.

use super::{line, write};
use crate::message::{BodySize, Peer, Request, Version};
use crate::target::{Target, is_host};
use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// Room for the lines that are added on the way.
const ADDED: usize = 128;

/// What a field is to us.
enum Field {
    Plain,
    Host,
    Length,
    /// Probes tell who they are.
    Agent,
    /// Somebody may look at it, or it goes no further.
    Known,
}

/// Reads a request's head, of so many fields at most; `None`: it is not usual.
pub(crate) fn request(head: &[u8], most: usize, peer: &Peer) -> Option<Request> {
    let (first, mut rest) = line::line(head)?;
    let (method, target) = request_line(first)?;
    let (mut host, mut body, mut has_agent) = (None, None, false);
    let mut lines = BytesMut::with_capacity(head.len() + ADDED);
    for _ in 0..=most {
        let (line, after) = line::line(rest)?;
        rest = after;
        if line.is_empty() {
            return rest.is_empty().then_some(Request {
                method,
                target,
                version: Version::One1,
                headers: HeaderMap::new(),
                rest: Some(lines),
                host: host?,
                body: body.unwrap_or(BodySize::None),
                peer: peer.clone(),
                expects_continue: false,
                close: false,
            });
        }
        let (name, value) = line::field(line)?;
        match field(name) {
            Field::Plain => {}
            Field::Agent if !has_agent && is_somebody(value) => has_agent = true,
            Field::Host if host.is_none() && is_host(value) => {
                host = Some(std::str::from_utf8(value).ok()?.into());
                continue;
            }
            Field::Length if body.is_none() => {
                body = Some(BodySize::Known(line::length(value)?));
                continue;
            }
            Field::Host | Field::Length | Field::Agent | Field::Known => return None,
        }
        write::field(name, value, &mut lines);
    }
    None
}

fn request_line(line: &[u8]) -> Option<(Method, Target)> {
    let line = line.strip_suffix(b" HTTP/1.1")?;
    let (method, target) = line.split_at_checked(line.iter().position(|byte| *byte == b' ')?)?;
    let method = Method::from_bytes(method)
        .ok()
        .filter(|method| *method != Method::CONNECT)?;
    Some((method, Target::simple(target.get(1..)?)?))
}

fn field(name: &[u8]) -> Field {
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    let begins = |with| begins(name, with);
    let is_known = match name.first().map(u8::to_ascii_lowercase) {
        Some(b'c') if is("content-length") => return Field::Length,
        Some(b'c') => is("connection"),
        Some(b'e') => is("expect"),
        Some(b'f') => is("forwarded"),
        Some(b'h') if is("host") => return Field::Host,
        // Whoever says it may be asked twice (`Request::may_repeat`).
        Some(b'i') => is("idempotency-key"),
        Some(b'k') => is("keep-alive") || is_knatives(name),
        Some(b'p') => begins("proxy-") || is("pragma"),
        Some(b't') => is("te") || is("trailer") || is("transfer-encoding"),
        Some(b'u') if is("user-agent") => return Field::Agent,
        Some(b'u') => is("upgrade"),
        Some(b'x') => begins("x-forwarded-") || is("x-idempotency-key"),
        _ => false,
    };
    match is_known {
        true => Field::Known,
        false => Field::Plain,
    }
}

/// Whether a field is one of Knative's own: never a line here.
pub(crate) fn is_knatives(name: &[u8]) -> bool {
    begins(name, "k-") || begins(name, "knative-")
}

fn begins(name: &[u8], with: &str) -> bool {
    let begin = name.get(..with.len());
    begin.is_some_and(|begin| begin.eq_ignore_ascii_case(with.as_bytes()))
}

/// Neither nobody nor one of those whose probes are answered here.
fn is_somebody(agent: &[u8]) -> bool {
    let begins = |with: &str| agent.starts_with(with.as_bytes());
    !agent.is_empty() && !begins("kube-probe/") && !begins("Knative-")
}

/// Makes the lines part of the map.
pub(crate) fn unfold(request: &mut Request) {
    let Some(lines) = request.rest.take() else {
        return;
    };
    let whole = lines.freeze();
    for (name, value) in fields(&whole) {
        // What was taken for a field by `request`, or made of one by `write`, is one.
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name),
            HeaderValue::from_maybe_shared(whole.slice_ref(value)),
        ) {
            request.headers.append(name, value);
        }
    }
}

/// The fields of these lines.
pub(crate) fn fields(mut lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (line, after) = line::line(lines)?;
        lines = after;
        line::field(line)
    })
}

#[cfg(test)]
mod tests;
