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
    in_hand: Option<Work>,
}

/// What it does with a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Answers then.
    Plain(Instant),
    /// Ends its answer when the request has ended.
    Stream,
    /// Repeats what comes.
    Upgrade,
}

fn serve(listener: &TcpListener, seen: &Seen) {
    let mut connections: HashMap<u64, Connection> = HashMap::new();
    let mut next = 0;
    while !seen.stop.load(SeqCst) {
        wait(listener, &connections);
        while let Ok((stream, _)) = listener.accept() {
            if stream.set_nonblocking(true).is_ok() {
                let (read, in_hand) = (Vec::new(), None);
                connections.insert(next, Connection { stream, read, in_hand });
                next += 1;
            }
        }
        connections.retain(|_, connection| connection.stays(seen));
        for connection in connections.values_mut() {
            connection.work(seen);
        }
        // One that asks now may have the slot of one that has ended since it was looked at.
        connections.retain(|_, connection| connection.in_hand.is_none() || connection.stays(seen));
        for connection in connections.values_mut() {
            connection.begin(seen);
        }
    }
}

impl Connection {
    /// Reads what there is; false at the end, and then nothing is in hand.
    fn stays(&mut self, seen: &Seen) -> bool {
        let stays = self.fill();
        if !stays && self.in_hand.is_some() {
            seen.now.fetch_sub(1, SeqCst);
        }
        stays
    }

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

    fn say(&mut self, what: &[u8]) {
        let _ = self.stream.write_all(what);
    }

    /// Takes a request that is whole as far as it must be.
    fn begin(&mut self, seen: &Seen) {
        let end = self.read.windows(4).position(|end| end == b"\r\n\r\n");
        let Some(end) = end.filter(|_| self.in_hand.is_none()) else {
            return;
        };
        let in_hand = seen.now.fetch_add(1, SeqCst) + 1;
        seen.most.fetch_max(in_hand, SeqCst);
        seen.all.fetch_add(1, SeqCst);
        let head: Vec<u8> = self.read.drain(..end + 4).collect();
        self.in_hand = Some(if head.starts_with(b"POST /stream ") {
            self.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
            Work::Stream
        } else if head.starts_with(b"GET /upgrade ") {
            self.say(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n");
            Work::Upgrade
        } else {
            Work::Plain(Instant::now() + Duration::from_micros(fastrand::u64(1_000..8_000)))
        });
    }

    /// Goes on with what is in hand. It is done before its end is on its way.
    fn work(&mut self, seen: &Seen) {
        let end: &[u8] = match self.in_hand {
            Some(Work::Plain(until)) if until <= Instant::now() => b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n",
            Some(Work::Stream) if self.read.ends_with(b"0\r\n\r\n") => b"0\r\n\r\n",
            Some(Work::Upgrade) if !self.read.is_empty() => {
                let read = std::mem::take(&mut self.read);
                return self.say(&read);
            }
            _ => return,
        };
        self.in_hand = None;
        seen.now.fetch_sub(1, SeqCst);
        self.read.clear();
        self.say(end);
    }
}

fn wait(listener: &TcpListener, connections: &HashMap<u64, Connection>) {
    let sockets = connections.values().map(|connection| connection.stream.as_fd());
    let mut all: Vec<PollFd<'_>> = std::iter::once(listener.as_fd())
        .chain(sockets)
        .map(|socket| PollFd::new(socket, PollFlags::POLLIN))
        .collect();
    let first = connections
        .values()
        .filter_map(|connection| match connection.in_hand {
            Some(Work::Plain(until)) => Some(until),
            _ => None,
        })
        .min();
    let patience = first.map_or(50, |first| {
        first.saturating_duration_since(Instant::now()).as_millis() as u16 + 1
    });
    let _ = poll(&mut all, PollTimeout::from(patience));
}
