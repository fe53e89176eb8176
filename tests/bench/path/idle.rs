// SPDX-License-Identifier: Apache-2.0
//! What a client's connection weighs that is open and does nothing.
//!
//! Mechanism: thousands of keep-alive connections, each of which has had one request answered; the growth of the proxy's
//! resident memory by all of them. The kernel's socket memory is not the proxy's.
//! Depends on: ground, limit.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use ::tests::role::{self, Role};
use anyhow::{Context, Result, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::Value;

use super::ground::{Ground, HOST, Way};
use crate::limit::{Unit, at_most};
use crate::report::Report;
use crate::sample::Estimate;

const CONNECTIONS: usize = 10_000;

/// Measures and reports.
pub(super) fn measure(ground: &Ground<'_>, quick: bool, report: &mut Report) -> Result<()> {
    eprintln!("path: idle connections");
    let address = ground.address(Way::Buffered, false);
    let rounds = if quick { 1 } else { 3 };
    let mut weights = Vec::new();
    // The first connections warm what is kept for good.
    for connections in std::iter::once(100).chain(std::iter::repeat_n(CONNECTIONS, rounds)) {
        let before = ground.resident()?;
        let orders = (&address, connections);
        let client = Role::start(
            ground.site.rig,
            Some(ground.load.path()),
            Some(&ground.site.field.client),
            "bench-hold",
            orders,
        )?;
        let open: usize = client.ask("open")?;
        let after = ground.resident()?;
        if open != connections {
            bail!("{open} of {connections} connections were answered");
        }
        weights.push(after.saturating_sub(before) as f64 / connections as f64 / 1024.0);
    }
    // What a round leaves behind is used again by the next: only the first is the whole weight.
    let first = Estimate::of(weights.get(1..2).context("no round")?);
    at_most(report, "idle connection, resident", [8.0, 8.0], Unit("KiB", 1), first);
    let rows = weights.iter().skip(1).enumerate();
    report.table(
        "Path: idle connections",
        "Growth of the proxy's resident memory by 10 000 connections that have had one request answered each. Later rounds \
         use again what the first left behind.",
        &["round", "KiB a connection"],
        rows.map(|(round, weight)| vec![(round + 1).to_string(), format!("{weight:.2}")])
            .collect(),
    );
    Ok(())
}

/// The job `bench-hold`: opens connections, has one request answered on each, and keeps them.
pub(crate) fn hold(orders: Value) -> Result<()> {
    let (address, count): (SocketAddr, usize) = serde_json::from_value(orders)?;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("descriptors")?;
    let open: Result<Vec<TcpStream>> = (0..count).map(|_| answered(address)).collect();
    let open = open?;
    role::answer_questions(move |_| Ok(Value::from(open.len())))?;
    std::thread::park();
    Ok(())
}

fn answered(address: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(format!("GET /small HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes())?;
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer)?;
    if !answer[..length].starts_with(b"HTTP/1.1 200") {
        bail!("{}", String::from_utf8_lossy(&answer[..length]));
    }
    Ok(stream)
}
