// SPDX-License-Identifier: Apache-2.0
//! Clients that keep a server busy.
//!
//! Invariants: they stop when dropped, or when the server is gone.
//! Depends on: nothing.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Clients, one request at a time each, on one connection each.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts `connections` clients.
    pub(super) fn start(port: u16, connections: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                if let Err(error) = ask(port, &stop) {
                    eprintln!("demo: a client ended: {error}");
                }
            })
        };
        let clients = (0..connections).map(client).collect();
        Self { stop, clients }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            // A client that panicked has said so itself.
            let _ = client.join();
        }
    }
}

fn ask(port: u16, stop: &AtomicBool) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let mut answers = BufReader::new(stream.try_clone()?);
    while !stop.load(Ordering::Relaxed) {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: demo\r\n\r\n")?;
        read_answer(&mut answers)?;
    }
    Ok(())
}

fn read_answer(answers: &mut impl BufRead) -> std::io::Result<()> {
    let mut length = 0;
    let mut line = String::new();
    while answers.read_line(&mut line)? > 2 {
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    answers.read_exact(&mut vec![0; length])
}
