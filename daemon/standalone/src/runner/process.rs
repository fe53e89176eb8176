// SPDX-License-Identifier: Apache-2.0
//! Processes by descriptor: their end can be awaited, and their number means nobody else.
//!
//! Depends on: rustix, tokio.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;

/// A process that is waited for.
#[derive(Debug)]
pub(super) struct Process {
    descriptor: AsyncFd<OwnedFd>,
}

impl Process {
    /// The process with a number.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn of(pid: i32) -> io::Result<Self> {
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::NotFound)?;
        let descriptor = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, because some types hand out changing descriptors; an OwnedFd does not"
        )]
        let descriptor = AsyncFd::new(descriptor)?;
        Ok(Self { descriptor })
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) {
        // A descriptor of a process becomes readable once, when it ends.
        let _ = self.descriptor.readable().await;
    }
}
