// SPDX-License-Identifier: Apache-2.0
//! The floor: a relay of bytes, which knows neither heads nor pods. What the system calls of any relay cost.
//!
//! Mechanism: as many threads as CPUs, each with an epoll of its own; a client's connection has one of its own to the
//! server, and both stay with one thread. A small message is one event, one read and one write; what cannot be written at
//! once waits. Or bytes go through a pipe by `splice`, and userspace never sees them.
//! Invariants: a connection ends when either end does.
//! Depends on: nix (epoll, splice).

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use ::tests::role;
use anyhow::{Error, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::unistd::pipe2;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is read at once: as much as `sluice` reads of a large body.
const READ: usize = 256 * 1024;
/// What a pipe holds.
const PIPE: i32 = 1024 * 1024;

/// What the relay is told.
#[derive(Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(super) port: u16,
    pub(super) pod: SocketAddr,
    /// By `splice` instead of reads and writes.
    pub(super) splices: bool,
}

/// What one thread relays.
struct Share {
    epoll: Epoll,
    /// By the number their events carry. Only the thread that accepts adds, only the one that relays takes away.
    all: Mutex<Vec<Option<Pair>>>,
}

/// A connection, its other end, and what is on the way from each to the other.
struct Pair {
    ends: [TcpStream; 2],
    ways: [Passage; 2],
}

/// What was taken from one end and not given to the other yet.
enum Passage {
    /// Bytes, given up to `given`.
    Copied { bytes: Vec<u8>, given: usize },
    /// So many in a pipe.
    Piped { read: OwnedFd, write: OwnedFd, held: usize },
}

/// The job `bench-bytes`.
pub(crate) fn run(orders: Value) -> Result<()> {
    let orders: Orders = serde_json::from_value(orders)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, orders.port))?;
    let mut shares = Vec::new();
    for _ in 0..thread::available_parallelism()?.get() {
        let share = Arc::new(Share {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            all: Mutex::default(),
        });
        let its = Arc::clone(&share);
        thread::spawn(move || relay(&its));
        shares.push(share);
    }
    role::answer_questions(|_| Ok(Value::Null))?;
    for (client, share) in listener.incoming().zip(shares.iter().cycle()) {
        // A load tool that ends resets its connections.
        let _ = client
            .map_err(Error::from)
            .and_then(|client| begin(client, &orders, share));
    }
    Ok(())
}

fn begin(client: TcpStream, orders: &Orders, share: &Share) -> Result<()> {
    let server = TcpStream::connect(orders.pod)?;
    let ways = [Passage::new(orders.splices)?, Passage::new(orders.splices)?];
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
    }
    let ends = [client, server];
    // Until both are there, no event is looked at.
    let mut all = share.all.lock().unwrap_or_else(PoisonError::into_inner);
    for end in &ends {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        share.epoll.add(end, EpollEvent::new(flags, all.len() as u64))?;
    }
    all.push(Some(Pair { ends, ways }));
    Ok(())
}

fn relay(share: &Share) {
    let mut events = [EpollEvent::empty(); 64];
    let mut buffer = vec![0; READ];
    while let Ok(ready) = share.epoll.wait(&mut events, EpollTimeout::NONE) {
        // Nobody waits for it but a client that is accepted.
        let mut all = share.all.lock().unwrap_or_else(PoisonError::into_inner);
        for event in &events[..ready] {
            let place = &mut all[event.data() as usize];
            let Some(pair) = place else { continue };
            let [one, other] = &pair.ends;
            let [there, back] = &mut pair.ways;
            let goes_on = there.carry(one, other, &mut buffer) && back.carry(other, one, &mut buffer);
            if !goes_on {
                for end in &pair.ends {
                    // The other end may have gone first.
                    let _ = end.shutdown(Shutdown::Both);
                }
                *place = None;
            }
        }
    }
}

impl Passage {
    fn new(splices: bool) -> Result<Self> {
        if !splices {
            let bytes = Vec::new();
            return Ok(Self::Copied { bytes, given: 0 });
        }
        let (read, write) = pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)?;
        fcntl(&write, FcntlArg::F_SETPIPE_SZ(PIPE))?;
        Ok(Self::Piped { read, write, held: 0 })
    }

    /// Takes and gives until one of the two would wait; false: the end.
    fn carry(&mut self, from: &TcpStream, to: &TcpStream, buffer: &mut [u8]) -> bool {
        match self {
            Self::Copied { bytes, given } => copy(from, to, (bytes, given), buffer),
            Self::Piped { read, write, held } => pipe(from, to, (read, write), held),
        }
    }
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, left: (&mut Vec<u8>, &mut usize), buffer: &mut [u8]) -> bool {
    let waits = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
    let (bytes, given) = left;
    loop {
        while *given < bytes.len() {
            match to.write(&bytes[*given..]) {
                Ok(count) => *given += count,
                Err(error) => return waits(&error),
            }
        }
        bytes.clear();
        *given = 0;
        let taken = match from.read(buffer) {
            Ok(0) => return false,
            Ok(taken) => taken,
            Err(error) => return waits(&error),
        };
        let written = match to.write(&buffer[..taken]) {
            Ok(written) => written,
            Err(error) if waits(&error) => 0,
            Err(_) => return false,
        };
        bytes.extend_from_slice(&buffer[written..taken]);
        if written == taken && taken < buffer.len() {
            // There was no more; what comes is another event.
            return true;
        }
    }
}

fn pipe(from: &TcpStream, to: &TcpStream, (read, write): (&OwnedFd, &OwnedFd), held: &mut usize) -> bool {
    let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE;
    let room = PIPE as usize;
    loop {
        let taken = match splice(from, None, write, None, room, flags) {
            Ok(0) => return false,
            Ok(taken) => taken,
            // Nothing has come, or the pipe is full.
            Err(Errno::EAGAIN) => 0,
            Err(_) => return false,
        };
        *held += taken;
        if *held == 0 {
            return true;
        }
        match splice(read, None, to, None, *held, flags) {
            Ok(given) => *held -= given,
            Err(error) => return error == Errno::EAGAIN,
        }
        if taken == 0 && *held == 0 {
            return true;
        }
    }
}
