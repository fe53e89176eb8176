// SPDX-License-Identifier: Apache-2.0
//! Lines that the programs of an object with diagnostics write (`cargo xtask build --log`).
//!
//! Problem: a fault inside a program shows nowhere; a released object must not pay for that.
//! Mechanism: aya-log's ring buffer, found through the loaded program: it is not pinned, and each loading has its own.
//! Invariants: only with feature `log`, which no released binary has.
//! Depends on: aya-log, `sys`.

use std::os::fd::{AsFd, BorrowedFd};

use aya_log::EbpfLogger;
use log::Log;

/// Why there are no lines.
#[derive(Debug, thiserror::Error)]
pub enum DiagnosticsError {
    /// The object has none.
    #[error("the BPF object has no diagnostics")]
    NotBuilt,
    /// The kernel refused.
    #[error("the lines of the programs cannot be read")]
    Kernel(#[source] Box<aya_log::Error>),
}

impl DiagnosticsError {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NotBuilt => "build one with `cargo xtask build --log`, and name it with --object",
            Self::Kernel(_) => "run as root or with CAP_SYS_ADMIN",
        }
    }
}

/// The lines. Its descriptor is readable when there are some.
pub struct Diagnostics<L> {
    logger: EbpfLogger<L>,
}

impl<L> std::fmt::Debug for Diagnostics<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Diagnostics").finish_non_exhaustive()
    }
}

impl<L: Log> Diagnostics<L> {
    pub(crate) fn of(program: u32, logger: L) -> Result<Self, DiagnosticsError> {
        match EbpfLogger::init_from_id_with_logger(program, logger) {
            Ok(logger) => Ok(Self { logger }),
            Err(aya_log::Error::MapNotFound) => Err(DiagnosticsError::NotBuilt),
            Err(error) => Err(DiagnosticsError::Kernel(Box::new(error))),
        }
    }

    /// Hands over what was written since the last time.
    pub fn forward(&mut self) {
        self.logger.flush();
    }
}

impl<L> AsFd for Diagnostics<L> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.logger.as_fd()
    }
}
