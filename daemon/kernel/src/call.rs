// SPDX-License-Identifier: Apache-2.0
//! A call that the kernel refused, with what it was for.
//!
//! Depends on: nothing.

use std::io;

/// The kernel refused a call on something that is loaded and pinned.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct CallError {
    doing: &'static str,
    source: io::Error,
}

impl CallError {
    /// What was done, for `map_err`.
    pub(crate) fn when(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { doing, source }
    }

    /// What the kernel said.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::PermissionDenied => "run as root or with CAP_BPF and CAP_NET_ADMIN",
            io::ErrorKind::NotFound => "somebody removed pins meanwhile: run `sluice cleanup` and start again",
            io::ErrorKind::Unsupported => "this kernel cannot do it: see `sluice check`",
            _ => "run `sluice check` and report its output with this message",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_follows_what_the_kernel_said() {
        let error = |code| CallError::when("doing something")(io::Error::from_raw_os_error(code));
        assert!(error(libc::EPERM).advice().contains("CAP_BPF"));
        assert!(error(libc::ENOENT).advice().contains("sluice cleanup"));
        assert_eq!(error(libc::ENOENT).to_string(), "doing something");
    }
}
