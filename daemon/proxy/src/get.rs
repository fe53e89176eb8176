// SPDX-License-Identifier: Apache-2.0
//! A small GET of our own, for health checks.
//!
//! Depends on: wire, reader, limits.

use crate::limits::Limits;
use crate::reader::Reader;
use crate::wire::body::{Body, Part};
use crate::wire::parse::{self, Framing, Search};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

/// As much of an answer as a health check looks at.
const BODY: usize = 4096;

/// What came back.
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// The connection may be used again.
    pub(crate) keeps: bool,
}

/// Sends this text, which is a whole GET, and reads the answer.
pub(crate) async fn get<R, W>(request: &str, reader: &mut Reader<R>, writer: &mut W, limits: &Limits) -> io::Result<Got>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    writer.write_all(request.as_bytes()).await?;
    let mut search = Search::default();
    let head = loop {
        if let Some(end) = search.end(&reader.buffer) {
            break reader.take(end);
        }
        if reader.buffer.len() > limits.request_head || !reader.fill().await? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let (response, framing) = parse::response(&head, limits, false).map_err(io::Error::other)?;
    let mut got = Got {
        status: response.status.as_u16(),
        body: Vec::new(),
        keeps: framing != Framing::UntilClose
            && !crate::message::lists(&response.headers, &http::header::CONNECTION, "close"),
    };
    let mut body = Body::new(framing);
    loop {
        match body.take(&mut reader.buffer, limits).map_err(io::Error::other)? {
            Some(Part::Data(data)) if got.body.len() < BODY => got.body.extend_from_slice(&data),
            Some(Part::Data(_)) => {
                got.keeps = false;
                return Ok(got);
            }
            Some(Part::End | Part::Trailers(_)) => return Ok(got),
            None => {
                if !reader.fill().await? {
                    got.keeps = false;
                    return Ok(got);
                }
            }
        }
    }
}
