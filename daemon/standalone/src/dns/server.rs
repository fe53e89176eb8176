// SPDX-License-Identifier: Apache-2.0
//! The sockets: UDP and TCP on one address.
//!
//! Invariants: so many queries and connections at a time, and what is beyond is dropped, as UDP may; when the future of
//! [`Server::serve`] is dropped, all of them end.
//! Depends on: exchange.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::Name;
use life::Work;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Settings;
use super::exchange::{self, Sources};
use super::forward::Way;
use crate::state::State;

/// Queries over UDP that wait for a resolver.
const QUERIES: usize = 512;
/// Connections.
const CONNECTIONS: usize = 128;
/// How long a connection may be quiet.
const QUIET: Duration = Duration::from_secs(10);
/// The longest query over UDP.
const LONGEST: usize = 4_096;
/// So often another port is tried when the one that UDP has got is taken for TCP.
const PORTS: usize = 16;

/// A server that has its address.
#[derive(Debug)]
pub struct Server {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Server {
    /// Binds an address; with port 0, any port that is free for both.
    ///
    /// # Errors
    /// If the address cannot be had.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..PORTS {
            let udp = UdpSocket::bind(address).await?;
            match TcpListener::bind(udp.local_addr()?).await {
                Ok(tcp) => return Ok(Self { udp, tcp }),
                Err(error) if address.port() != 0 => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Where it is.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }

    /// Answers until it is dropped.
    ///
    /// # Errors
    /// If the domain is no name, or a socket fails for good.
    #[must_use]
    pub fn serve(self, state: Arc<State>, settings: Settings) -> Work<io::Result<Infallible>> {
        Box::pin(self.answer(state, settings))
    }

    async fn answer(self, state: Arc<State>, settings: Settings) -> io::Result<Infallible> {
        let mut domain = Name::from_ascii(settings.domain.trim_matches('.'))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        domain.set_fqdn(true);
        let sources = Arc::new(Sources {
            state,
            domain: domain.to_lowercase(),
            upstreams: settings.upstreams,
        });
        let udp = Arc::new(self.udp);
        tokio::select! {
            ended = datagrams(udp, Arc::clone(&sources)) => ended,
            ended = streams(self.tcp, sources) => ended,
        }
    }
}

async fn datagrams(socket: Arc<UdpSocket>, sources: Arc<Sources>) -> io::Result<Infallible> {
    let mut waiting = JoinSet::new();
    let mut buffer = vec![0; LONGEST];
    loop {
        while waiting.try_join_next().is_some() {}
        let Ok((length, sender)) = socket.recv_from(&mut buffer).await else {
            // A sender that is gone; the socket goes on.
            tokio::task::yield_now().await;
            continue;
        };
        if waiting.len() >= QUERIES {
            continue;
        }
        let packet = buffer.get(..length).unwrap_or_default().to_vec();
        let (socket, sources) = (Arc::clone(&socket), Arc::clone(&sources));
        waiting.spawn(async move {
            if let Some(answer) = exchange::answer(&sources, &packet, Way::Udp).await {
                // Who has gone needs no answer.
                let _sent = socket.send_to(&answer, sender).await;
            }
        });
    }
}

async fn streams(listener: TcpListener, sources: Arc<Sources>) -> io::Result<Infallible> {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Too many files are open, or the peer has gone; others must not wait.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let sources = Arc::clone(&sources);
        connections.spawn(async move {
            // The end of a connection is the client's matter.
            let _ended = converse(stream, &sources).await;
        });
    }
}

async fn converse(mut stream: TcpStream, sources: &Sources) -> io::Result<()> {
    loop {
        let length = timeout(QUIET, stream.read_u16()).await??;
        let mut packet = vec![0; usize::from(length)];
        timeout(QUIET, stream.read_exact(&mut packet)).await??;
        let Some(answer) = exchange::answer(sources, &packet, Way::Tcp).await else {
            return Ok(());
        };
        let length = u16::try_from(answer.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let framed = [&length.to_be_bytes(), answer.as_slice()].concat();
        timeout(QUIET, stream.write_all(&framed)).await??;
    }
}
