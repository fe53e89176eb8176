// SPDX-License-Identifier: Apache-2.0
//! The ground of steering: `sluice proxy` with its kernel part between clients and pods in namespaces of their own.
//!
//! Problem: what the daemon promises about direct and buffered clients must be said by who stands at both ends: the
//! application sees who comes and how many at once, the client whether a request failed.
//! Mechanism: the daemon runs in the router's namespace and is steered by its file alone; pods are ports of one application
//! process; clients keep their connections and call it a failure when one ends without a word.
//! Depends on: rig, role.

mod app;
mod client;
mod daemon;

pub use app::{App, Seen, job as app};
pub use client::{Clients, Load, Outcome, job as client};
pub use daemon::{Daemon, Status, TargetStatus, program};

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;

use crate::rig::{Cgroup, Field, POD_PORT, Rig};

/// Clients, the daemon, pods; taken down in this order.
pub struct Steered<'r> {
    /// Redirected clients.
    pub clients: Clients,
    /// The daemon.
    pub daemon: Daemon<'r>,
    /// The pods.
    pub app: App,
    _cgroups: [Cgroup; 2],
    /// Client, router, pod.
    pub field: Field,
}

/// A ClusterIP: nobody has it.
pub fn target(number: u8) -> SocketAddr {
    (Ipv4Addr::new(10, 96, 0, number), 80).into()
}

/// Where the gateway listens.
pub fn gateway() -> SocketAddr {
    (Ipv4Addr::new(10, 77, 1, 1), 8080).into()
}

/// What the application sees of a client that nobody stands before.
pub const CLIENT: &str = "10.77.1.2";
/// What it sees of the gateway.
pub const GATEWAY: &str = "10.77.2.1";

impl<'r> Steered<'r> {
    /// With so many pods, and what the file says beside `listen`, `status` and `kernel`.
    pub fn new(rig: &'r Rig, name: &str, pods: u16, file: &str) -> Result<Self> {
        let field = rig.field(name)?;
        let cgroups = [field.cgroup.child("clients")?, field.cgroup.child("pods")?];
        let app = App::start(rig, &field, cgroups[1].path(), pods)?;
        let daemon = Daemon::start(rig, &field, file)?;
        Ok(Self {
            clients: Clients::start(rig, &field, cgroups[0].path())?,
            daemon,
            app,
            _cgroups: cgroups,
            field,
        })
    }

    /// Pods `from` up to `to`, as the file names them.
    pub fn pods(&self, from: u16, to: u16) -> String {
        pods(&self.field, from, to)
    }
}

/// As [`Steered::pods`].
pub fn pods(field: &Field, from: u16, to: u16) -> String {
    let netns = field.pod.path();
    let one = |index| {
        format!(
            "{{address: '10.77.2.2:{}', netns: {}}}",
            POD_PORT + index,
            netns.display()
        )
    };
    let all: Vec<String> = (from..to).map(one).collect();
    format!("[{}]", all.join(", "))
}
