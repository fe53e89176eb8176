// SPDX-License-Identifier: Apache-2.0
//! Finished lines on their way out.
//!
//! Mechanism: requests put lines into a queue that is bounded in lines and in bytes; one task writes what is there at once.
//! Invariants: putting a line never waits; one that does not fit, or cannot be written, is counted as dropped.
//! Depends on: life, tokio.

use super::facts::Sink;
use life::Tasks;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

/// Lines that may wait.
const LINES: usize = 8192;
/// Bytes of lines that may wait.
const BYTES: usize = 16 << 20;
/// Lines that are written at once, at most.
const TOGETHER: usize = 256;

/// What became of the lines.
#[derive(Debug, Default)]
pub struct Counts {
    /// Lines that were handed to the reader of the log.
    pub written: AtomicU64,
    /// Lines lost, because the reader is too slow or gone.
    pub dropped: AtomicU64,
    waiting: AtomicUsize,
}

/// A queue of lines; the task that empties it ends when the last of its sinks is gone.
pub struct Lines {
    sender: mpsc::Sender<String>,
    counts: Arc<Counts>,
}

impl Lines {
    /// Lines are written to `to`.
    pub fn open<W: AsyncWrite + Unpin + Send + 'static>(to: W, tasks: &Tasks) -> Self {
        let (sender, receiver) = mpsc::channel(LINES);
        let counts = Arc::new(Counts::default());
        tasks.spawn("request log", write(receiver, to, Arc::clone(&counts)));
        Self { sender, counts }
    }

    /// What puts lines into it.
    #[must_use]
    pub fn sink(&self) -> Sink {
        let (sender, counts) = (self.sender.clone(), Arc::clone(&self.counts));
        Arc::new(move |line| {
            let length = line.len();
            if counts.waiting.fetch_add(length, Relaxed) > BYTES || sender.try_send(line).is_err() {
                counts.waiting.fetch_sub(length, Relaxed);
                counts.dropped.fetch_add(1, Relaxed);
            }
        })
    }

    /// What became of its lines.
    #[must_use]
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }
}

async fn write<W: AsyncWrite + Unpin>(mut from: mpsc::Receiver<String>, mut to: W, counts: Arc<Counts>) {
    let (mut lines, mut out) = (Vec::with_capacity(TOGETHER), Vec::new());
    loop {
        let count = from.recv_many(&mut lines, TOGETHER).await;
        if count == 0 {
            return;
        }
        for line in lines.drain(..) {
            counts.waiting.fetch_sub(line.len(), Relaxed);
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        }
        let is_written = to.write_all(&out).await.is_ok() && to.flush().await.is_ok();
        let counter = if is_written { &counts.written } else { &counts.dropped };
        counter.fetch_add(count as u64, Relaxed);
        out.clear();
        out.shrink_to(1 << 20);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

    #[tokio::test]
    async fn a_reader_that_does_not_read_costs_lines_and_no_time() {
        let tasks = Tasks::new();
        let (reader, writer) = tokio::io::duplex(64);
        let lines = Lines::open(writer, &tasks);
        let (sink, counts) = (lines.sink(), lines.counts());
        drop(lines);
        let all = 3 * LINES as u64;
        for number in 0..all {
            sink(format!("line {number}"));
        }
        let dropped = counts.dropped.load(Relaxed);
        assert!(dropped >= all - LINES as u64 - TOGETHER as u64, "{dropped}");
        drop(sink);
        let mut read = String::new();
        BufReader::new(reader).read_to_string(&mut read).await.unwrap();
        tasks.gone().await;
        assert_eq!(read.lines().count() as u64, all - dropped);
        assert_eq!(read.lines().next(), Some("line 0"));
        assert_eq!(counts.written.load(Relaxed), all - dropped);
        assert_eq!(counts.waiting.load(Relaxed), 0);
    }

    #[tokio::test]
    async fn large_lines_are_bounded_by_their_bytes() {
        let tasks = Tasks::new();
        let (reader, writer) = tokio::io::duplex(64);
        let lines = Lines::open(writer, &tasks);
        let sink = lines.sink();
        for _ in 0..40 {
            sink("x".repeat(1 << 20));
        }
        assert!(lines.counts().dropped.load(Relaxed) >= 22);
        drop(reader);
    }

    #[tokio::test]
    async fn lines_without_a_reader_are_dropped_and_counted() {
        let tasks = Tasks::new();
        let (reader, writer) = tokio::io::duplex(64);
        drop(reader);
        let lines = Lines::open(writer, &tasks);
        let (sink, counts) = (lines.sink(), lines.counts());
        drop(lines);
        sink("lost".to_owned());
        drop(sink);
        tasks.gone().await;
        assert_eq!(counts.dropped.load(Relaxed), 1);
    }

    #[tokio::test]
    async fn a_line_is_there_as_soon_as_nothing_else_is_written() {
        let tasks = Tasks::new();
        let (reader, writer) = tokio::io::duplex(64);
        let lines = Lines::open(writer, &tasks);
        lines.sink()("first".to_owned());
        let mut line = String::new();
        BufReader::new(reader).read_line(&mut line).await.unwrap();
        assert_eq!(line, "first\n");
    }
}
