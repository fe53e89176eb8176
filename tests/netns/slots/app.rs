// SPDX-License-Identifier: Apache-2.0
//! An application that counts what it has in hand, so exactly that nothing it sees can hide.
//!
//! Mechanism: one thread and poll(2); in each round it closes what has ended before it takes what is new.
//! Invariants: a request counts from its head to its answer, or to the end of its connection.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tests::rig::Netns;

/// What it has seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) now: AtomicU32,
    pub(crate) most: AtomicU32,
    pub(crate) all: AtomicU64,
    stop: AtomicBool,
}

pub(crate) struct App {
    pub(crate) seen: Arc<Seen>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl App {
    pub(crate) fn start(netns: &Netns, address: SocketAddr) -> Result<Self> {
        let listener = netns.enter(|| TcpListener::bind(address))??;
        listener.set_nonblocking(true)?;
        let seen = Arc::new(Seen::default());
        let of_it = Arc::clone(&seen);
        let thread = std::thread::Builder::new()
            .name("app".into())
            .spawn(move || serve(&listener, &of_it))?;
        let thread = Some(thread);
        Ok(Self { seen, thread })
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.seen.stop.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
    /// When the request in hand is answered.
    busy: Option<Instant>,
}

fn serve(listener: &TcpListener, seen: &Seen) {
    let mut connections: HashMap<u64, Connection> = HashMap::new();
    let mut next = 0;
    while !seen.stop.load(SeqCst) {
        wait(listener, &connections);
        while let Ok((stream, _)) = listener.accept() {
            if stream.set_nonblocking(true).is_ok() {
                let (read, busy) = (Vec::new(), None);
                connections.insert(next, Connection { stream, read, busy });
                next += 1;
            }
        }
        connections.retain(|_, connection| {
            let stays = connection.fill();
            if !stays && connection.busy.is_some() {
                seen.now.fetch_sub(1, SeqCst);
            }
            stays
        });
        let now = Instant::now();
        for connection in connections.values_mut() {
            if connection.busy.is_some_and(|until| until <= now) {
                // It is done before its answer is on its way.
                connection.busy = None;
                seen.now.fetch_sub(1, SeqCst);
                let _ = connection
                    .stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n");
            }
        }
        for connection in connections.values_mut() {
            if connection.busy.is_none() && connection.read.windows(4).any(|end| end == b"\r\n\r\n") {
                connection.read.clear();
                let time = Duration::from_micros(fastrand::u64(1_000..8_000));
                connection.busy = Some(now + time);
                let in_hand = seen.now.fetch_add(1, SeqCst) + 1;
                seen.most.fetch_max(in_hand, SeqCst);
                seen.all.fetch_add(1, SeqCst);
            }
        }
    }
}

impl Connection {
    /// Reads what there is; false at the end.
    fn fill(&mut self) -> bool {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return false,
                Ok(length) => self.read.extend_from_slice(&bytes[..length]),
                Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
            }
        }
    }
}

fn wait(listener: &TcpListener, connections: &HashMap<u64, Connection>) {
    let sockets = connections.values().map(|connection| connection.stream.as_fd());
    let mut all: Vec<PollFd<'_>> = std::iter::once(listener.as_fd())
        .chain(sockets)
        .map(|socket| PollFd::new(socket, PollFlags::POLLIN))
        .collect();
    let first = connections.values().filter_map(|connection| connection.busy).min();
    let patience = first.map_or(50, |first| {
        first.saturating_duration_since(Instant::now()).as_millis() as u16 + 1
    });
    let _ = poll(&mut all, PollTimeout::from(patience));
}
