// SPDX-License-Identifier: Apache-2.0
//! One process takes the listeners of another: a restart that refuses nobody.
//!
//! Problem: between the end of one process and the beginning of the next, clients find no listener.
//! Mechanism: the running process waits at a socket of the file system; the next one asks there, gets the listeners
//! themselves (SCM_RIGHTS), opens what else it needs, serves, and says `ready`; only then the old one stops accepting and
//! finishes what it has. The socket itself goes along, so that the one after finds it.
//! Invariants: a listener has one queue, whoever accepts from it: none of its clients is lost. A successor that fails before
//! `ready` changes nothing; a predecessor that dies after it gave its listeners away is not needed any more.
//! Depends on: channel, fault, giver, taker, life.

mod channel;
mod fault;
mod giver;
mod taker;

pub(crate) use fault::Fault;

use giver::Giver;
use life::Tasks;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use taker::Taken;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// How long a process that was killed may take to let its listeners go.
const DIES: Duration = Duration::from_secs(2);

/// The listeners of this process: taken over, or its own; to be given away in their turn.
pub(crate) struct Sockets {
    /// Where processes meet; none: nothing is taken over or given away.
    path: Option<PathBuf>,
    taken: Option<Taken>,
    kept: Vec<(String, std::net::TcpListener)>,
}

/// Tells when another process has taken over.
pub(crate) struct Successor(Option<oneshot::Receiver<()>>);

impl Sockets {
    /// Takes over what the process at `path` has, if there is one.
    pub(crate) async fn arrive(path: Option<&Path>) -> Result<Self, Fault> {
        let taken = match path {
            Some(path) => taker::take(path).await?,
            None => None,
        };
        Ok(Self {
            path: path.map(Path::to_owned),
            taken,
            kept: Vec::new(),
        })
    }

    /// The listener of that purpose and address: the one taken over, else a new one.
    pub(crate) async fn listen(&mut self, purpose: &str, address: SocketAddr) -> io::Result<TcpListener> {
        let name = format!("{purpose} {address}");
        let taken = self.taken.as_mut().and_then(|taken| taken.listener(&name));
        let listener = match taken {
            Some(listener) => listener,
            None => self.bind(address).await?.into_std()?,
        };
        listener.set_nonblocking(true)?;
        if self.path.is_some() {
            self.kept.push((name, listener.try_clone()?));
        }
        TcpListener::from_std(listener)
    }

    /// A predecessor that was killed is gone from its path a moment before its listeners are.
    async fn bind(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let end = Instant::now() + DIES;
        loop {
            match TcpListener::bind(address).await {
                Err(fault)
                    if fault.kind() == io::ErrorKind::AddrInUse
                        && self.path.is_some()
                        && self.taken.is_none()
                        && Instant::now() < end =>
                {
                    sleep(Duration::from_millis(10)).await;
                }
                bound => return bound,
            }
        }
    }

    /// This process serves: its predecessor may go, its successor may come.
    pub(crate) async fn ready(self, tasks: &Tasks) -> Result<Successor, Fault> {
        let Some(path) = self.path else {
            return Ok(Successor(None));
        };
        let place = match self.taken {
            Some(taken) => Some(taken.relieve().await?),
            None => None,
        };
        // A predecessor that was ended meanwhile has taken the name away.
        let place = place.filter(|_| path.exists());
        let giver = Giver::open(path, place, self.kept)?;
        Ok(Successor(Some(giver.wait(tasks))))
    }
}

impl Successor {
    /// Returns when another process serves in the place of this one; never if none can come.
    pub(crate) async fn came(&mut self) {
        if let Some(told) = &mut self.0
            && told.await.is_ok()
        {
            return;
        }
        self.0 = None;
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests;
