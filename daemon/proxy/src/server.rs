// SPDX-License-Identifier: Apache-2.0
//! Listeners: connections come in, are told apart by protocol, and served.
//!
//! Mechanism: one accepting task a listener, one task a connection. HTTP/2 with prior knowledge is known by its first bytes.
//! TLS is to come in `serve`: there a stream is split, and everything after takes any halves.
//! Invariants: at most `Limits::connections` are served at once; draining stops accepting, and connections end politely.
//! Depends on: door, http1, http2, origin.

use crate::door::Door;
use crate::origin::Arrival;
use crate::reader::Reader;
use crate::{http1, http2};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// What an HTTP/2 connection begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves a listener until its tasks are drained.
pub async fn listen(listener: TcpListener, door: Arc<Door>) {
    let places = Arc::new(Semaphore::new(door.limits.connections));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = door.tasks.draining() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let door_of_it = Arc::clone(&door);
                door.tasks.spawn("client connection", async move {
                    serve(stream, peer, &door_of_it).await;
                    drop(place);
                });
            }
            // Out of descriptors, or the client left before it was accepted.
            Err(fault) if fault.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, door: &Arc<Door>) {
    // Without it answers wait for each other; a socket that cannot is as good as any.
    drop(stream.set_nodelay(true));
    let arrival = Arrival::new(peer, stream.local_addr().ok(), door.inside.as_ref());
    let (reader, writer) = stream.into_split();
    let mut reader = Reader::new(reader);
    match timeout(door.limits.head_time, is_two(&mut reader)).await {
        Ok(Ok(true)) => http2::serve::connection(door, reader, writer, arrival).await,
        Ok(Ok(false)) => http1::serve::connection(door, reader, writer, arrival).await,
        Ok(Err(_)) | Err(_) => {}
    }
}

/// Whether the client speaks HTTP/2; what was read stays in the buffer.
async fn is_two<R: tokio::io::AsyncRead + Unpin>(reader: &mut Reader<R>) -> io::Result<bool> {
    loop {
        let length = reader.buffer.len().min(PREFACE.len());
        if reader.buffer.get(..length) != PREFACE.get(..length) {
            return Ok(false);
        }
        if length == PREFACE.len() {
            return Ok(true);
        }
        if !reader.fill().await? {
            return Ok(false);
        }
    }
}
