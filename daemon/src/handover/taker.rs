// SPDX-License-Identifier: Apache-2.0
//! The process that comes: it asks the one that is there for its listeners, and relieves it.
//!
//! Invariants: a predecessor that dies before it gave anything counts as none; one that dies later is not needed.
//! Depends on: channel, fault.

use super::channel::{Channel, Word};
use super::fault::Fault;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::Path;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

/// For each word of the predecessor.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was taken over.
pub(super) struct Taken {
    channel: Channel,
    place: StdUnixListener,
    listeners: Vec<(String, TcpListener)>,
}

/// Takes what the process at `path` has; none: there is no such process.
pub(super) async fn take(path: &Path) -> Result<Option<Taken>, Fault> {
    let stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound || is_gone(&fault) => return Ok(None),
        Err(fault) => {
            let path = path.to_owned();
            return Err(Fault::Place { path, fault });
        }
    };
    let mut channel = Channel::new(stream);
    let names = match ask(&mut channel).await {
        Ok(names) => names,
        Err(Fault::Gone) => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let mut files = channel.take_files().into_iter();
    let missing = || Fault::Malformed("files are missing".to_owned());
    let place: OwnedFd = files.next().ok_or_else(missing)?;
    if files.len() != names.len() {
        return Err(missing());
    }
    Ok(Some(Taken {
        channel,
        place: place.into(),
        listeners: names.into_iter().zip(files.map(TcpListener::from)).collect(),
    }))
}

async fn ask(channel: &mut Channel) -> Result<Vec<String>, Fault> {
    match channel.say(&Word::Take, &[], PATIENCE).await {
        Err(Fault::Io(fault)) if is_gone(&fault) => return Err(Fault::Gone),
        said => said?,
    }
    match channel.hear(PATIENCE).await? {
        Word::Listeners { names } => Ok(names),
        other => Err(Fault::Malformed(format!("{other:?}"))),
    }
}

/// Nobody listens any more, or the other one died: a connection in the queue of its socket is reset.
fn is_gone(fault: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset};
    matches!(fault.kind(), BrokenPipe | ConnectionRefused | ConnectionReset)
}

impl Taken {
    /// The listener of that name, once.
    pub(super) fn listener(&mut self, name: &str) -> Option<TcpListener> {
        let index = self.listeners.iter().position(|(other, _)| other == name)?;
        Some(self.listeners.remove(index).1)
    }

    /// Tells the predecessor to go; the socket where the next one will ask.
    pub(super) async fn relieve(mut self) -> Result<UnixListener, Fault> {
        // A predecessor that has died needs no word, and one that hangs is not waited for: this process serves.
        if let Err(fault) = self.channel.say(&Word::Ready, &[], PATIENCE).await {
            eprintln!("taking over: {fault}");
        } else {
            match self.channel.hear(PATIENCE).await {
                Ok(Word::Leaving) => {}
                Ok(other) => eprintln!("taking over: the other process says {other:?}"),
                Err(fault) => eprintln!("taking over: {fault}"),
            }
        }
        self.place.set_nonblocking(true)?;
        Ok(UnixListener::from_std(self.place)?)
    }
}
