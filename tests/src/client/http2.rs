// SPDX-License-Identifier: Apache-2.0
//! HTTP/2 by hand: frames composed byte by byte, answers read by their headers only.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Frames as bytes.
pub mod frames {
    /// What every client sends first.
    pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    /// END_STREAM on HEADERS and DATA; ACK on SETTINGS and PING.
    pub const END_STREAM: u8 = 1;
    /// END_HEADERS.
    pub const END_HEADERS: u8 = 4;
    /// PADDED.
    pub const PADDED: u8 = 8;
    /// PRIORITY fields present.
    pub const PRIORITY: u8 = 0x20;
    /// DATA.
    pub const DATA: u8 = 0;
    /// HEADERS.
    pub const HEADERS: u8 = 1;
    /// RST_STREAM.
    pub const RST_STREAM: u8 = 3;
    /// SETTINGS.
    pub const SETTINGS: u8 = 4;
    /// PING.
    pub const PING: u8 = 6;
    /// GOAWAY.
    pub const GOAWAY: u8 = 7;
    /// WINDOW_UPDATE.
    pub const WINDOW_UPDATE: u8 = 8;
    /// CONTINUATION.
    pub const CONTINUATION: u8 = 9;

    /// One frame.
    pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    /// A header block: `method` GET or POST, a path, no indexing.
    pub fn block(method: &str, path: &str) -> Vec<u8> {
        let mut bytes = vec![if method == "GET" { 0x82 } else { 0x83 }, 0x86, 0x41, 3];
        bytes.extend(b"pod");
        bytes.extend([0x04, path.len() as u8]);
        bytes.extend(path.as_bytes());
        bytes
    }

    /// A header field that takes `size` (< 127) bytes of value.
    pub fn filler(size: usize) -> Vec<u8> {
        let mut bytes = vec![0x00, 8];
        bytes.extend(b"x-filler");
        bytes.push(size.min(126) as u8);
        bytes.extend(vec![b'f'; size.min(126)]);
        bytes
    }

    /// A whole GET.
    pub fn get(stream: u32, path: &str) -> Vec<u8> {
        frame(HEADERS, END_STREAM | END_HEADERS, stream, &block("GET", path))
    }

    /// The beginning of a POST.
    pub fn post(stream: u32, path: &str) -> Vec<u8> {
        frame(HEADERS, END_HEADERS, stream, &block("POST", path))
    }

    /// Padded payload: pad length, payload, padding.
    pub fn padded(payload: &[u8], padding: u8) -> Vec<u8> {
        let mut bytes = vec![padding];
        bytes.extend(payload);
        bytes.extend(vec![0; usize::from(padding)]);
        bytes
    }
}

/// A connection that speaks frames.
pub struct Frames {
    stream: TcpStream,
    bytes: Vec<u8>,
    split: usize,
}

impl Frames {
    /// Connects and sends preface and settings, everything in segments of `split` bytes (0 = as they come).
    pub async fn connect(address: SocketAddr, split: usize) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("connect {address}"))?;
        stream.set_nodelay(true)?;
        let mut frames = Self {
            stream,
            bytes: Vec::new(),
            split,
        };
        let mut hello = frames::PREFACE.to_vec();
        // A large window, so that answers never wait for us.
        hello.extend(frames::frame(frames::SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]));
        hello.extend(frames::frame(frames::WINDOW_UPDATE, 0, 0, &[0x3f, 0xff, 0, 0]));
        frames.write(&hello).await?;
        Ok(frames)
    }

    /// Writes bytes in the connection's segment size.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let size = if self.split == 0 {
            bytes.len().max(1)
        } else {
            self.split
        };
        for part in bytes.chunks(size) {
            self.stream.write_all(part).await?;
        }
        Ok(())
    }

    /// Reads frames until so many streams were ended by the server (END_STREAM or RST_STREAM); settings and pings are
    /// acknowledged.
    pub async fn ended(&mut self, streams: usize) -> Result<()> {
        let mut left = streams;
        while left > 0 {
            let (kind, flags, stream) = self.next().await?;
            let ends = matches!(kind, frames::DATA | frames::HEADERS) && flags & frames::END_STREAM != 0;
            if stream != 0 && (ends || kind == frames::RST_STREAM) {
                left -= 1;
            }
        }
        Ok(())
    }

    /// Reads until a frame of this kind came.
    pub async fn until(&mut self, wanted: u8) -> Result<()> {
        while self.next().await?.0 != wanted {}
        Ok(())
    }

    /// Reads until the server ends.
    pub async fn rest(&mut self) {
        while self.next().await.is_ok() {}
    }

    /// Closes with RST.
    pub fn reset(self) -> Result<()> {
        Ok(socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO))?)
    }

    async fn next(&mut self) -> Result<(u8, u8, u32)> {
        self.fill(9).await?;
        let head: Vec<u8> = self.bytes.drain(..9).collect();
        let size = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        self.fill(size).await?;
        let payload: Vec<u8> = self.bytes.drain(..size).collect();
        let (kind, flags) = (head[3], head[4]);
        if flags & frames::END_STREAM == 0 && matches!(kind, frames::SETTINGS | frames::PING) {
            let echo = if kind == frames::PING { payload.as_slice() } else { &[] };
            self.write(&frames::frame(kind, 1, 0, echo)).await?;
        }
        Ok((
            kind,
            flags,
            u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]),
        ))
    }

    async fn fill(&mut self, size: usize) -> Result<()> {
        while self.bytes.len() < size {
            if self.stream.read_buf(&mut self.bytes).await? == 0 {
                bail!("the server ended the connection");
            }
        }
        Ok(())
    }
}
