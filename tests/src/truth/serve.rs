// SPDX-License-Identifier: Apache-2.0
//! The child process that serves: listeners, the accept loop, the ledger behind the questions.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{Ledger, Truth, http1, http2, hyper, stream};
use crate::role;

/// Which program answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// Our own HTTP/1.1 server, byte by byte in our hands; `httparse` decides boundaries.
    Raw,
    /// hyper's HTTP/1.1 server.
    Hyper1,
    /// h2: HTTP/2 with prior knowledge.
    H2,
    /// hyper's HTTP/2 server.
    Hyper2,
    /// Echoes bytes: no protocol that anybody here knows.
    Echo,
}

/// Which addresses are listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bind {
    /// `0.0.0.0`.
    V4,
    /// `[::]`, IPv6 only.
    V6,
    /// `[::]`, both families on one socket.
    Dual,
}

/// How a server is set up.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Server {
    /// Who answers.
    pub protocol: Protocol,
    /// Where.
    pub bind: Bind,
    /// On which port.
    pub port: u16,
    /// On so many ports, counted from the first; each keeps a ledger of its own.
    pub ports: u16,
    /// A connection without a request for so long gets a 408 and is closed (raw server only).
    pub idle: Option<Duration>,
    /// The most that HTTP/2 streams may be open at once; 0 = the default.
    pub streams: u32,
}

impl Server {
    /// A server of a protocol on the pod's port, IPv4.
    pub fn of(protocol: Protocol) -> Self {
        Self {
            protocol,
            bind: Bind::V4,
            port: crate::rig::POD_PORT,
            ports: 1,
            idle: None,
            streams: 0,
        }
    }

    /// Listens elsewhere.
    pub fn bind(self, bind: Bind) -> Self {
        Self { bind, ..self }
    }

    /// Closes idle connections.
    pub fn idle(self, idle: Duration) -> Self {
        Self {
            idle: Some(idle),
            ..self
        }
    }

    /// On several ports.
    pub fn ports(self, ports: u16) -> Self {
        Self { ports, ..self }
    }

    /// On another port.
    pub fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }
}

/// The job `serve`: answers the questions `truth` (all ports together) and `truths` (port by port).
pub fn serve(settings: Value) -> Result<()> {
    let server: Server = serde_json::from_value(settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut listening = JoinSet::new();
        let mut books = Vec::new();
        for port in server.port..server.port + server.ports {
            let server = server.port(port);
            let (listener, ledger) = (listen(&server)?, Ledger::default());
            books.push(ledger.clone());
            listening.spawn(accept(listener, server, ledger));
        }
        role::answer_questions(move |question| answer(&books, question))?;
        listening.join_all().await;
        Ok(())
    })
}

fn answer(books: &[Ledger], question: &str) -> Result<Value> {
    let truths: Vec<Truth> = books.iter().map(Ledger::truth).collect();
    match question {
        "truths" => Ok(serde_json::to_value(truths)?),
        "truth" => {
            let mut sum = Truth::default();
            truths.iter().for_each(|truth| sum.add(truth));
            Ok(serde_json::to_value(sum)?)
        }
        other => bail!("unknown question {other:?}"),
    }
}

async fn accept(listener: TcpListener, server: Server, ledger: Ledger) {
    loop {
        // A connection that was reset before it was accepted is not ours to count.
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let ledger = ledger.clone();
        tokio::spawn(async move {
            let _open = ledger.connection();
            // A broken connection is an ordinary end here; what it broke stands in the ledger as aborted.
            let _ = talk(stream, server, &ledger).await;
        });
    }
}

async fn talk(stream: TcpStream, server: Server, ledger: &Ledger) -> Result<()> {
    stream.set_nodelay(true)?;
    match server.protocol {
        Protocol::Raw => http1::talk(stream, ledger, server.idle).await,
        Protocol::Hyper1 => hyper::talk1(stream, ledger).await,
        Protocol::H2 => http2::talk(stream, ledger, server.streams).await,
        Protocol::Hyper2 => hyper::talk2(stream, ledger).await,
        Protocol::Echo => stream::echo(stream, ledger).await,
    }
}

fn listen(server: &Server) -> Result<TcpListener> {
    let address: SocketAddr = match server.bind {
        Bind::V4 => (Ipv4Addr::UNSPECIFIED, server.port).into(),
        Bind::V6 | Bind::Dual => (Ipv6Addr::UNSPECIFIED, server.port).into(),
    };
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(server.bind == Bind::V6)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into()).with_context(|| format!("{address}"))?;
    socket.listen(4096)?;
    Ok(TcpListener::from_std(socket.into())?)
}
