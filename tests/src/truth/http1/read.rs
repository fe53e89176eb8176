// SPDX-License-Identifier: Apache-2.0
//! The reading half: heads, bodies, tunnels.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::ReadHalf;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{oneshot, watch};

use super::super::Ledger;
use super::Item;
use super::head::{self, Head, Length};

const LARGEST_HEAD: usize = 256 << 10;

struct Input<'s> {
    reader: ReadHalf<'s>,
    bytes: Vec<u8>,
    chunk: Box<[u8]>,
}

impl Input<'_> {
    /// Reads more; false at the end of the client's bytes.
    async fn more(&mut self) -> Result<bool> {
        let read = self.reader.read(&mut self.chunk).await?;
        self.bytes.extend_from_slice(&self.chunk[..read]);
        Ok(read > 0)
    }

    async fn need(&mut self) -> Result<()> {
        if self.more().await? {
            Ok(())
        } else {
            bail!("the client ended inside a message")
        }
    }
}

/// Reads requests until the client ends; an error is a broken connection.
pub(super) async fn requests(
    reader: ReadHalf<'_>,
    ledger: &Ledger,
    idle: Option<Duration>,
    items: UnboundedSender<Item>,
) -> Result<()> {
    let mut input = Input {
        reader,
        bytes: Vec::new(),
        chunk: vec![0; 128 << 10].into(),
    };
    loop {
        match next_head(&mut input, ledger, idle).await? {
            Next::Head(head) => {
                if !request(&mut input, head, ledger, &items).await? {
                    return never().await;
                }
            }
            Next::Refuse(item) => {
                let _ = items.send(item);
                return never().await;
            }
            Next::End => return Ok(()),
        }
    }
}

/// The writing half closes the connection; it decides when.
async fn never() -> Result<()> {
    std::future::pending().await
}

enum Next {
    Head(Head),
    Refuse(Item),
    End,
}

async fn next_head(input: &mut Input<'_>, ledger: &Ledger, idle: Option<Duration>) -> Result<Next> {
    loop {
        let parsed = match head::parse(&input.bytes) {
            Ok(None) if input.bytes.len() > LARGEST_HEAD => Err(431),
            parsed => parsed,
        };
        match parsed {
            Ok(Some((head, size))) => {
                input.bytes.drain(..size);
                return Ok(Next::Head(head));
            }
            Err(status) => {
                return Ok(Next::Refuse(Item::Refuse {
                    status,
                    work: Some(ledger.begin()),
                }));
            }
            Ok(None) => {}
        }
        let more = match idle {
            Some(limit) => match tokio::time::timeout(limit, input.more()).await {
                Ok(more) => more?,
                Err(_) => {
                    // Only a client that had begun a head is owed an answer that counts.
                    let work = (!input.bytes.is_empty()).then(|| ledger.begin());
                    return Ok(Next::Refuse(Item::Refuse { status: 408, work }));
                }
            },
            None => input.more().await?,
        };
        if !more {
            return Ok(Next::End);
        }
    }
}

/// Hands one request over and reads its body; false when nothing may follow it.
async fn request(input: &mut Input<'_>, head: Head, ledger: &Ledger, items: &UnboundedSender<Item>) -> Result<bool> {
    let work = ledger.begin();
    let length = match head.length() {
        Ok(length) => length,
        Err(status) => {
            let _ = items.send(Item::Refuse {
                status,
                work: Some(work),
            });
            return Ok(false);
        }
    };
    let (whole, body) = watch::channel(false);
    let may_tunnel = head.method == "CONNECT" || head.says("connection", "upgrade");
    let (tunnel, decision) = oneshot::channel();
    let _ = items.send(Item::Request {
        head,
        work,
        body,
        tunnel: may_tunnel.then_some(tunnel),
    });
    match length {
        Length::Known(size) => known(input, size, ledger).await?,
        Length::Chunked => {
            if !chunked(input, ledger).await? {
                let _ = items.send(Item::Refuse {
                    status: 400,
                    work: None,
                });
                return Ok(false);
            }
        }
    }
    whole.send_replace(true);
    if may_tunnel && decision.await.unwrap_or(false) {
        through_tunnel(input, items).await?;
    }
    Ok(true)
}

async fn known(input: &mut Input<'_>, size: u64, ledger: &Ledger) -> Result<()> {
    let mut left = size;
    while left > 0 {
        if input.bytes.is_empty() {
            input.need().await?;
        }
        let taken = input.bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        input.bytes.drain(..taken);
        ledger.body(taken as u64);
        left -= taken as u64;
    }
    Ok(())
}

/// False when the chunks make no sense.
async fn chunked(input: &mut Input<'_>, ledger: &Ledger) -> Result<bool> {
    loop {
        let size = match httparse::parse_chunk_size(&input.bytes) {
            Ok(httparse::Status::Complete((used, size))) => {
                input.bytes.drain(..used);
                size
            }
            Ok(httparse::Status::Partial) => {
                input.need().await?;
                continue;
            }
            Err(_) => return Ok(false),
        };
        if size == 0 {
            return trailers(input).await;
        }
        known(input, size, ledger).await?;
        while input.bytes.len() < 2 {
            input.need().await?;
        }
        if !input.bytes.starts_with(b"\r\n") {
            return Ok(false);
        }
        input.bytes.drain(..2);
    }
}

async fn trailers(input: &mut Input<'_>) -> Result<bool> {
    loop {
        let mut slots = [httparse::EMPTY_HEADER; 64];
        match httparse::parse_headers(&input.bytes, &mut slots) {
            Ok(httparse::Status::Complete((used, _))) => {
                input.bytes.drain(..used);
                return Ok(true);
            }
            Ok(httparse::Status::Partial) => input.need().await?,
            Err(_) => return Ok(false),
        }
    }
}

async fn through_tunnel(input: &mut Input<'_>, items: &UnboundedSender<Item>) -> Result<()> {
    loop {
        if !input.bytes.is_empty() {
            let _ = items.send(Item::Data(std::mem::take(&mut input.bytes)));
        }
        if !input.more().await? {
            return Ok(());
        }
    }
}
