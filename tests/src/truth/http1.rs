// SPDX-License-Identifier: Apache-2.0
//! A small HTTP/1.1 server whose every write is in our hands.
//!
//! Problem: libraries hide when bytes were read and written, and refuse to misbehave.
//! Mechanism: a reading half parses heads (`httparse`) and bodies ahead of the writing half, which answers in order;
//! the request's path says how to answer (`http1/answer.rs`).
//! Invariants: a request begins in the ledger when its head was read, also while earlier ones are being answered; a
//! reset ends both halves and so aborts what is queued.
//! Depends on: tokio, httparse.

mod answer;
mod head;
mod read;

use std::time::Duration;

use anyhow::Result;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Ledger, Request};
use head::Head;

/// What the reading half hands to the writing half.
enum Item {
    /// A request; `body` turns true when all of it was read.
    Request {
        head: Head,
        work: Request,
        body: watch::Receiver<bool>,
        tunnel: Option<oneshot::Sender<bool>>,
    },
    /// Bytes inside a tunnel.
    Data(Vec<u8>),
    /// Bytes that no server should accept, or a client that took too long.
    Refuse { status: u16, work: Option<Request> },
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Close {
    /// FIN, then read until the client has closed too.
    Linger,
    /// RST.
    Reset,
}

pub(super) async fn talk(mut stream: TcpStream, ledger: &Ledger, idle: Option<Duration>) -> Result<()> {
    let (items, queue) = mpsc::unbounded_channel();
    let close = {
        let (reader, writer) = stream.split();
        let mut reading = std::pin::pin!(read::requests(reader, ledger, idle, items));
        let mut writing = std::pin::pin!(answer::all(writer, queue));
        tokio::select! {
            close = &mut writing => close?,
            read = &mut reading => {
                read?;
                writing.await?
            }
        }
    };
    match close {
        Close::Linger => linger(stream).await,
        Close::Reset => Ok(socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?),
    }
}

/// Closing with unread bytes would send a reset and may destroy the answer on its way.
async fn linger(mut stream: TcpStream) -> Result<()> {
    tokio::io::AsyncWriteExt::shutdown(&mut stream).await?;
    let mut waste = vec![0; 64 << 10];
    let drain = async { while matches!(stream.read(&mut waste).await, Ok(read) if read > 0) {} };
    let _ = tokio::time::timeout(Duration::from_secs(5), drain).await;
    Ok(())
}
