// SPDX-License-Identifier: Apache-2.0
//! Writing results to stdout.
//!
//! Invariants: a reader that has enough (`| head`) is no error; a full disk is one.
//! Depends on: `failure`.

use std::io::{self, Write as _};

use crate::failure::{Failure, doing};

/// Writes lines.
pub(crate) fn print(lines: &[String]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = lines
        .iter()
        .try_for_each(|line| writeln!(out, "{line}"))
        .and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(doing("writing the output", "")),
    }
}
