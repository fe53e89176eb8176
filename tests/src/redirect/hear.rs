// SPDX-License-Identifier: Apache-2.0
//! Listeners that answer with their name, TCP (HTTP/1.1) and UDP.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use crate::rig::{Netns, Rig};
use crate::role::{self, Role};

/// More than this is not remembered.
const REMEMBERED: usize = 10_000;

/// A name and where it listens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listener {
    name: String,
    at: SocketAddr,
}

/// A connection as the accepting side saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Who accepted.
    pub name: String,
    /// The client's end.
    pub peer: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
}

impl Listener {
    /// A listener to be.
    pub fn new(name: &str, at: SocketAddr) -> Self {
        let name = name.to_owned();
        Self { name, at }
    }
}

/// A child with listeners.
pub struct Hearer(Role);

impl Hearer {
    /// Starts it.
    pub fn start(rig: &Rig, cgroup: Option<&Path>, netns: &Netns, listeners: Vec<Listener>) -> Result<Self> {
        Role::start(rig, cgroup, Some(netns), "hear", listeners).map(Self)
    }

    /// Connections accepted since the last question (the first 10 000).
    pub fn heard(&self) -> Result<Vec<Heard>> {
        self.0.ask("heard")
    }
}

type Book = Arc<Mutex<Vec<Heard>>>;

/// The job `hear`.
pub fn job(settings: Value) -> Result<()> {
    let listeners: Vec<Listener> = serde_json::from_value(settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let book = Book::default();
        let mut listening = JoinSet::new();
        for listener in listeners {
            let socket = bind(listener.at, Type::STREAM, Protocol::TCP)?;
            socket.listen(4096)?;
            let tcp = TcpListener::from_std(socket.into())?;
            let udp = UdpSocket::from_std(bind(listener.at, Type::DGRAM, Protocol::UDP)?.into())?;
            listening.spawn(echo(udp, listener.name.clone()));
            listening.spawn(accept(tcp, listener.name, Arc::clone(&book)));
        }
        role::answer_questions(move |question| match question {
            "heard" => {
                let heard = std::mem::take(&mut *book.lock().unwrap_or_else(PoisonError::into_inner));
                Ok(serde_json::to_value(heard)?)
            }
            other => bail!("unknown question {other:?}"),
        })?;
        listening.join_all().await;
        Ok(())
    })
}

fn bind(at: SocketAddr, kind: Type, protocol: Protocol) -> Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), kind, Some(protocol))?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&at.into()).with_context(|| format!("{at}"))?;
    Ok(socket)
}

async fn accept(listener: TcpListener, name: String, book: Book) {
    let mut answering = JoinSet::new();
    loop {
        while answering.try_join_next().is_some() {}
        let Ok((stream, peer)) = listener.accept().await else {
            continue;
        };
        if let Ok(local) = stream.local_addr() {
            let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
            if book.len() < REMEMBERED {
                let name = name.clone();
                book.push(Heard { name, peer, local });
            }
        }
        let name = name.clone();
        answering.spawn(async move {
            // A client that goes early is an ordinary end.
            let _ = answer(stream, &name).await;
        });
    }
}

/// One request: the name; `/hold`: no answer until the client goes.
async fn answer(mut stream: TcpStream, name: &str) -> Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    if request.starts_with(b"GET /hold ") {
        while stream.read_buf(&mut request).await? > 0 {}
        return Ok(());
    }
    let length = name.len();
    let response = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{name}");
    stream.write_all(response.as_bytes()).await?;
    Ok(stream.shutdown().await?)
}

async fn echo(socket: UdpSocket, name: String) {
    let mut waste = [0; 64];
    loop {
        if let Ok((_, peer)) = socket.recv_from(&mut waste).await {
            let _ = socket.send_to(name.as_bytes(), peer).await;
        }
    }
}
