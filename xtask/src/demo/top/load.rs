// SPDX-License-Identifier: Apache-2.0
//! Clients that keep a server busy, and what they got.
//!
//! Invariants: they stop when dropped; every request that was sent is answered before its client stops.
//! Depends on: nothing.

use anyhow::{Context, Result, anyhow};
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A server that does not answer for so long never will.
const PATIENCE: Duration = Duration::from_secs(10);

/// Clients, one request at a time each, on one connection each.
pub(super) struct Load {
    orders: Arc<Orders>,
    clients: Vec<JoinHandle<io::Result<()>>>,
}

struct Orders {
    port: u16,
    request: String,
    stop: AtomicBool,
    answers: AtomicU64,
}

impl Load {
    /// No client yet; each will ask for an answer that takes so many milliseconds.
    pub(super) fn new(port: u16, milliseconds: u32) -> Self {
        let orders = Orders {
            port,
            request: format!("GET /sleep/{milliseconds} HTTP/1.1\r\nhost: demo\r\n\r\n"),
            stop: AtomicBool::new(false),
            answers: AtomicU64::new(0),
        };
        Self {
            orders: Arc::new(orders),
            clients: Vec::new(),
        }
    }

    /// Starts clients until there are `count`.
    pub(super) fn grow(&mut self, count: usize) {
        self.clients.resize_with(count.max(self.clients.len()), || {
            let orders = Arc::clone(&self.orders);
            thread::spawn(move || ask(&orders))
        });
    }

    /// Answers so far.
    pub(super) fn answers(&self) -> u64 {
        self.orders.answers.load(Ordering::Relaxed)
    }

    /// Stops, and says how many answers came; an error if a client had one.
    pub(super) fn stop(mut self) -> Result<u64> {
        self.orders.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            let ended = client.join().map_err(|_| anyhow!("a client panicked"))?;
            ended.context("a client failed")?;
        }
        Ok(self.answers())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.orders.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            // Something else went wrong already.
            let _ = client.join();
        }
    }
}

fn ask(orders: &Orders) -> io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", orders.port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answers = BufReader::new(stream.try_clone()?);
    while !orders.stop.load(Ordering::Relaxed) {
        stream.write_all(orders.request.as_bytes())?;
        read_answer(&mut answers)?;
        orders.answers.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn read_answer(answers: &mut impl BufRead) -> io::Result<()> {
    let mut length = None;
    let mut line = String::new();
    while answers.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok();
        }
        line.clear();
    }
    let length = length.ok_or_else(|| io::Error::other("an answer without its length"))?;
    answers.read_exact(&mut vec![0; length])
}
