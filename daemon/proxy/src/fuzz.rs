// SPDX-License-Identifier: Apache-2.0
//! What fuzz targets see of the readers and writers of HTTP/1; compiled for them only (feature `fuzz`).
//!
//! Problem: `wire` is nobody's business outside this crate, and still is to be held against other readers.
//! Mechanism: each function reads bytes as a connection does, and gives plain data back.
//! Invariants: nothing is decided here.
//! Depends on: wire, message, limits.

use crate::limits::Limits;
use crate::message::{Peer, Request, Version};
use crate::wire::body::{self, Body, Part};
use crate::wire::parse::{self, Framing, Search};
use crate::wire::plain;
use crate::wire::write;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use std::net::SocketAddr;

/// Names in lower case and values; equal names in their order.
pub type Fields = Vec<(String, Vec<u8>)>;

/// What became of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Reading<T> {
    /// There is no end in them.
    More,
    /// They are refused for this.
    Refused(String),
    /// The message, and how many bytes it has.
    Whole(T, usize),
}

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// There is none.
    None,
    /// So many bytes.
    Known(u64),
    /// In chunks.
    Chunked,
    /// To the end of the connection.
    UntilClose,
}

/// A request's head, as it was read and as it would be written.
#[derive(Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// Its method.
    pub method: String,
    /// The target as the client wrote it; a character is a byte.
    pub target: String,
    /// The target as a pod gets it; a character is a byte.
    pub target_to_pod: String,
    /// HTTP/1.0.
    pub is_one0: bool,
    /// Whose the request is: of an absolute target, else of `Host`.
    pub host: String,
    /// Without `Host` and what delimits the body.
    pub fields: Fields,
    /// Its body's.
    pub length: Length,
    /// The head that `wire::write` makes of it.
    pub written: Vec<u8>,
}

/// A response's head, as it was read and as it would be written for a client of HTTP/1.1.
#[derive(Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// Its status.
    pub status: u16,
    /// Without what delimits the body.
    pub fields: Fields,
    /// Its body's.
    pub length: Length,
    /// The head that `wire::write` makes of it, with this framing.
    pub written: Vec<u8>,
}

/// A chunked body.
#[derive(Debug, PartialEq, Eq)]
pub struct Chunked {
    /// Its data.
    pub data: Vec<u8>,
    /// Its trailers.
    pub trailers: Fields,
    /// As `wire::body` writes it, a part a chunk.
    pub written: Vec<u8>,
}

/// Where the first head ends if the bytes come in pieces that end at these places, empty lines before it included.
fn end(bytes: &[u8], cuts: &[usize], skipped: usize) -> Option<usize> {
    let mut search = Search::default();
    cuts.iter()
        .chain([&bytes.len()])
        .filter_map(|cut| bytes.get(skipped..(*cut).min(bytes.len())))
        .find_map(|so_far| search.end(so_far))
        .map(|end| skipped + end)
}

fn head(bytes: &[u8], skipped: usize, end: usize) -> Bytes {
    Bytes::copy_from_slice(bytes.get(skipped..end).unwrap_or_default())
}

/// Reads a request's head at the beginning of the bytes, which come in pieces that end at `cuts`, in order.
pub fn request(bytes: &[u8], cuts: &[usize]) -> Reading<RequestHead> {
    let skipped = parse::leading(bytes);
    let Some(end) = end(bytes, cuts, skipped) else {
        return Reading::More;
    };
    let (head, limits) = (head(bytes, skipped, end), Limits::default());
    let peer = Peer::new(SocketAddr::from(([127, 0, 0, 1], 1)));
    let quick = plain::request(&head, limits.header_count, &peer);
    match (parse::request(&head, &peer, &limits), quick) {
        (Ok(request), None) => Reading::Whole(request_head(&request), end),
        (Ok(request), Some(mut quick)) => {
            let mut written = BytesMut::new();
            write::request(&quick, &quick.host, &mut written);
            plain::unfold(&mut quick);
            // As the quick way writes it; fields of other names may stand in another order there.
            let as_written = |request: &Request| RequestHead {
                written: written.to_vec(),
                ..request_head(request)
            };
            let (request_read, quick_read) = (as_written(&request), as_written(&quick));
            match request_read == quick_read && !request.close && !request.expects_continue {
                true => Reading::Whole(request_read, end),
                false => Reading::Refused("both ways read it differently".to_owned()),
            }
        }
        (Err(fault), None) => Reading::Refused(fault.to_string()),
        (Err(_), Some(quick)) => Reading::Whole(request_head(&quick), end),
    }
}

fn request_head(request: &Request) -> RequestHead {
    let mut written = BytesMut::new();
    write::request(request, &request.host, &mut written);
    RequestHead {
        method: request.method.to_string(),
        target: request.target.raw().to_owned(),
        target_to_pod: request.target.text.to_string(),
        is_one0: request.version == Version::One0,
        host: request.host.to_string(),
        fields: fields(&request.headers),
        length: Framing::from(request.body).into(),
        written: written.to_vec(),
    }
}

/// Reads a response's head at the beginning of the bytes, which come in pieces that end at `cuts`, in order.
pub fn response(bytes: &[u8], cuts: &[usize], is_to_head: bool) -> Reading<ResponseHead> {
    let Some(end) = end(bytes, cuts, 0) else {
        return Reading::More;
    };
    match parse::response(&head(bytes, 0, end), &Limits::default(), is_to_head) {
        Err(why) => Reading::Refused(why),
        Ok((mut response, framing)) => {
            // As `http1::relay` does: what was about the pod's connection is not for the client.
            response.headers.remove(http::header::CONNECTION);
            let client = write::Client {
                version: Version::One1,
                is_head: is_to_head,
                close: framing == Framing::UntilClose,
            };
            let mut written = BytesMut::new();
            write::response(&response, framing, &client, &mut written);
            let head = ResponseHead {
                status: response.status.as_u16(),
                fields: fields(&response.headers),
                length: framing.into(),
                written: written.to_vec(),
            };
            Reading::Whole(head, end)
        }
    }
}

/// Reads a chunked body at the beginning of the bytes, which come in pieces that end at `cuts`, in order.
pub fn chunks(bytes: &[u8], cuts: &[usize]) -> Reading<Chunked> {
    let (mut body, mut buffer) = (Body::new(Framing::Chunked), BytesMut::new());
    let mut all = Chunked {
        data: Vec::new(),
        trailers: Fields::new(),
        written: Vec::new(),
    };
    let (mut written, mut from) = (BytesMut::new(), 0);
    for cut in cuts.iter().copied().chain([bytes.len()]) {
        buffer.extend_from_slice(bytes.get(from..cut).unwrap_or_default());
        from = from.max(cut);
        loop {
            let part = match body.take(&mut buffer, &Limits::default()) {
                Ok(None) => break,
                Err(malformed) => return Reading::Refused(malformed.to_string()),
                Ok(Some(part)) => part,
            };
            body::put(&part, Framing::Chunked, &mut written);
            match part {
                Part::Data(data) => {
                    all.data.extend_from_slice(&data);
                    continue;
                }
                Part::Trailers(trailers) => all.trailers = fields(&trailers),
                Part::End => {}
            }
            all.written = written.to_vec();
            return Reading::Whole(all, from - buffer.len());
        }
    }
    Reading::More
}

fn fields(headers: &HeaderMap) -> Fields {
    let mut fields: Fields = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

impl From<Framing> for Length {
    fn from(framing: Framing) -> Self {
        match framing {
            Framing::None => Self::None,
            Framing::Length(length) => Self::Known(length),
            Framing::Chunked => Self::Chunked,
            Framing::UntilClose => Self::UntilClose,
        }
    }
}
