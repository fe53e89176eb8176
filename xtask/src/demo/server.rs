// SPDX-License-Identifier: Apache-2.0
//! A small HTTP/1.1 server in a process of its own.
//!
//! Mechanism: this program again, told to serve; it waits for a line before it listens, so that it is in its cgroup by
//! then, and prints its port.
//! Invariants: the process ends with its owner.
//! Depends on: process, cgroup.

use super::cgroup::Cgroup;
use crate::process::Running;
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// How long an answer takes: it is what makes requests be in flight.
const WORK: Duration = Duration::from_millis(5);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n\r\nhello\n";

/// A server that runs.
pub(super) struct Server {
    _process: Running,
    port: u16,
}

impl Server {
    /// Starts it in a cgroup and waits until it listens.
    pub(super) fn start(cgroup: &Cgroup) -> Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let mut command = Command::new(program);
        let child = command
            .arg("demo-server")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut process = Running(child.context("starting the server")?);
        cgroup.take(process.0.id())?;
        let mut input = process.0.stdin.take().context("invariant: standard input is piped")?;
        input.write_all(b"listen\n").context("telling the server to listen")?;
        let output = process.0.stdout.take().context("invariant: standard output is piped")?;
        let mut port = String::new();
        BufReader::new(output)
            .read_line(&mut port)
            .context("reading the server's port")?;
        let port = port.trim().parse().context("the server did not say its port")?;
        Ok(Self {
            _process: process,
            port,
        })
    }

    /// Where it listens.
    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

/// The server's own process: serves until it is killed.
pub(crate) fn serve() -> Result<()> {
    std::io::stdin()
        .read_line(&mut String::new())
        .context("waiting to be told to listen")?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("listening")?;
    println!("{}", listener.local_addr().context("asking for the port")?.port());
    for stream in listener.incoming() {
        let stream = stream.context("accepting")?;
        thread::spawn(move || answer_all(stream));
    }
    Ok(())
}

/// Answers every request of one connection; requests have no body here.
fn answer_all(mut stream: TcpStream) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    loop {
        while !lines.next()?.ok()?.is_empty() {}
        thread::sleep(WORK);
        stream.write_all(ANSWER).ok()?;
    }
}
