// SPDX-License-Identifier: Apache-2.0
//! The writing half: what each path answers.
//!
//! `/sleep/MS` · `/bytes/N` · `/chunked/N/SIZE` · `/extended/N/SIZE` (chunk extensions) · `/trailers/N` ·
//! `/until-close/N` · `/http10/N` · `/status/CODE` · `/length-only/CODE/N` (a length without a body) · `/early/CODE`
//! (before the body) · `/hints/N` (N times 103) · `/continue` (100, even unasked) · `/close` · `/rst/N` (N body bytes
//! of more, then RST) · `/cut/N` (the same with FIN) · `/half` (FIN after the answer, reads on) · `/folded` · `/lf`
//! (bare LF) · `/huge-head/N` · `/upgrade` (101, echoes) · `/refuse-upgrade` · `/drip/N/MS` (a byte every MS).
//! A request header `x-split: N` writes the answer N bytes at a time.

use std::time::Duration;

use anyhow::Result;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::WriteHalf;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{oneshot, watch};

use super::super::Request;
use super::head::Head;
use super::{Close, Item};

/// Answers in order until the reading half ends or an answer closes the connection.
pub(super) async fn all(writer: WriteHalf<'_>, mut queue: UnboundedReceiver<Item>) -> Result<Close> {
    let mut output = Output { writer, split: None };
    while let Some(item) = queue.recv().await {
        let next = match item {
            Item::Request {
                head,
                work,
                body,
                tunnel,
            } => {
                output.split = head.number("x-split");
                let mut turn = Turn {
                    output: &mut output,
                    head: &head,
                    work,
                    body,
                };
                match tunnel {
                    Some(decision) => return_or_tunnel(turn, decision, &mut queue).await?,
                    None => {
                        let next = turn.answer().await?;
                        turn.work.end();
                        next
                    }
                }
            }
            Item::Refuse { status, work } => {
                refuse(&mut output, status, work).await?;
                Next::Close(Close::Linger)
            }
            Item::Data(_) => Next::Go,
        };
        if let Next::Close(close) = next {
            return Ok(close);
        }
    }
    Ok(Close::Linger)
}

enum Next {
    Go,
    Close(Close),
}

struct Output<'s> {
    writer: WriteHalf<'s>,
    split: Option<usize>,
}

impl Output<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let size = self.split.unwrap_or(bytes.len()).max(1);
        for part in bytes.chunks(size) {
            self.writer.write_all(part).await?;
            if self.split.is_some() {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    async fn zeros(&mut self, size: usize) -> Result<()> {
        let block = vec![b'x'; size.min(256 << 10)];
        let mut left = size;
        while left > 0 {
            let part = left.min(block.len());
            self.write(&block[..part]).await?;
            left -= part;
        }
        Ok(())
    }
}

async fn refuse(output: &mut Output<'_>, status: u16, work: Option<Request>) -> Result<()> {
    let head = format!("HTTP/1.1 {status} refused\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    let Some(work) = work else {
        return output.write(head.as_bytes()).await;
    };
    // No time is certain: a head that never was complete starts with its refusal.
    work.answer(status);
    output.write(head.as_bytes()).await?;
    work.end();
    Ok(())
}

async fn return_or_tunnel(
    mut turn: Turn<'_, '_>,
    decision: oneshot::Sender<bool>,
    queue: &mut UnboundedReceiver<Item>,
) -> Result<Next> {
    let connect = turn.head.method == "CONNECT";
    if !connect && turn.head.parts().first() != Some(&"upgrade") {
        let next = turn.answer().await?;
        let _ = decision.send(false);
        turn.work.end();
        return Ok(next);
    }
    let (status, head) = if connect {
        (200, "HTTP/1.1 200 established\r\n\r\n")
    } else {
        (
            101,
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
        )
    };
    turn.work.answer(status);
    turn.output.write(head.as_bytes()).await?;
    let _ = decision.send(true);
    while let Some(Item::Data(bytes)) = queue.recv().await {
        turn.output.write(&bytes).await?;
    }
    turn.work.last_write();
    // The tunnel ends with its connection: FIN first, so that the ledger never says "over" before the network does.
    turn.output.writer.shutdown().await?;
    turn.work.end();
    Ok(Next::Close(Close::Linger))
}

/// One request being answered.
struct Turn<'t, 's> {
    output: &'t mut Output<'s>,
    head: &'t Head,
    work: Request,
    body: watch::Receiver<bool>,
}

impl Turn<'_, '_> {
    async fn answer(&mut self) -> Result<Next> {
        let parts = self.head.parts();
        let number = |at: usize| {
            parts
                .get(at)
                .and_then(|part| part.parse::<usize>().ok())
                .unwrap_or_default()
        };
        let (first, second) = (number(1), number(2));
        let code = u16::try_from(first).unwrap_or(500);
        match parts.first().copied().unwrap_or_default() {
            "early" => {
                self.plain(code, "content-length: 5\r\n", 5).await?;
                self.whole_body().await?;
                return Ok(self.after());
            }
            "continue" => self.output.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?,
            _ if self.head.says("expect", "100-continue") => {
                self.output.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            _ => {}
        }
        self.whole_body().await?;
        match parts.first().copied().unwrap_or_default() {
            "sleep" => tokio::time::sleep(Duration::from_millis(first as u64)).await,
            "hints" => self.hints(first).await?,
            "bytes" => return self.sized(first).await,
            "chunked" => return self.chunked(first, second, "").await,
            "extended" => return self.chunked(first, second, ";name=\"value; \\\" 0\";flag").await,
            "trailers" => return self.trailers(first).await,
            "until-close" => return self.until_close("HTTP/1.1", first).await,
            "http10" => return self.until_close("HTTP/1.0", first).await,
            "status" => return self.status(code).await,
            "length-only" => return self.length_only(code, second).await,
            "rst" => return self.broken(first, Close::Reset).await,
            "cut" => return self.broken(first, Close::Linger).await,
            "half" => return self.half().await,
            "folded" => return self.odd_head("x-folded: one\r\n two\r\n\tthree\r\n", "\r\n").await,
            "lf" => return self.odd_head("", "\n").await,
            "huge-head" => return self.huge_head(first).await,
            "drip" => return self.drip(first, second).await,
            _ => {}
        }
        self.plain(200, "content-length: 13\r\n", 13).await?;
        Ok(self.after())
    }

    async fn whole_body(&mut self) -> Result<()> {
        Ok(self.body.wait_for(|whole| *whole).await.map(drop)?)
    }

    fn after(&self) -> Next {
        let close = self.head.says("connection", "close") || self.head.parts().first() == Some(&"close");
        if close { Next::Close(Close::Linger) } else { Next::Go }
    }

    fn has_body(&self, status: u16) -> bool {
        self.head.method != "HEAD" && !matches!(status, 100..200 | 204 | 304)
    }

    /// A whole answer in one write, as far as it fits.
    async fn plain(&mut self, status: u16, headers: &str, body: usize) -> Result<()> {
        let body = if self.has_body(status) { body } else { 0 };
        let close = match self.after() {
            Next::Close(_) => "connection: close\r\n",
            Next::Go => "",
        };
        let mut bytes = format!("HTTP/1.1 {status} plain\r\n{close}{headers}\r\n").into_bytes();
        bytes.resize(bytes.len() + body, b'x');
        self.work.answer(status);
        self.work.last_write();
        self.output.write(&bytes).await
    }

    async fn head(&mut self, status: u16, headers: &str) -> Result<()> {
        self.work.answer(status);
        self.output
            .write(format!("HTTP/1.1 {status} here\r\n{headers}\r\n").as_bytes())
            .await
    }

    async fn hints(&mut self, times: usize) -> Result<()> {
        for _ in 0..times {
            self.output
                .write(b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n")
                .await?;
        }
        Ok(())
    }

    async fn sized(&mut self, size: usize) -> Result<Next> {
        if size <= 1 << 10 {
            self.plain(200, &format!("content-length: {size}\r\n"), size).await?;
            return Ok(self.after());
        }
        self.head(200, &format!("content-length: {size}\r\n")).await?;
        if self.has_body(200) {
            self.output.zeros(size - 1).await?;
            self.work.last_write();
            self.output.zeros(1).await?;
        }
        Ok(self.after())
    }

    async fn chunked(&mut self, size: usize, chunk: usize, extension: &str) -> Result<Next> {
        self.head(200, "transfer-encoding: chunked\r\n").await?;
        if self.has_body(200) {
            self.chunks(size, chunk.max(1), extension).await?;
            self.work.last_write();
            self.output.write(b"0\r\n\r\n").await?;
        }
        Ok(self.after())
    }

    async fn chunks(&mut self, size: usize, chunk: usize, extension: &str) -> Result<()> {
        let mut left = size;
        while left > 0 {
            let part = left.min(chunk);
            let mut bytes = format!("{part:X}{extension}\r\n").into_bytes();
            bytes.resize(bytes.len() + part, b'x');
            bytes.extend_from_slice(b"\r\n");
            self.output.write(&bytes).await?;
            left -= part;
        }
        Ok(())
    }

    async fn trailers(&mut self, size: usize) -> Result<Next> {
        self.head(200, "transfer-encoding: chunked\r\ntrailer: x-sum, x-more\r\n")
            .await?;
        self.chunks(size, 1000, "").await?;
        self.work.last_write();
        self.output.write(b"00\r\nx-sum: 1\r\nx-more: 0\r\n\r\n").await?;
        Ok(self.after())
    }

    async fn until_close(&mut self, version: &str, size: usize) -> Result<Next> {
        self.work.answer(200);
        self.output
            .write(format!("{version} 200 open end\r\nconnection: close\r\n\r\n").as_bytes())
            .await?;
        self.output.zeros(size).await?;
        self.work.last_write();
        // The end of this answer is the FIN.
        self.output.writer.shutdown().await?;
        Ok(Next::Close(Close::Linger))
    }

    async fn status(&mut self, code: u16) -> Result<Next> {
        let length = if self.has_body(code) {
            "content-length: 3\r\n"
        } else {
            ""
        };
        self.plain(code, length, 3).await?;
        Ok(self.after())
    }

    async fn length_only(&mut self, code: u16, size: usize) -> Result<Next> {
        self.plain(code, &format!("content-length: {size}\r\n"), 0).await?;
        Ok(self.after())
    }

    async fn broken(&mut self, size: usize, close: Close) -> Result<Next> {
        self.head(200, &format!("content-length: {}\r\n", size + 1000)).await?;
        self.output.zeros(size).await?;
        self.work.last_write();
        Ok(Next::Close(close))
    }

    async fn half(&mut self) -> Result<Next> {
        self.plain(200, "content-length: 4\r\n", 4).await?;
        self.output.writer.shutdown().await?;
        Ok(Next::Close(Close::Linger))
    }

    async fn odd_head(&mut self, header: &str, end: &str) -> Result<Next> {
        let head = format!("HTTP/1.1 200 odd{end}{header}content-length: 3{end}{end}odd");
        self.work.answer(200);
        self.work.last_write();
        self.output.write(head.as_bytes()).await?;
        Ok(self.after())
    }

    async fn huge_head(&mut self, size: usize) -> Result<Next> {
        let filler = "y".repeat(size);
        self.plain(200, &format!("x-filler: {filler}\r\ncontent-length: 2\r\n"), 2)
            .await?;
        Ok(self.after())
    }

    async fn drip(&mut self, size: usize, pause: usize) -> Result<Next> {
        self.head(200, &format!("content-length: {size}\r\n")).await?;
        for at in 0..size {
            tokio::time::sleep(Duration::from_millis(pause as u64)).await;
            if at + 1 == size {
                self.work.last_write();
            }
            self.output.write(b"d").await?;
        }
        Ok(self.after())
    }
}
