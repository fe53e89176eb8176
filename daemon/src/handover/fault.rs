// SPDX-License-Identifier: Apache-2.0
//! How a hand-over goes wrong.
//!
//! Depends on: nothing.

use std::io;
use std::path::PathBuf;

/// Why listeners do not change hands.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("--handover {}: {fault}", path.display())]
    Place { path: PathBuf, fault: io::Error },
    #[error("--handover {}: there is something that is no socket", .0.display())]
    NoSocket(PathBuf),
    #[error("the running process does not hand over: {0}")]
    Refused(String),
    #[error("version {theirs} of the hand-over was asked for, and this process speaks version {ours}")]
    Version { theirs: u64, ours: u64 },
    #[error("the other process says what is no hand-over: {0:?}")]
    Malformed(String),
    #[error("the other process was silent for {0} s")]
    Silent(u64),
    #[error("the other process went away")]
    Gone,
    #[error("more than {0} listeners cannot be handed over")]
    TooMany(usize),
    #[error("talking to the other process: {0}")]
    Io(#[from] io::Error),
}

impl Fault {
    /// What to do.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::Place { .. } | Self::NoSocket(_) => "choose a path in a folder of its own that this user may write",
            Self::TooMany(_) => "leave --handover away",
            _ => "end the running process first (SIGTERM), then start this one",
        }
    }
}
