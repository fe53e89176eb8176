// SPDX-License-Identifier: Apache-2.0
//! The child process that serves: listeners, the accept loop, the ledger behind the questions.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::{Ledger, http1, http2, hyper, stream};
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

    /// On another port.
    pub fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }
}

/// The job `serve`: answers the question `truth`.
pub fn serve(settings: Value) -> Result<()> {
    let server: Server = serde_json::from_value(settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = listen(&server)?;
        let ledger = Ledger::default();
        let book = ledger.clone();
        role::answer_questions(move |question| match question {
            "truth" => Ok(serde_json::to_value(book.truth())?),
            other => bail!("unknown question {other:?}"),
        })?;
        accept(listener, server, ledger).await
    })
}

async fn accept(listener: TcpListener, server: Server, ledger: Ledger) -> Result<()> {
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
