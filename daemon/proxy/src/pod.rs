// SPDX-License-Identifier: Apache-2.0
//! A pod: its address and the connections to it.
//!
//! Mechanism: idle HTTP/1.1 connections are a stack, the warmest on top; before one is used its socket is looked at, so that
//! a request is not written into an end; one that may be repeated goes by what the runtime has heard of the socket. HTTP/2 has one connection, made by who comes first.
//! Dialling: Knative's schedule (data-plane spec 3.3): only time-outs are tried again, each attempt more patient.
//! Invariants: at most `Limits::idle_to_pod` idle connections; only the one HTTP/2 connection is made behind a lock, so that
//! two who need it make one.
//! Depends on: limits, reader.

use crate::limits::Limits;
use crate::reader::Reader;
use bytes::Bytes;
use logic::limiter::PodId;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep, timeout};

/// Attempts after the first.
const RETRIES: u32 = 15;

/// Why there is no connection; nothing was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialFault {
    #[error("dial tcp {0}: connect: {1}")]
    Refused(SocketAddr, io::Error),
    #[error("dial tcp {0}: i/o timeout")]
    TimedOut(SocketAddr),
}

/// An HTTP/1.1 connection to a pod.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) reader: Reader<OwnedReadHalf>,
    pub(crate) writer: OwnedWriteHalf,
    /// It has carried a request before.
    pub(crate) is_reused: bool,
}

/// A pod of a revision.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) id: PodId,
    pub(crate) address: SocketAddr,
    /// The address as `Host`.
    pub(crate) authority: Box<str>,
    /// It takes requests, and did not refuse a connection just now.
    pub(crate) is_open: AtomicBool,
    idle: Mutex<Vec<(Stream, Instant)>>,
    two: tokio::sync::Mutex<Option<h2::client::SendRequest<Bytes>>>,
}

impl Pod {
    pub(crate) fn new(id: PodId, address: SocketAddr) -> Self {
        Self {
            id,
            address,
            authority: address.to_string().into(),
            is_open: AtomicBool::new(false),
            idle: Mutex::default(),
            two: tokio::sync::Mutex::default(),
        }
    }

    /// An idle connection that is still good, at this time.
    pub(crate) fn idle(&self, limits: &Limits, now: Instant, look: Look) -> Option<Stream> {
        loop {
            let (stream, since) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            let is_young = now.saturating_duration_since(since) < limits.idle_to_pod_time;
            if is_young && stream.is_quiet(look) {
                return Some(stream);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub(crate) fn keep(&self, mut stream: Stream, limits: &Limits) {
        stream.is_reused = true;
        stream.reader.rest();
        let now = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let old = idle
            .iter()
            .take_while(|(_, since)| now - *since > limits.idle_to_pod_time)
            .count();
        idle.drain(..old);
        if idle.len() < limits.idle_to_pod {
            idle.push((stream, now));
        }
    }

    /// A new connection.
    pub(crate) async fn dial(&self, retries: Retries) -> Result<Stream, DialFault> {
        let (reader, writer) = self.connect(retries).await?.into_split();
        Ok(Stream {
            reader: Reader::new(reader),
            writer,
            is_reused: false,
        })
    }

    async fn connect(&self, retries: Retries) -> Result<TcpStream, DialFault> {
        let most = match retries {
            Retries::Here => RETRIES,
            Retries::Elsewhere => 0,
        };
        let mut patience = Duration::from_millis(50);
        for attempt in 0..=most {
            if attempt > 0 {
                sleep(Duration::from_millis(fastrand::u64(30..60))).await;
                patience = patience.mul_f64(if attempt > 1 { 1.4 } else { 1.0 });
            }
            match timeout(
                patience.mul_f64(1.0 + fastrand::f64() / 10.0),
                TcpStream::connect(self.address),
            )
            .await
            {
                Ok(Ok(stream)) => {
                    // Without it answers wait for each other; a socket that cannot is as good as any.
                    drop(stream.set_nodelay(true));
                    return Ok(stream);
                }
                Ok(Err(fault)) if fault.kind() != io::ErrorKind::TimedOut => {
                    return Err(DialFault::Refused(self.address, fault));
                }
                Ok(Err(_)) | Err(_) => {}
            }
        }
        Err(DialFault::TimedOut(self.address))
    }

    /// A handle for one more HTTP/2 request.
    pub(crate) async fn two(
        &self,
        retries: Retries,
        limits: &Limits,
        tasks: &life::Tasks,
    ) -> Result<h2::client::SendRequest<Bytes>, TwoFault> {
        let mut shared = self.two.lock().await;
        if let Some(sender) = shared.as_ref()
            && let Ok(ready) = sender.clone().ready().await
        {
            return Ok(ready);
        }
        let stream = self.connect(retries).await?;
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(limits.stream_window)
            .initial_connection_window_size(limits.connection_window)
            .max_header_list_size(u32::try_from(limits.response_head).unwrap_or(u32::MAX))
            .enable_push(false)
            .handshake::<_, Bytes>(stream)
            .await?;
        // Its end shows in the requests on it.
        tasks.spawn("HTTP/2 connection to a pod", async move { drop(connection.await) });
        let ready = sender.ready().await?;
        *shared = Some(ready.clone());
        Ok(ready)
    }
}

/// Whether a dial that timed out is tried again on the same pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retries {
    /// There is no other.
    Here,
    /// The caller knows another.
    Elsewhere,
}

/// Why there is no HTTP/2 request to the pod.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TwoFault {
    #[error(transparent)]
    Dial(#[from] DialFault),
    #[error(transparent)]
    Protocol(#[from] h2::Error),
}

/// How closely an idle connection is looked at before it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// At what the runtime knows: costs nothing, and may miss an end of this very moment. For requests that may be repeated.
    Known,
    /// At the socket itself.
    Socket,
}

impl Look {
    /// At a connection for a request that may be repeated or not.
    pub(crate) fn before(may_repeat: bool) -> Self {
        match may_repeat {
            true => Self::Known,
            false => Self::Socket,
        }
    }
}

impl Stream {
    /// Neither the end nor unasked bytes wait in the socket.
    fn is_quiet(&self, look: Look) -> bool {
        let is_idle = |fault: io::Error| fault.kind() == io::ErrorKind::WouldBlock;
        match look {
            Look::Known => self.reader.io.try_read(&mut [0]).is_err_and(is_idle),
            Look::Socket => {
                let socket = socket2::SockRef::from(self.writer.as_ref());
                socket.peek(&mut [MaybeUninit::uninit()]).is_err_and(is_idle)
            }
        }
    }
}
