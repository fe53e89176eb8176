// SPDX-License-Identifier: Apache-2.0
//! The processes between the runner and a container: `sluice pod-start …`.
//!
//! Problem: namespaces and cgroups are entered between fork and exec, where nothing safe can be written; and a container
//! must outlive a runner that is killed, together with its logs and its exit code.
//! Mechanism: the program starts itself again. The *holder* has the container's pipes, writes its log and records its
//! end; the *inner* process enters cgroup and namespaces ahead of time, waits for the plan, and becomes the container.
//! Both wait on sockets, so a runner that ends before it has a use for them takes them along.
//! Invariants: single-threaded; the holder never stops reading what the container writes.
//! Depends on: plan.

mod capability;
mod holder;
mod inner;
mod lines;
mod priority;
mod root;
mod user;
mod visit;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::runner::plan::COMMAND;

/// Plays the part that the arguments behind [`COMMAND`] name.
#[must_use]
pub fn main(arguments: &[OsString]) -> ExitCode {
    let done = match arguments {
        [part, rest @ ..] if part == "hold" => holder::run(rest),
        [part, rest @ ..] if part == "begin" => inner::run(rest),
        [part, rest @ ..] if part == "visit" => visit::run(rest),
        _ => Err("this is how sluice starts pods; there is nothing to call by hand".to_owned()),
    };
    match done {
        Ok(code) => code,
        Err(message) => {
            eprintln!("sluice {COMMAND}: {message}");
            ExitCode::from(126)
        }
    }
}
