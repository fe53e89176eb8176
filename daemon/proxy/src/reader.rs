// SPDX-License-Identifier: Apache-2.0
//! Bytes that were read and not yet used.
//!
//! Invariants: reading may be given up at any time without losing a byte.
//! Depends on: nothing.

use bytes::BytesMut;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// One read.
const READ: usize = 16 << 10;

/// A reading half with what it has read ahead.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    pub(crate) io: R,
    pub(crate) buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(crate) fn new(io: R) -> Self {
        Self {
            io,
            buffer: BytesMut::new(),
        }
    }

    /// Reads more; false at the end.
    pub(crate) async fn fill(&mut self) -> io::Result<bool> {
        self.buffer.reserve(READ);
        Ok(self.io.read_buf(&mut self.buffer).await? > 0)
    }

    /// Reads ahead, at most so many bytes, and returns when the other side has ended.
    pub(crate) async fn end(&mut self, most: usize) {
        while self.buffer.len() < most {
            if !matches!(self.fill().await, Ok(true)) {
                return;
            }
        }
        std::future::pending().await
    }
}
