// SPDX-License-Identifier: Apache-2.0
//! Clients of HTTP/1.0 and HTTP/1.1.
//!
//! Mechanism: `serve` holds a client's connection, `relay` carries one request to a pod and its answer back (`to_two`: to
//! a pod of HTTP/2), `tunnel` carries what comes after an upgrade.
//! Invariants: whoever waits for something else has flushed before: TLS takes bytes that the socket has no room for, and
//! only a flush writes them.
//! Depends on: wire, pod, path, frames.

use crate::exchange::Broken;
use std::io;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

mod client;
mod relay;
pub(crate) mod serve;
mod side;
mod to_two;
mod tunnel;

/// Writes all of it, to the socket.
async fn write_whole<W: AsyncWrite + Unpin>(to: &mut W, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

/// The same to a client.
async fn tell<W: AsyncWrite + Unpin>(client: &mut W, bytes: &[u8]) -> Result<(), Broken> {
    write_whole(client, bytes).await.map_err(|_| Broken::Gone)
}
