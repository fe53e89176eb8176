// SPDX-License-Identifier: Apache-2.0
//! Bodies of HTTP/1: bytes to parts, and parts to bytes.
//!
//! Mechanism: `Body::take` cuts one part out of what has been read, without waiting; who has nothing to cut reads more.
//! Invariants: a part never reaches into the next message; nothing is cut out after what was malformed; chunk extensions and odd line ends are dropped, not passed on.
//! Depends on: parse.

use super::parse::{self, Framing, Search};
use crate::limits::Limits;
use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;
use memchr::memchr;
use std::io::Write as _;

/// A piece of a body.
#[derive(Debug)]
pub(crate) enum Part {
    Data(Bytes),
    /// Last, instead of `End`.
    Trailers(HeaderMap),
    End,
}

/// The bytes are no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed chunked encoding")]
pub(crate) struct Malformed;

/// Where in a body we are.
#[derive(Debug)]
pub(crate) struct Body {
    state: State,
}

#[derive(Debug)]
enum State {
    Length(u64),
    Size,
    Chunk(u64),
    AfterChunk,
    Trailers(Search),
    UntilClose,
    Done,
    /// What comes is not of this body, nor of another message.
    Malformed,
}

impl Body {
    pub(crate) fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size,
            Framing::UntilClose => State::UntilClose,
        };
        Self { state }
    }

    /// Whether all of it was taken.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// What the end of the connection means: the end of the body, or its loss.
    pub(crate) fn ends_with_connection(&self) -> bool {
        matches!(self.state, State::UntilClose | State::Done)
    }

    /// Copies all that is left of a body whose length is known, if it is here and no more than that; how much it was.
    pub(crate) fn finish(&mut self, buffer: &mut BytesMut, most: usize, out: &mut BytesMut) -> Option<usize> {
        let State::Length(left) = self.state else {
            return None;
        };
        let length = usize::try_from(left).ok().filter(|length| *length <= most)?;
        out.extend_from_slice(buffer.get(..length)?);
        buffer.advance(length);
        self.state = State::Done;
        Some(length)
    }

    /// The next part; `None`: more must be read.
    ///
    /// # Errors
    /// The bytes are no chunked body.
    pub(crate) fn take(&mut self, buffer: &mut BytesMut, limits: &Limits) -> Result<Option<Part>, Malformed> {
        let part = self.part(buffer, limits);
        if part.is_err() {
            self.state = State::Malformed;
        }
        part
    }

    fn part(&mut self, buffer: &mut BytesMut, limits: &Limits) -> Result<Option<Part>, Malformed> {
        loop {
            match &mut self.state {
                State::Done => return Ok(Some(Part::End)),
                State::Malformed => return Err(Malformed),
                State::UntilClose => return Ok(data(buffer, u64::MAX).map(Part::Data)),
                State::Length(left) | State::Chunk(left) => {
                    let Some(data) = data(buffer, *left) else {
                        return Ok(None);
                    };
                    *left -= data.len() as u64;
                    let is_over = *left == 0;
                    if is_over {
                        self.state = match self.state {
                            State::Chunk(_) => State::AfterChunk,
                            _ => State::Done,
                        };
                    }
                    return Ok(Some(Part::Data(data)));
                }
                State::AfterChunk => match &buffer[..] {
                    [b'\r', b'\n', ..] => {
                        buffer.advance(2);
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => return Ok(None),
                    _ => return Err(Malformed),
                },
                State::Size => {
                    let Some(size) = size(buffer, limits.chunk_line)? else {
                        return Ok(None);
                    };
                    self.state = match size {
                        0 => State::Trailers(Search::default()),
                        size => State::Chunk(size),
                    };
                }
                State::Trailers(search) => {
                    let Some(block) = trailer_block(search, buffer, limits.trailers)? else {
                        return Ok(None);
                    };
                    let trailers = parse::trailers(&block.freeze(), limits).map_err(|_| Malformed)?;
                    self.state = State::Done;
                    return Ok(Some(match trailers.is_empty() {
                        true => Part::End,
                        false => Part::Trailers(trailers),
                    }));
                }
            }
        }
    }
}

fn data(buffer: &mut BytesMut, most: u64) -> Option<Bytes> {
    let length = usize::try_from(most).unwrap_or(usize::MAX).min(buffer.len());
    (length > 0).then(|| buffer.split_to(length).freeze())
}

/// The size of the next chunk, cut out with its line.
fn size(buffer: &mut BytesMut, most: usize) -> Result<Option<u64>, Malformed> {
    let Some(end) = memchr(b'\n', buffer) else {
        return if buffer.len() > most { Err(Malformed) } else { Ok(None) };
    };
    let line = buffer.split_to(end + 1);
    let line = line.strip_suffix(b"\r\n").ok_or(Malformed)?;
    let mut digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    // Nothing else is space, and nothing may stand before.
    while let [rest @ .., b' ' | b'\t'] = digits {
        digits = rest;
    }
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) || line.contains(&b'\r') {
        return Err(Malformed);
    }
    let text = std::str::from_utf8(digits).map_err(|_| Malformed)?;
    u64::from_str_radix(text, 16).map(Some).map_err(|_| Malformed)
}

fn trailer_block(search: &mut Search, buffer: &mut BytesMut, most: usize) -> Result<Option<BytesMut>, Malformed> {
    let end = match &buffer[..] {
        [b'\r', b'\n', ..] => Some(2),
        [b'\n', ..] => return Err(Malformed),
        other => search.end(other),
    };
    match end {
        Some(end) => {
            let block = buffer.split_to(end);
            if has_bare_feed(&block) {
                Err(Malformed)
            } else {
                Ok(Some(block))
            }
        }
        None if buffer.len() > most => Err(Malformed),
        None => Ok(None),
    }
}

/// Others see one line where a LF has no CR before it, and the body's end elsewhere.
fn has_bare_feed(block: &[u8]) -> bool {
    let mut lines = block.split(|byte| *byte == b'\n');
    // What stands after the last one is no line.
    lines.next_back();
    lines.any(|line| !line.ends_with(b"\r"))
}

/// Writes a part as the framing wants it.
pub(crate) fn put(part: &Part, framing: Framing, out: &mut BytesMut) {
    match part {
        Part::Data(data) => {
            let after = put_before(data, framing, out);
            out.extend_from_slice(data);
            out.extend_from_slice(after);
        }
        Part::Trailers(trailers) if framing == Framing::Chunked => {
            out.extend_from_slice(b"0\r\n");
            super::write::fields(trailers, out);
            out.extend_from_slice(b"\r\n");
        }
        Part::End if framing == Framing::Chunked => out.extend_from_slice(b"0\r\n\r\n"),
        Part::Trailers(_) | Part::End => {}
    }
}

/// Writes what stands before these bytes, and returns what stands after them.
pub(crate) fn put_before(data: &[u8], framing: Framing, out: &mut BytesMut) -> &'static [u8] {
    if framing != Framing::Chunked {
        return b"";
    }
    let mut line = [0_u8; 20];
    let mut rest = &mut line[..];
    // Twenty bytes hold any length in hexadecimal digits.
    drop(write!(rest, "{:x}\r\n", data.len()));
    let unused = rest.len();
    out.extend_from_slice(line.get(..line.len() - unused).unwrap_or_default());
    b"\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything in a chunked body that arrives in these pieces, and what is left after it.
    fn read(pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>), Malformed> {
        let (mut body, mut buffer, mut all) = (Body::new(Framing::Chunked), BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            while let Some(part) = body.take(&mut buffer, &Limits::default())? {
                match part {
                    Part::Data(data) => all.extend_from_slice(&data),
                    Part::End | Part::Trailers(_) => return Ok((all, buffer.to_vec())),
                }
            }
        }
        Err(Malformed)
    }

    #[test]
    fn lines_of_sizes_and_trailers_are_as_long_as_the_limits_say() {
        let limits = Limits {
            chunk_line: 10,
            trailers: 20,
            ..Limits::default()
        };
        for (text, is_too_long) in [
            ("1;aaaaaaaa", false),
            ("1;aaaaaaaaa", true),
            ("0\r\nX: aaaaaaaaaaaaaaaaa", false),
            ("0\r\nX: aaaaaaaaaaaaaaaaaa", true),
        ] {
            let (mut body, mut buffer) = (Body::new(Framing::Chunked), BytesMut::from(text));
            assert_eq!(body.take(&mut buffer, &limits).is_err(), is_too_long, "{text}");
        }
    }

    #[test]
    fn a_size_is_hexadecimal_digits_and_a_line_ends_with_crlf() {
        assert_eq!(
            read(&[b"5;a=b\r\nhello\r\n0\r\n\r\nNEXT"]).unwrap(),
            (b"hello".to_vec(), b"NEXT".to_vec())
        );
        for bad in [
            &b"5\nhello\r\n0\r\n\r\n"[..],
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b"+5\r\nhello\r\n0\r\n\r\n",
            b" 5\r\nhello\r\n0\r\n\r\n",
            b"5\r\nhelloX\r\n0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5;a\rb\r\nhello\r\n0\r\n\r\n",
            b"5\x0c\r\nhello\r\n0\r\n\r\n",
            b"0\r\nX: y\n\r\n",
            b"0\r\nX: y\n\nZ: z\r\n\r\n",
            b"fffffffffffffffff\r\n",
            b"\r\n",
        ] {
            assert_eq!(read(&[bad]), Err(Malformed), "{bad:?}");
        }
    }

    #[test]
    fn a_malformed_body_has_no_end() {
        for bad in [
            &b"0\r\nbad\r\n\r\n0\r\n\r\n"[..],
            b"0\r\nbad\r\n\r\nX: y\r\n\r\n",
            b"+0\r\n0\r\n\r\n",
        ] {
            let (mut body, mut buffer) = (Body::new(Framing::Chunked), BytesMut::from(bad));
            for _ in 0..3 {
                let part = body.take(&mut buffer, &Limits::default());
                assert!(part.is_err() && !body.is_done(), "{bad:?}: {part:?}");
            }
            assert!(!body.ends_with_connection());
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_however_it_arrives(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 0..5),
            cut in 0_usize..400,
        ) {
            let mut out = BytesMut::new();
            for chunk in &chunks {
                put(&Part::Data(chunk.clone().into()), Framing::Chunked, &mut out);
            }
            put(&Part::End, Framing::Chunked, &mut out);
            out.extend_from_slice(b"next");
            let (first, second) = out.split_at(cut.min(out.len()));
            let (all, rest) = read(&[first, second]).unwrap();
            prop_assert_eq!(all, chunks.concat());
            prop_assert!(b"next".starts_with(&rest[..]) || rest.is_empty());
        }
    }
}
