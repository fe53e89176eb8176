// SPDX-License-Identifier: Apache-2.0
//! The ground of redirection: clients that say how they connect, listeners that say who they are.
//!
//! Problem: where a connection went must be said by whoever accepted it, and when its connect() began by whoever called
//! it.
//! Mechanism: a [`Crossing`] is a field whose cgroup has the connect hooks; a [`Dialler`] is a child inside it, every
//! [`Listener`] answers with its own name. Targets are addresses that the router really has ("itself"), so that a
//! connection left alone is as visible as one that was moved.
//! Invariants: names, not addresses, are compared; times are CLOCK_MONOTONIC in all processes.
//! Depends on: rig, role, counter.

mod dial;
mod hear;
mod steer;
mod verdict;

pub use dial::{Attempt, Dial, Dialled, Dialler, How, job as dial};
pub use hear::{Heard, Hearer, Listener, job as hear};
pub use steer::{Steer, job as steer};
pub use verdict::{Epochs, Judged};

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use anyhow::{Context, Result};
use kernel::{Backend, Configuration, Hooks, Kernel, PodId, Settings, monotonic};

use crate::counter::{Counter, POD};
use crate::rig::{Cgroup, Field, POD_PORT, Rig};

/// Long enough never to pass during a case.
const LONG: Duration = Duration::from_secs(3600);

/// A field whose clients are redirected; taken down in this order.
pub struct Crossing<'r> {
    /// The client.
    pub dialler: Dialler,
    /// The listeners of the pod's namespace: `pod0`, `pod1`, …
    pub pods: Hearer,
    /// The listeners of the router: `gateway`, `itself`, `other`.
    pub router: Hearer,
    counter: Counter,
    rig: &'r Rig,
    _cgroups: [Cgroup; 2],
    /// Client, router, pod.
    pub field: Field,
}

/// A target by family: 10.77.3.1 or fd77:3::1, port 80. The router has these addresses, and "itself" listens there.
pub fn target(six: bool) -> SocketAddr {
    at(six, 3, 1, 80)
}

/// An address that "other" listens on and that never is a target.
pub fn other(six: bool) -> SocketAddr {
    at(six, 3, 2, 80)
}

/// Where "gateway" listens.
pub fn gateway(six: bool) -> SocketAddr {
    at(six, 1, 1, 9000)
}

/// An address that nobody has; packets to it end at the router.
pub fn nobody(six: bool) -> SocketAddr {
    at(six, 4, 1, 80)
}

fn at(six: bool, net: u8, host: u8, port: u16) -> SocketAddr {
    if six {
        (Ipv6Addr::new(0xfd77, net.into(), 0, 0, 0, 0, 0, host.into()), port).into()
    } else {
        (Ipv4Addr::new(10, 77, net, host), port).into()
    }
}

impl<'r> Crossing<'r> {
    /// With so many pods (ports of one namespace) of both families.
    pub fn new(rig: &'r Rig, name: &str, pods: u16) -> Result<Self> {
        Self::with(rig, name, pods, |settings| settings)
    }

    /// As [`Crossing::new`], with other settings.
    pub fn with(rig: &'r Rig, name: &str, pods: u16, change: impl FnOnce(Settings) -> Settings) -> Result<Self> {
        let field = rig.field(name)?;
        field.router.ip(
            "addr add 10.77.3.1/32 dev lo\naddr add 10.77.3.2/32 dev lo\naddr add 10.77.3.3/32 dev lo\n\
             addr add fd77:3::1/128 dev lo nodad\naddr add fd77:3::2/128 dev lo nodad\n",
        )?;
        // TCP Fast Open without cookies, for clients that ask; listeners learn of it when they start.
        for netns in [&field.client, &field.router, &field.pod] {
            netns.sysctl("ipv4/tcp_fastopen", "1543")?;
        }
        let counter = Counter::open_with(rig, &field, change)?;
        let hooks = Hooks {
            account: true,
            redirect: true,
        };
        counter.kernel()?.attach(field.cgroup.path(), hooks)?;
        counter.track_ports(&field, pods)?;
        let cgroups = [field.cgroup.child("clients")?, field.cgroup.child("pods")?];
        let both = |name: &str, at: fn(bool) -> SocketAddr| [false, true].map(|six| Listener::new(name, at(six)));
        let mut router: Vec<Listener> =
            [both("gateway", gateway), both("itself", target), both("other", other)].concat();
        router.push(Listener::new("foreign", foreign()));
        let pod = |index: u16| {
            let port = POD_PORT + index;
            [
                (Ipv4Addr::UNSPECIFIED, port).into(),
                (Ipv6Addr::UNSPECIFIED, port).into(),
            ]
            .map(|address: SocketAddr| Listener::new(&format!("pod{index}"), address))
        };
        let crossing = Self {
            dialler: Dialler::start(rig, &field, cgroups[0].path())?,
            pods: Hearer::start(
                rig,
                Some(cgroups[1].path()),
                &field.pod,
                (0..pods).flat_map(pod).collect(),
            )?,
            router: Hearer::start(rig, None, &field.router, router)?,
            counter,
            rig,
            _cgroups: cgroups,
            field,
        };
        crossing.configure(|configuration| configuration)?;
        crossing.kernel()?.beat(monotonic());
        Ok(crossing)
    }

    /// The kernel side.
    pub fn kernel(&self) -> Result<&Kernel> {
        self.counter.kernel()
    }

    /// The kernel side, to be closed and opened.
    pub fn counter(&mut self) -> &mut Counter {
        &mut self.counter
    }

    /// Both gateways and long limits, changed.
    pub fn configure(&self, change: impl FnOnce(Configuration) -> Configuration) -> Result<()> {
        let usual = Configuration {
            gateway4: Some(gateway(false)),
            gateway6: Some(gateway(true)),
            stale_buffered: LONG,
            stale_direct: LONG,
            ..Configuration::default()
        };
        Ok(self.kernel()?.configure(&change(usual))?)
    }

    /// A pod of this node.
    pub fn pod(&self, index: u16, six: bool) -> Backend {
        let mut to = self.field.pod_address(six);
        to.set_port(POD_PORT + index);
        Backend {
            to,
            pod: self.id(index),
            is_remote: false,
            room: 0,
        }
    }

    /// A pod's index in the maps.
    pub fn id(&self, index: u16) -> PodId {
        PodId(POD.0 + u32::from(index))
    }

    /// One more client, in a cgroup of its own below the hooks; with the cgroup and its id.
    pub fn another(&self, name: &str) -> Result<(Dialler, Cgroup, u64)> {
        let cgroup = self.field.cgroup.child(name)?;
        let id = std::fs::metadata(cgroup.path()).context("its id")?.ino();
        Ok((Dialler::start(self.rig, &self.field, cgroup.path())?, cgroup, id))
    }
}

/// Where somebody else's program sends connections: "foreign" listens there.
pub fn foreign() -> SocketAddr {
    at(false, 3, 3, 80)
}
