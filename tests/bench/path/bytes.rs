// SPDX-License-Identifier: Apache-2.0
//! The floor: a relay of bytes, which knows neither heads nor pods. What the system calls of any relay cost.
//!
//! Mechanism: as many threads as CPUs, each with an epoll of its own; a client's connection has one of its own to the
//! server, and both stay with one thread. An event is one read and one write.
//! Invariants: for messages that fit a socket's buffer only (small requests); a connection that cannot be written ends.
//! Depends on: nix (epoll).

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use ::tests::role;
use anyhow::{Error, Result};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the relay is told.
#[derive(Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(super) port: u16,
    pub(super) pod: SocketAddr,
}

/// What one thread relays.
struct Share {
    epoll: Epoll,
    /// Each connection with its other end, by the number its events carry.
    all: Mutex<Vec<Arc<[TcpStream; 2]>>>,
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
            .and_then(|client| begin(client, orders.pod, share));
    }
    Ok(())
}

fn begin(client: TcpStream, pod: SocketAddr, share: &Share) -> Result<()> {
    let server = TcpStream::connect(pod)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
    }
    let pair = Arc::new([client, server]);
    let number = {
        let mut all = share.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Arc::clone(&pair));
        all.len() - 1
    };
    for (side, stream) in pair.iter().enumerate() {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, (number * 2 + side) as u64);
        share.epoll.add(stream, event)?;
    }
    Ok(())
}

fn relay(share: &Share) {
    let mut known: Vec<Arc<[TcpStream; 2]>> = Vec::new();
    let mut events = [EpollEvent::empty(); 64];
    let mut buffer = [0; 16 * 1024];
    while let Ok(ready) = share.epoll.wait(&mut events, EpollTimeout::NONE) {
        for event in &events[..ready] {
            let (number, side) = (event.data() as usize / 2, event.data() as usize % 2);
            if number >= known.len() {
                known.clone_from(&share.all.lock().unwrap_or_else(PoisonError::into_inner));
            }
            let pair = &known[number];
            let moved = (&pair[side])
                .read(&mut buffer)
                .and_then(|length| (&pair[1 - side]).write_all(&buffer[..length]).map(|()| length));
            if moved.unwrap_or_default() == 0 {
                end(share, pair);
            }
        }
    }
}

fn end(share: &Share, pair: &[TcpStream; 2]) {
    for stream in pair {
        // The other end may have gone first.
        let _ = share.epoll.delete(stream);
        let _ = stream.shutdown(Shutdown::Both);
    }
}
