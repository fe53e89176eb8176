// SPDX-License-Identifier: Apache-2.0
//! One HTTP/1.1 exchange on a connection of its own, its answer readable as it comes.
//!
//! Depends on: nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer that is being read.
pub(super) struct Lines {
    pub(super) code: u16,
    reader: BufReader<Box<dyn Read + Send>>,
}

/// Sends a request and reads the head of the answer.
pub(super) fn begin(address: SocketAddr, method: &str, path: &str, media: &str, body: &str) -> Result<Lines> {
    let stream = TcpStream::connect(address).context("connecting")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept: application/json\r\n\
         user-agent: scenario/1\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    (&stream).write_all(request.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let code = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let code = code.with_context(|| format!("the answer begins with {line:?}"))?;
    let mut is_chunked = false;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let header = line.trim().to_lowercase();
        if header.is_empty() {
            break;
        }
        is_chunked |= header == "transfer-encoding: chunked";
    }
    let body: Box<dyn Read + Send> = if is_chunked {
        Box::new(Chunked {
            reader,
            left: 0,
            is_over: false,
        })
    } else {
        Box::new(reader)
    };
    Ok(Lines {
        code,
        reader: BufReader::new(body),
    })
}

impl Lines {
    /// The next line; nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        let read = self.reader.read_line(&mut line).context("waiting for a line")?;
        Ok((read > 0).then_some(line))
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> Result<String> {
        let mut text = String::new();
        self.reader.read_to_string(&mut text).context("reading the answer")?;
        Ok(text)
    }
}

struct Chunked {
    reader: BufReader<TcpStream>,
    left: usize,
    is_over: bool,
}

impl Chunked {
    fn next_chunk(&mut self) -> Result<()> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            line.clear();
            self.reader.read_line(&mut line)?;
        }
        let Ok(size) = usize::from_str_radix(line.trim(), 16) else {
            bail!("a chunk begins with {line:?}");
        };
        self.left = size;
        self.is_over = size == 0;
        Ok(())
    }
}

impl Read for Chunked {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 && !self.is_over {
            self.next_chunk().map_err(std::io::Error::other)?;
        }
        let wanted = buffer.len().min(self.left);
        let read = self.reader.read(&mut buffer[..wanted])?;
        self.left -= read;
        Ok(read)
    }
}
