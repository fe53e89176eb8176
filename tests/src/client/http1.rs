// SPDX-License-Identifier: Apache-2.0
//! An HTTP/1.1 client that sends exactly the bytes and segments it is given.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Clock;

/// A connection; answers are read in order.
pub struct Http1 {
    stream: TcpStream,
    bytes: Vec<u8>,
    clock: Clock,
    sent: VecDeque<Instant>,
}

/// An answer, read to its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The final status.
    pub status: u16,
    /// Interim answers (1xx) before it.
    pub interim: u32,
    /// Body bytes without framing.
    pub body: u64,
}

/// A small GET.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: pod\r\n\r\n")
}

impl Http1 {
    /// Connects, with TCP_NODELAY.
    pub async fn connect(address: SocketAddr, clock: &Clock) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("connect {address}"))?;
        Self::over(stream, clock)
    }

    /// Speaks over a stream that stands already.
    pub fn over(stream: TcpStream, clock: &Clock) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            bytes: Vec::new(),
            clock: clock.clone(),
            sent: VecDeque::new(),
        })
    }

    /// The socket beneath.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// A request begins: its time runs from here until [`Http1::reply`].
    pub fn begins(&mut self) {
        self.sent.push_back(Instant::now());
    }

    /// Writes bytes as they are.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.stream.write_all(bytes.as_ref()).await.context("writing")
    }

    /// Writes a request and starts its time.
    pub async fn send(&mut self, request: impl AsRef<[u8]>) -> Result<()> {
        self.begins();
        self.write(request).await
    }

    /// As [`Http1::send`], in segments of so many bytes.
    pub async fn send_split(&mut self, request: impl AsRef<[u8]>, size: usize) -> Result<()> {
        self.begins();
        for part in request.as_ref().chunks(size.max(1)) {
            self.write(part).await?;
        }
        Ok(())
    }

    /// Sends a request and reads its answer.
    pub async fn exchange(&mut self, request: impl AsRef<[u8]>) -> Result<Reply> {
        let bodiless = request.as_ref().starts_with(b"HEAD ");
        self.send(request).await?;
        self.reply(bodiless).await
    }

    /// Reads the next final answer; `bodiless` for an answer to HEAD.
    pub async fn reply(&mut self, bodiless: bool) -> Result<Reply> {
        let mut interim = 0;
        loop {
            let (status, length) = self.reply_head().await?;
            if (100..200).contains(&status) && status != 101 {
                interim += 1;
                continue;
            }
            let none = bodiless || matches!(status, 101 | 204 | 304);
            let body = if none { 0 } else { self.body(length).await? };
            if let Some(sent) = self.sent.pop_front() {
                self.clock.add(sent.elapsed());
            }
            return Ok(Reply { status, interim, body });
        }
    }

    /// Reads raw bytes (in a tunnel).
    pub async fn read_exact(&mut self, size: usize) -> Result<Vec<u8>> {
        while self.bytes.len() < size {
            self.need().await?;
        }
        Ok(self.bytes.drain(..size).collect())
    }

    /// Reads until the server ends; how many bytes came. A reset is an end too.
    pub async fn rest(&mut self) -> u64 {
        let mut size = self.bytes.len() as u64;
        self.bytes.clear();
        let mut waste = vec![0; 64 << 10];
        while let Ok(read) = self.stream.read(&mut waste).await {
            if read == 0 {
                break;
            }
            size += read as u64;
        }
        size
    }

    /// Sends FIN; answers can still be read.
    pub async fn half_close(&mut self) -> Result<()> {
        Ok(self.stream.shutdown().await?)
    }

    /// Closes with RST.
    pub fn reset(self) -> Result<()> {
        Ok(socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?)
    }

    async fn need(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.bytes).await? == 0 {
            bail!("the server ended inside an answer");
        }
        Ok(())
    }

    async fn reply_head(&mut self) -> Result<(u16, Length)> {
        loop {
            let mut slots = [httparse::EMPTY_HEADER; 64];
            let mut response = httparse::Response::new(&mut slots);
            let mut config = httparse::ParserConfig::default();
            config.allow_obsolete_multiline_headers_in_responses(true);
            if let httparse::Status::Complete(size) = config.parse_response(&mut response, &self.bytes)? {
                let head = (response.code.unwrap_or_default(), length_of(response.headers)?);
                self.bytes.drain(..size);
                return Ok(head);
            }
            self.need().await?;
        }
    }

    async fn body(&mut self, length: Length) -> Result<u64> {
        match length {
            Length::Known(size) => self.skip(size).await,
            Length::Chunked => self.chunked().await,
            Length::UntilClose => Ok(self.rest().await),
        }
    }

    async fn skip(&mut self, size: u64) -> Result<u64> {
        let mut left = size;
        while left > 0 {
            if self.bytes.is_empty() {
                self.need().await?;
            }
            let taken = self.bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.bytes.drain(..taken);
            left -= taken as u64;
        }
        Ok(size)
    }

    async fn chunked(&mut self) -> Result<u64> {
        let mut total = 0;
        loop {
            let Some((used, size)) = complete(httparse::parse_chunk_size(&self.bytes), "chunk size")? else {
                self.need().await?;
                continue;
            };
            self.bytes.drain(..used);
            if size == 0 {
                break;
            }
            total += self.skip(size).await?;
            self.skip(2).await?;
        }
        loop {
            let mut slots = [httparse::EMPTY_HEADER; 16];
            match httparse::parse_headers(&self.bytes, &mut slots)? {
                httparse::Status::Complete((used, _)) => {
                    self.bytes.drain(..used);
                    return Ok(total);
                }
                httparse::Status::Partial => self.need().await?,
            }
        }
    }
}

enum Length {
    Known(u64),
    Chunked,
    UntilClose,
}

fn length_of(headers: &[httparse::Header<'_>]) -> Result<Length> {
    for header in headers {
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok(Length::Chunked);
        }
        if header.name.eq_ignore_ascii_case("content-length") {
            return Ok(Length::Known(std::str::from_utf8(header.value)?.trim().parse()?));
        }
    }
    Ok(Length::UntilClose)
}

fn complete<T>(parsed: Result<httparse::Status<T>, httparse::InvalidChunkSize>, what: &str) -> Result<Option<T>> {
    match parsed {
        Ok(httparse::Status::Complete(value)) => Ok(Some(value)),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => bail!("{what} makes no sense"),
    }
}
