// SPDX-License-Identifier: Apache-2.0
//! `sluice sample` in a cgroup.
//!
//! Mechanism: a shell enters the cgroup and becomes the server, so that its sockets are of that cgroup.
//! Invariants: the process ends with its owner.
//! Depends on: process, cgroup, the daemon.

use super::cgroup::Cgroup;
use crate::process::Running;
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

const SCRIPT: &str = r#"echo $$ > "$1/cgroup.procs" && exec "$0" sample --port 0"#;

/// A server that runs.
pub(super) struct Server {
    _process: Running,
    port: u16,
}

impl Server {
    /// Starts it in a cgroup and waits until it listens.
    pub(super) fn start(sluice: &Path, cgroup: &Cgroup) -> Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT]).arg(sluice).arg(cgroup.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut process = Running(child.context("starting the server")?);
        let output = process.0.stdout.take().context("invariant: standard output is piped")?;
        let mut line = String::new();
        BufReader::new(output)
            .read_line(&mut line)
            .context("reading the server's address")?;
        let port = line.trim_end().rsplit(':').next().and_then(|port| port.parse().ok());
        Ok(Self {
            _process: process,
            port: port.with_context(|| format!("the server says {line:?}, not where it listens"))?,
        })
    }

    /// Where it listens.
    pub(super) fn port(&self) -> u16 {
        self.port
    }
}
