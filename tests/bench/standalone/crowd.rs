// SPDX-License-Identifier: Apache-2.0
//! Many clients that begin together.
//!
//! Problem: a thread for each client is hundreds of threads to start, on the CPUs of what is measured and while the clock
//! runs.
//! Mechanism: one thread with one runtime; every client connects and writes its request at once, then the next one does, and
//! answers are read as they come. So requests come while others still connect: nothing is got ready before the first byte.
//! Invariants: every answer is read to its end, and its status and body are those that were asked for, or it is an error.
//! Depends on: api, tokio.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::api::PATIENCE;

/// What clients ask, and the body that they must be answered.
#[derive(Clone, Copy)]
pub(super) struct Question {
    pub(super) gateway: SocketAddr,
    pub(super) host: &'static str,
    pub(super) path: &'static str,
    pub(super) body: &'static str,
}

/// What was asked and answered.
pub(super) struct Asked {
    /// When the first byte of the first request was written.
    pub(super) begun: Instant,
    /// When the last answer was read.
    pub(super) ended: Instant,
    pub(super) answers: usize,
}

/// So many clients ask once, each on a connection of its own.
pub(super) fn ask_once(clients: usize, question: Question) -> Result<Asked> {
    ask(clients, question, &Arc::new(AtomicBool::new(true)))
}

/// So many clients ask, each on a connection of its own, and again until it is `over`.
pub(super) fn ask(clients: usize, question: Question, over: &Arc<AtomicBool>) -> Result<Asked> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut asking = JoinSet::new();
        for _ in 0..clients {
            asking.spawn(client(question, Arc::clone(over)));
        }
        let mut whole: Option<Asked> = None;
        while let Some(asked) = asking.join_next().await {
            let asked = asked.context("a client ended early")??;
            whole = Some(match whole {
                None => asked,
                Some(whole) => whole.with(&asked),
            });
        }
        whole.context("there are no clients")
    })
}

impl Asked {
    fn with(self, other: &Self) -> Self {
        Self {
            begun: self.begun.min(other.begun),
            ended: self.ended.max(other.ended),
            answers: self.answers + other.answers,
        }
    }
}

async fn client(question: Question, over: Arc<AtomicBool>) -> Result<Asked> {
    let Question { host, path, .. } = question;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    // On this machine it takes no longer than the call.
    let mut stream = std::net::TcpStream::connect(question.gateway)?;
    stream.set_nodelay(true)?;
    let begun = Instant::now();
    stream.write_all(request.as_bytes())?;
    stream.set_nonblocking(true)?;
    let mut stream = TcpStream::from_std(stream)?;
    let mut answers = 0;
    loop {
        let read = timeout(PATIENCE, answer(&mut stream)).await;
        let (status, body) = read.context("no answer came")??;
        ensure!(status == 200 && body == question.body, "{host}{path}: {status} {body}");
        answers += 1;
        if over.load(Ordering::Relaxed) {
            let ended = Instant::now();
            return Ok(Asked { begun, ended, answers });
        }
        stream.write_all(request.as_bytes()).await?;
    }
}

/// Status and body of one answer; it must have a length.
async fn answer(stream: &mut TcpStream) -> Result<(u16, String)> {
    let mut read = Vec::with_capacity(512);
    loop {
        ensure!(stream.read_buf(&mut read).await? > 0, "the connection ended");
        let text = std::str::from_utf8(&read)?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.with_context(|| format!("no length: {head}"))?.trim().parse()?;
        if body.len() < length {
            continue;
        }
        ensure!(body.len() == length, "more than one answer: {body:?}");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        return Ok((status.context("no status")?, body.to_owned()));
    }
}
