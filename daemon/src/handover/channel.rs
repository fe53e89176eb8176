// SPDX-License-Identifier: Apache-2.0
//! What two processes say to each other: a line of JSON a word, open files beside it.
//!
//! Mechanism: `{"handover":1,"say":"take"}`. The files of a word travel with its first byte.
//! Invariants: a line is bounded; a refusal is understood in every version, all else only in the own one; received files are
//! closed on exec.
//! Depends on: fault, rustix (SCM_RIGHTS), serde.

use super::fault::Fault;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Of what is said here; another one is another language.
pub(super) const VERSION: u64 = 1;
/// Files that Linux lets travel at once.
pub(super) const FILES: usize = 253;
/// Bytes of a line.
const LINE: usize = 64 << 10;

/// A word.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub(super) enum Word {
    /// The new one: give me what you have.
    Take,
    /// The old one: here they are, the socket of the hand-over first, the listeners of these names after it.
    Listeners { names: Vec<String> },
    /// The new one: I serve.
    Ready,
    /// The old one: I accept nothing more.
    Leaving,
    /// The old one: nothing has changed, and here is why.
    Refused { why: String },
}

#[derive(Serialize)]
struct Line<'a> {
    handover: u64,
    #[serde(flatten)]
    word: &'a Word,
}

/// The way to the other process.
pub(super) struct Channel {
    stream: UnixStream,
    read: Vec<u8>,
    files: Vec<OwnedFd>,
}

impl Channel {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            read: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Says a word within that time.
    pub(super) async fn say(&self, word: &Word, files: &[BorrowedFd<'_>], patience: Duration) -> Result<(), Fault> {
        let mut line = serde_json::to_vec(&Line {
            handover: VERSION,
            word,
        })
        .map_err(io::Error::from)?;
        line.push(b'\n');
        let written = timeout(patience, self.write(&line, files)).await;
        Ok(written.map_err(|_| Fault::Silent(patience.as_secs()))??)
    }

    async fn write(&self, line: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
        let (mut rest, mut files) = (line, files);
        while !rest.is_empty() {
            self.stream.writable().await?;
            match self
                .stream
                .try_io(Interest::WRITABLE, || send(&self.stream, rest, files))
            {
                Ok(sent) => {
                    rest = rest.get(sent..).unwrap_or_default();
                    files = &[];
                }
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    /// The next word, within that time.
    pub(super) async fn hear(&mut self, patience: Duration) -> Result<Word, Fault> {
        let line = timeout(patience, self.line())
            .await
            .map_err(|_| Fault::Silent(patience.as_secs()))??;
        parse(&line)
    }

    /// The files that came with the words so far.
    pub(super) fn take_files(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.files)
    }

    async fn line(&mut self) -> Result<Vec<u8>, Fault> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let rest = self.read.split_off(end + 1);
                return Ok(std::mem::replace(&mut self.read, rest));
            }
            if self.read.len() > LINE {
                return Err(Fault::Malformed("a line without end".to_owned()));
            }
            self.stream.readable().await?;
            let (stream, read, files) = (&self.stream, &mut self.read, &mut self.files);
            match stream.try_io(Interest::READABLE, || receive(stream, read, files)) {
                Ok(0) => return Err(Fault::Gone),
                Ok(_) => {}
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
                Err(fault) if fault.kind() == io::ErrorKind::ConnectionReset => return Err(Fault::Gone),
                Err(fault) => return Err(fault.into()),
            }
        }
    }
}

fn send(stream: &UnixStream, bytes: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let message = SendAncillaryMessage::ScmRights(files);
    let mut space = vec![MaybeUninit::uninit(); message.size()];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !beside.push(message) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(sendmsg(
        stream,
        &[IoSlice::new(bytes)],
        &mut beside,
        SendFlags::NOSIGNAL,
    )?)
}

fn receive(stream: &UnixStream, into: &mut Vec<u8>, files: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 4096];
    let received = recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut beside,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = message {
            files.extend(more);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other(
            "files were lost on the way (is the limit of open files too low?)",
        ));
    }
    into.extend_from_slice(bytes.get(..received.bytes).unwrap_or_default());
    Ok(received.bytes)
}

fn parse(line: &[u8]) -> Result<Word, Fault> {
    let malformed = || Fault::Malformed(String::from_utf8_lossy(line.get(..200).unwrap_or(line)).into_owned());
    let value: Value = serde_json::from_slice(line).map_err(|_| malformed())?;
    let theirs = value.get("handover").and_then(Value::as_u64).ok_or_else(malformed)?;
    if value.get("say").and_then(Value::as_str) == Some("refused") {
        let why = value.get("why").and_then(Value::as_str).unwrap_or_default();
        return Err(Fault::Refused(why.to_owned()));
    }
    if theirs != VERSION {
        return Err(Fault::Version { theirs, ours: VERSION });
    }
    serde_json::from_value(value).map_err(|_| malformed())
}
