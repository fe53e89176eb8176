// SPDX-License-Identifier: Apache-2.0
//! What a pod of HTTP/1 says, whoever the client is (`frames`: of HTTP/2).
//!
//! Invariants: what breaks off never looks whole.
//! Depends on: exchange, limits, message, reader, room, wire.

use crate::exchange::{Broken, Lane};
use crate::limits::Limits;
use crate::message::{Response, lists};
use crate::reader::Reader;
use crate::room::Heads;
use crate::wire::body::{Body, Part};
use crate::wire::parse::Search;
use http::{StatusCode, header};
use tokio::io::AsyncRead;

/// The length of the head at the beginning of `bytes`, of which a large one is held; none: it is not all there yet.
pub(crate) fn head_end(
    search: &mut Search,
    bytes: &[u8],
    held: &mut Option<Heads>,
    lane: &Lane<'_>,
) -> Result<Option<usize>, Broken> {
    let end = search.end(bytes);
    let length = end.unwrap_or(bytes.len());
    if length > lane.limits.response_head {
        return Err(Broken::Pod("the application sent too large a head".to_owned()));
    }
    lane.hold(held, length)?;
    Ok(end)
}

/// What a server says on a connection on which it has waited for too long: it is about that, and may have crossed a request
/// that it has not seen (RFC 9110 15.5.9).
pub(crate) fn is_farewell(response: &Response) -> bool {
    response.status == StatusCode::REQUEST_TIMEOUT && lists(&response.headers, &header::CONNECTION, "close")
}

/// The next part of a body.
pub(crate) async fn next_part<R: AsyncRead + Unpin>(
    body: &mut Body,
    from: &mut Reader<R>,
    limits: &Limits,
) -> Result<Part, Broken> {
    loop {
        match body.take(&mut from.buffer, limits) {
            Ok(Some(part)) => return Ok(part),
            Ok(None) => {}
            Err(_) => return Err(Broken::Cut),
        }
        match from.fill().await {
            Ok(true) => {}
            Ok(false) if body.ends_with_connection() => return Ok(Part::End),
            // A reset is no end: nobody knows what should have come before it.
            Ok(false) | Err(_) => return Err(closed_early()),
        }
    }
}

pub(crate) fn closed_early() -> Broken {
    Broken::Pod("the application closed the connection within a body".to_owned())
}
