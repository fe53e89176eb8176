// SPDX-License-Identifier: Apache-2.0
//! The handshake of a connection.
//!
//! Mechanism: what costs computing, the answer to a client's first message, needs one of `Limits::handshakes` places; what
//! the client says is waited for without one, so that silent clients cost only their socket.
//! Invariants: all of it takes at most `Limits::handshake_time`; nobody else is waited for with a place.
//! Depends on: certificates, halves, limits, room.

use super::certificates::Certificates;
use super::halves::{Reading, Writing, split};
use crate::limits::Limits;
use crate::room::{Limit, Room};
use rustls::server::Acceptor;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// What a client gets that speaks plain HTTP here.
const PLAIN: &[u8] = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
    this port speaks HTTPS\n";

/// How long a refused client may take to read that.
const LINGER: Duration = Duration::from_millis(500);

/// A connection after its handshake.
pub(crate) struct Secured {
    pub(crate) reader: Reading,
    pub(crate) writer: Writing,
    /// Client and we agreed on HTTP/2 (ALPN).
    pub(crate) is_two: bool,
}

/// Shakes hands with a client; `None`: that came to nothing, and the connection is over.
pub(crate) async fn secure(
    stream: TcpStream,
    certificates: &Certificates,
    places: &Semaphore,
    limits: &Limits,
    room: &Room,
) -> Option<Secured> {
    let Ok(shaken) = timeout(limits.handshake_time, shake(stream, certificates, places)).await else {
        room.refused(Limit::HandshakeTime);
        return None;
    };
    let stream = shaken.ok()?;
    let is_two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let (reader, writer) = split(stream);
    Some(Secured { reader, writer, is_two })
}

async fn shake(stream: TcpStream, certificates: &Certificates, places: &Semaphore) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first.first().is_some_and(u8::is_ascii_uppercase) {
        refuse_plain(stream).await?;
        return Err(io::ErrorKind::InvalidData.into());
    }
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let answered = {
        let _place = places.acquire().await.map_err(io::Error::other)?;
        // Here the keys are agreed on and the answer is signed.
        start.into_stream(certificates.config())
    };
    answered.await
}

/// Answers plain HTTP; what was sent is read first, as an unread rest would reset the connection and lose the answer.
async fn refuse_plain(mut stream: TcpStream) -> io::Result<()> {
    let mut unread = [0; 4096];
    let _read = stream.read(&mut unread).await?;
    stream.write_all(PLAIN).await?;
    stream.shutdown().await?;
    let _rest = timeout(LINGER, stream.read(&mut unread)).await;
    Ok(())
}
