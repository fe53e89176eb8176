// SPDX-License-Identifier: Apache-2.0
//! Queries to the resolvers of the host.
//!
//! Mechanism: each query has a socket of its own, connected to the resolver, so that nobody else's answer arrives; an
//! answer must have the query's number and question.
//! Depends on: hickory (messages).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, Query};
use hickory_proto::rr::{Name, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long one resolver is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer over UDP.
const LONGEST: usize = 4_096;

/// How a query came, and goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Udp,
    Tcp,
}

/// The answer of the first resolver that gives one, as it came.
pub(super) async fn relay(upstreams: &[SocketAddr], packet: &[u8], query: &Message, way: Way) -> Option<Vec<u8>> {
    for upstream in upstreams {
        let asked = timeout(PATIENCE, ask(*upstream, packet, query, way)).await;
        if let Ok(Ok(answer)) = asked {
            return Some(answer);
        }
    }
    None
}

/// The records of a name.
pub(super) async fn resolve(upstreams: &[SocketAddr], name: &Name, wanted: RecordType) -> Vec<Record> {
    let mut query = Message::query();
    query.add_query(Query::query(name.clone(), wanted));
    query.metadata.recursion_desired = true;
    let Ok(packet) = query.to_vec() else {
        return Vec::new();
    };
    let answer = relay(upstreams, &packet, &query, Way::Udp).await;
    let answer = answer.and_then(|bytes| Message::from_vec(&bytes).ok());
    answer.map(|answer| answer.answers).unwrap_or_default()
}

async fn ask(upstream: SocketAddr, packet: &[u8], query: &Message, way: Way) -> io::Result<Vec<u8>> {
    match way {
        Way::Udp => by_udp(upstream, packet, query).await,
        Way::Tcp => by_tcp(upstream, packet).await,
    }
}

async fn by_udp(upstream: SocketAddr, packet: &[u8], query: &Message) -> io::Result<Vec<u8>> {
    let any = match upstream {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(upstream).await?;
    socket.send(packet).await?;
    let mut buffer = vec![0; LONGEST];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let bytes = buffer.get(..length).unwrap_or_default();
        if Message::from_vec(bytes).is_ok_and(|answer| is_to(query, &answer)) {
            return Ok(bytes.to_vec());
        }
    }
}

fn is_to(query: &Message, answer: &Message) -> bool {
    let is_answer = answer.metadata.message_type == MessageType::Response;
    is_answer && answer.metadata.id == query.metadata.id && answer.queries == query.queries
}

async fn by_tcp(upstream: SocketAddr, packet: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(upstream).await?;
    let length = u16::try_from(packet.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    stream.write_all(&[&length.to_be_bytes(), packet].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}
