// SPDX-License-Identifier: Apache-2.0
//! The process that is there: it waits for the next one, and gives it its listeners.
//!
//! Invariants: one successor at a time; only this user or root gets anything; until a successor is ready, nothing changes here.
//! Depends on: channel, fault, life.

use super::channel::{Channel, FILES, Word};
use super::fault::Fault;
use life::Tasks;
use std::fs::Permissions;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::time::sleep;

/// For a word that needs no work.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a successor may take to open what it needs.
const PREPARES: Duration = Duration::from_secs(60);

/// Who waits for a successor.
pub(super) struct Giver {
    path: PathBuf,
    place: UnixListener,
    listeners: Vec<(String, TcpListener)>,
}

impl Giver {
    /// At `place`, which was taken over, or at a new socket at `path`.
    pub(super) fn open(
        path: PathBuf,
        place: Option<UnixListener>,
        listeners: Vec<(String, TcpListener)>,
    ) -> Result<Self, Fault> {
        if listeners.len() >= FILES {
            return Err(Fault::TooMany(FILES - 1));
        }
        let place = match place {
            Some(place) => place,
            None => bind(&path)?,
        };
        Ok(Self { path, place, listeners })
    }

    /// Waits in a task of its own; what is returned is told when a successor serves.
    pub(super) fn wait(self, tasks: &Tasks) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        let of_it = tasks.clone();
        tasks.spawn("hand-over", async move {
            tokio::select! {
                biased;
                () = self.give() => drop(tell.send(())),
                // This process ends without a successor: nobody shall look for it here.
                () = of_it.draining() => drop(std::fs::remove_file(&self.path)),
            }
        });
        told
    }

    /// Returns when a successor serves.
    async fn give(&self) {
        loop {
            let stream = match self.place.accept().await {
                Ok((stream, _)) => stream,
                // Out of descriptors, or the other one has gone already.
                Err(_) => {
                    sleep(Duration::from_millis(10)).await;
                    continue;
                }
            };
            if !is_trusted(&stream) {
                continue;
            }
            match self.hand(&mut Channel::new(stream)).await {
                Ok(()) => return,
                Err(fault) => eprintln!("handing over: {fault}; this process goes on"),
            }
        }
    }

    async fn hand(&self, channel: &mut Channel) -> Result<(), Fault> {
        let asked = match channel.hear(PATIENCE).await {
            Ok(Word::Take) => Ok(()),
            Ok(other) => Err(Fault::Malformed(format!("{other:?}"))),
            Err(fault) => Err(fault),
        };
        if let Err(fault) = asked {
            let why = fault.to_string();
            // The answer is a courtesy; the other one may have gone.
            drop(channel.say(&Word::Refused { why }, &[], PATIENCE).await);
            return Err(fault);
        }
        let names = self.listeners.iter().map(|(name, _)| name.clone()).collect();
        let listeners = self.listeners.iter().map(|(_, listener)| listener.as_fd());
        let files: Vec<_> = [self.place.as_fd()].into_iter().chain(listeners).collect();
        channel.say(&Word::Listeners { names }, &files, PATIENCE).await?;
        match channel.hear(PREPARES).await? {
            Word::Ready => {}
            other => return Err(Fault::Malformed(format!("{other:?}"))),
        }
        // It serves, whether it hears this or not.
        drop(channel.say(&Word::Leaving, &[], PATIENCE).await);
        Ok(())
    }
}

fn is_trusted(stream: &UnixStream) -> bool {
    let us = rustix::process::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|theirs| theirs.uid() == us || theirs.uid() == 0)
}

/// A new socket; one that nobody listens at any more is replaced.
fn bind(path: &Path) -> Result<UnixListener, Fault> {
    let at_fault = |fault| Fault::Place {
        path: path.to_owned(),
        fault,
    };
    match std::fs::symlink_metadata(path) {
        Ok(there) if there.file_type().is_socket() => std::fs::remove_file(path).map_err(at_fault)?,
        Ok(_) => return Err(Fault::NoSocket(path.to_owned())),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
        Err(fault) => return Err(at_fault(fault)),
    }
    let place = UnixListener::bind(path).map_err(at_fault)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(at_fault)?;
    Ok(place)
}
