// SPDX-License-Identifier: Apache-2.0
//! Which CPU does what: the server the last one, the load tool the first.
//!
//! Depends on: nothing.

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// Binds the calling thread, and those it starts, to a CPU.
pub(crate) fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set).with_context(|| format!("CPU {cpu}"))
}

/// The server's CPU: the last one.
pub(crate) fn server_cpu() -> usize {
    cpus() - 1
}

/// How many CPUs there are.
pub(crate) fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
