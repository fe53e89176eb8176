// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask demo`: a server under load, counted live.
//!
//! Mechanism: a small HTTP server runs in a cgroup of its own (`server`, `cgroup`), clients of this process keep it busy
//! (`load`), and `sluice top` shows for some seconds what the kernel counted.
//! Invariants: whatever happens, the server ends, the cgroup goes, and what was attached is given back.
//! Depends on: setup, object; root.

mod cgroup;
mod load;
mod server;

pub(crate) use server::serve;

use crate::object::{self, Variant};
use crate::place;
use crate::process;
use crate::setup::{self, Purpose};
use anyhow::{Result, bail};
use cgroup::Cgroup;
use load::Load;
use server::Server;
use std::path::{Path, PathBuf};
use std::process::Command;

const SECONDS: &str = "10";
const CONNECTIONS: usize = 8;

/// Builds what is needed and shows it.
pub(crate) fn demo() -> Result<()> {
    if !place::is_root() {
        bail!("the demo loads programs into the kernel, which needs root: sudo -E cargo xtask demo");
    }
    setup::need(Purpose::Build)?;
    object::build(Variant::Plain)?;
    object::daemon(true)?;
    let cgroup = Cgroup::create()?;
    let server = Server::start(&cgroup)?;
    let _load = Load::start(server.port(), CONNECTIONS);
    eprintln!(
        "demo: {CONNECTIONS} clients keep a server on port {} busy; for {SECONDS} s:",
        server.port()
    );
    let shown = show(&cgroup, server.port());
    let cleaned = process::run(sluice().arg("cleanup").arg("--pin-dir").arg(pins()));
    shown.and(cleaned)
}

/// `sluice top` for some seconds; an interrupt is how a person ends it.
fn show(cgroup: &Cgroup, port: u16) -> Result<()> {
    let sluice = sluice();
    let mut top = Command::new("timeout");
    top.args([
        "--foreground",
        "--preserve-status",
        "--signal=INT",
        "--kill-after=5",
        SECONDS,
    ])
    .arg(sluice.get_program());
    top.arg("top")
        .arg("--cgroup")
        .arg(cgroup.path())
        .args(["--port", &port.to_string()])
        .args(["-o", "table"]);
    process::run(top.arg("--pin-dir").arg(pins()))
}

fn sluice() -> Command {
    Command::new(place::target().join("release/sluice"))
}

/// Not where a real daemon on this machine has its own.
fn pins() -> PathBuf {
    Path::new("/sys/fs/bpf").join(format!("sluice-demo-{}", std::process::id()))
}
