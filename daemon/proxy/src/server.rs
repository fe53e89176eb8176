// SPDX-License-Identifier: Apache-2.0
//! Listeners: connections come in, are told apart by protocol, and served.
//!
//! Mechanism: one accepting task a listener, one task a connection, on the core that has the fewest. With TLS the handshake says the protocol; else HTTP/2 with
//! prior knowledge is known by its first bytes. A stream is split in halves, and everything after takes any halves.
//! Invariants: at most `Limits::connections` are served at once, `all_connections` by all listeners; draining stops accepting, and connections end politely.
//! Depends on: cores, door, ending, http1, http2, origin, patient, room, tls.

use crate::cores::Spread;
use crate::door::{Door, Entry};
use crate::ending::{Ending, Writing};
use crate::origin::Arrival;
use crate::patient::Patient;
use crate::reader::{Reader, Watched};
use crate::room::Limit;
use crate::{http1, http2, tls};
use life::Work;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// What an HTTP/2 connection begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Clients that may wait to be accepted: as many as the kernel lets (`net.core.somaxconn`), as Go's listeners. Beyond it a
/// client's first packet is lost, and it tries again after a second.
const BACKLOG: i32 = 65_535;
/// So many clients at once are told of a listener that there is no place; others find the connection closed.
const TOLD: usize = 64;
/// Between two looks at idle connections, at least.
const SHORTEST: Duration = Duration::from_millis(10);
/// How long the last word of a TLS connection may take to be written.
const FAREWELL: Duration = Duration::from_millis(500);

/// Serves a listener until its tasks are drained.
#[must_use]
pub fn listen(listener: TcpListener, door: Arc<Door>) -> Work<()> {
    // Whoever opened it gave it the queue of the standard library, 128; one that cannot be changed is as good as any.
    drop(socket2::SockRef::from(&listener).listen(BACKLOG));
    Box::pin(accept(listener, door))
}

/// Connections to pods that nobody needs any more end in time, also when no request comes that would find them.
async fn close_idle(door: Arc<Door>) {
    let look = (door.limits.idle_to_pod_time / 4).max(SHORTEST);
    loop {
        tokio::select! {
            () = sleep(look) => {}
            () = door.tasks.draining() => return,
        }
        for revision in door.entry.revisions() {
            revision.close_idle(&door.limits);
        }
    }
}

async fn accept(listener: TcpListener, door: Arc<Door>) {
    if !matches!(door.entry, Entry::Nowhere) {
        let looking = close_idle(Arc::clone(&door));
        door.tasks.spawn("idle connections to pods", looking);
    }
    let places = Arc::new(Semaphore::new(door.limits.connections));
    let handshakes = Arc::new(Semaphore::new(door.limits.handshakes));
    let told = Arc::new(Semaphore::new(TOLD));
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
                let Some(share) = door.front.room.connection(door.limits.all_connections) else {
                    shed(stream, &door, &told);
                    continue;
                };
                let client = Accepted {
                    stream,
                    peer,
                    handshakes: Arc::clone(&handshakes),
                    door: Arc::clone(&door),
                };
                client.begin((place, share));
            }
            // Out of descriptors, or the client left before it was accepted.
            Err(fault) if fault.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

/// A client that has come.
struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
    handshakes: Arc<Semaphore>,
    door: Arc<Door>,
}

impl Accepted {
    /// Serves it on the core with the fewest connections, if there are cores; `held` until its end.
    fn begin(self, held: impl Send + 'static) {
        let door = Arc::clone(&self.door);
        let Some((runtime, core)) = door.front.cores.as_ref().and_then(Spread::least) else {
            return door.tasks.spawn("client connection", async move {
                self.serve().await;
                drop(held);
            });
        };
        // The socket is registered anew with the runtime that serves it; one that cannot be is closed.
        let Ok(socket) = self.stream.into_std() else {
            return;
        };
        let (peer, handshakes, door_of_it) = (self.peer, self.handshakes, self.door);
        door.tasks.spawn_on(runtime, "client connection", async move {
            if let Ok(stream) = TcpStream::from_std(socket) {
                let client = Self {
                    stream,
                    peer,
                    handshakes,
                    door: door_of_it,
                };
                client.serve().await;
            }
            drop((core, held));
        });
    }

    async fn serve(self) {
        let Self {
            stream,
            peer,
            handshakes,
            door,
        } = self;
        // Without it answers wait for each other; a socket that cannot is as good as any.
        drop(stream.set_nodelay(true));
        let local = stream.local_addr().ok();
        let arrival = Arrival::new(peer, local, door.inside.as_ref());
        match &door.front.tls {
            None => plain(stream, arrival, &door).await,
            Some(certificates) => {
                let (limits, room) = (&door.limits, &door.front.room);
                if let Some(secured) = Box::pin(tls::secure(stream, certificates, &handshakes, limits, room)).await {
                    Box::pin(encrypted(secured, arrival, &door)).await;
                }
            }
        }
    }
}

/// Tells a client that there is no place for it; one of TLS finds its connection closed.
fn shed(mut stream: TcpStream, door: &Door, told: &Arc<Semaphore>) {
    let Ok(place) = Arc::clone(told).try_acquire_owned() else {
        return;
    };
    if door.front.tls.is_some() {
        return;
    }
    let answer = http1::serve::no_room(&door.limits);
    door.tasks.spawn("client without a place", async move {
        let telling = async {
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await?;
            // An unread request would reset the connection, and lose the answer.
            while stream.read(&mut [0; 1024]).await? > 0 {}
            Ok::<(), io::Error>(())
        };
        drop(timeout(FAREWELL, telling).await);
        drop(place);
    });
}

async fn plain(stream: TcpStream, arrival: Arrival, door: &Arc<Door>) {
    let (reader, writer) = stream.into_split();
    let writer = Patient::new(Writing::from(writer), door.limits.write_time, &door.front.room);
    serve(Reader::new(reader), writer, arrival, door).await;
}

async fn encrypted(secured: tls::Secured, arrival: Arrival, door: &Arc<Door>) {
    let reader = Reader::new(secured.reader);
    let writer = Patient::new(secured.writer, door.limits.write_time, &door.front.room);
    match secured.is_two {
        true => Box::pin(http2::serve::connection(door, reader, writer, arrival)).await,
        false => serve(reader, writer, arrival, door).await,
    }
}

/// Serves a client whose protocol its first bytes tell.
async fn serve<R, W>(mut reader: Reader<R>, mut writer: W, arrival: Arrival, door: &Arc<Door>)
where
    R: Watched + Send + 'static,
    W: Ending + Send + 'static,
{
    match timeout(door.limits.head_time, is_two(&mut reader)).await {
        // Boxed: a connection of HTTP/1 is not as large as one of HTTP/2.
        Ok(Ok(true)) => Box::pin(http2::serve::connection(door, reader, writer, arrival)).await,
        Ok(Ok(false)) => {
            let reader = reader.within(door.front.room.heads(door.limits.all_heads));
            http1::serve::connection(door, reader, &mut writer, arrival).await;
            // A client of TLS is told that nothing was cut off (RFC 8446 6.1), if so; on a plain socket it costs nothing.
            drop(timeout(FAREWELL, writer.shutdown()).await);
        }
        Ok(Err(_)) => {}
        // It said nothing, or not enough to tell what it speaks.
        Err(_) => door.front.room.refused(Limit::HeadTime),
    }
}

/// Whether the client speaks HTTP/2; what was read stays in the buffer.
async fn is_two<R: AsyncRead + Unpin>(reader: &mut Reader<R>) -> io::Result<bool> {
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
