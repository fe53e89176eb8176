// SPDX-License-Identifier: Apache-2.0
//! As much of an HTTP/1.1 client as the story needs.
//!
//! Problem: the demo shows requests of clients on kept connections, and must not need a library for it.
//! Invariants: every wait ends; an answer is read to its end or is an error; nothing is asked twice.
//! Depends on: nothing.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer that does not begin or go on for so long never will.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is asked.
pub(super) struct Request<'a> {
    /// GET, PATCH.
    pub(super) method: &'a str,
    /// Path and query.
    pub(super) path: &'a str,
    /// Whom.
    pub(super) host: &'a str,
    /// Of the body; none without one.
    pub(super) content: Option<&'a str>,
    /// The body.
    pub(super) body: &'a str,
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// 200 and the like.
    pub(super) status: u16,
    /// As text.
    pub(super) body: String,
    /// Whether the connection ends with it.
    pub(super) closes: bool,
}

/// A connection that is kept.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Asks, and reads the answer.
    pub(super) fn ask(&mut self, request: &Request<'_>) -> io::Result<Answer> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {}\r\n",
            request.method, request.path, request.host
        );
        if let Some(content) = request.content {
            head += &format!("content-type: {content}\r\ncontent-length: {}\r\n", request.body.len());
        }
        self.stream
            .get_mut()
            .write_all((head + "\r\n" + request.body).as_bytes())?;
        read(&mut self.stream)
    }
}

/// A request on a connection of its own.
pub(super) fn ask(address: SocketAddr, request: &Request<'_>) -> io::Result<Answer> {
    Connection::open(address)?.ask(request)
}

/// `GET path` of a host.
pub(super) fn get<'a>(host: &'a str, path: &'a str) -> Request<'a> {
    Request {
        method: "GET",
        path,
        host,
        content: None,
        body: "",
    }
}

fn read(stream: &mut impl BufRead) -> io::Result<Answer> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let first = line(stream)?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| broken(&format!("{first:?} is no status line")))?;
    let (mut length, mut chunked, mut closes) = (None, false, false);
    loop {
        let field = line(stream)?.to_ascii_lowercase();
        let Some((name, value)) = field.split_once(':') else {
            break;
        };
        match (name, value.trim()) {
            ("content-length", value) => length = value.parse().ok(),
            ("transfer-encoding", value) => chunked = value == "chunked",
            ("connection", value) => closes = value == "close",
            _ => {}
        }
    }
    let mut body = Vec::new();
    match length {
        _ if chunked => chunks(stream, &mut body)?,
        Some(length) => {
            body.resize(length, 0);
            stream.read_exact(&mut body)?;
        }
        None => return Err(broken("an answer without its length")),
    }
    Ok(Answer {
        status,
        body: String::from_utf8_lossy(&body).into_owned(),
        closes,
    })
}

fn chunks(stream: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let size = line(stream)?;
        let size = usize::from_str_radix(&size, 16);
        let size = size.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let mut chunk = stream.take(size as u64);
        chunk.read_to_end(body)?;
        line(stream)?;
        if size == 0 {
            return Ok(());
        }
    }
}

fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_with_a_length_and_in_chunks_are_read_to_their_end() {
        let mut two = &b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab\
            HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"[..];
        let first = read(&mut two).unwrap();
        assert_eq!((first.status, first.body.as_str(), first.closes), (200, "ab", true));
        let second = read(&mut two).unwrap();
        assert_eq!(
            (second.status, second.body.as_str(), second.closes),
            (503, "abc", false)
        );
        assert_eq!(read(&mut two).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
