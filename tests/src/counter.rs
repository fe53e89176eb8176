// SPDX-License-Identifier: Apache-2.0
//! What the kernel counted: the one place of this crate that knows the crate `kernel`.
//!
//! Depends on: kernel.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
pub use kernel::PodId;
use kernel::{Counts, Hooks, Kernel, Netns, PodKey, Settings};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rig::{Field, Kept, POD_PORT, Rig};
use crate::role;

/// The pod's index in every case.
pub const POD: PodId = PodId(1);

/// The kernel side of one case: loaded with a pin folder of its own, attached to the pod's cgroup, counting the pod's
/// port.
pub struct Counter {
    kernel: Option<Kernel>,
    settings: Settings,
    _pins: Kept,
}

/// What the programs counted for one pod, summed over CPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Requests started.
    pub started: u64,
    /// Requests ended.
    pub ended: u64,
    /// Σ end times − Σ start times, ns: the integral when nothing is in flight.
    pub integral: u64,
    /// Connections counted.
    pub connections: u64,
    /// Of these, closed.
    pub closed: u64,
    /// Requests ended by their connection's end.
    pub aborted: u64,
    /// Requests first known by their answer.
    pub late: u64,
    /// Connections flagged as possibly wrong.
    pub uncertain: u64,
    /// Times a direction found its footing again.
    pub resyncs: u64,
    /// Segments out of order.
    pub gaps: u64,
    /// Connections that are not HTTP.
    pub opaque: u64,
    /// Connections that speak HTTP/2.
    pub http2: u64,
    /// Connections that became tunnels.
    pub tunnels: u64,
    /// Probe connections.
    pub probes: u64,
    /// Connections whose state could not be made.
    pub storage_failed: u64,
    /// Answers by status class.
    pub status: [u64; 6],
    /// Requests in the latency histogram.
    pub measured: u64,
    /// Requests left out of it.
    pub unmeasured: u64,
    /// The shared word: in flight, signed.
    pub in_flight: i64,
    /// The shared word: highest in flight.
    pub maximum: u64,
}

impl Counter {
    /// Loads, attaches, tracks.
    pub fn open(rig: &Rig, field: &Field) -> Result<Self> {
        Self::open_with(rig, field, |settings| settings)
    }

    /// As [`Counter::open`], with other settings.
    pub fn open_with(rig: &Rig, field: &Field, change: impl FnOnce(Settings) -> Settings) -> Result<Self> {
        let (pins, kept) = rig.pins();
        let settings = change(settings(pins));
        let kernel = start(&settings, field.cgroup.path(), &field.pod.path())?;
        Ok(Self {
            kernel: Some(kernel),
            settings,
            _pins: kept,
        })
    }

    /// A pin folder without anything in it: somebody else will load.
    pub fn closed(rig: &Rig) -> Self {
        let (pins, kept) = rig.pins();
        Self {
            kernel: None,
            settings: settings(pins),
            _pins: kept,
        }
    }

    /// Other settings for the next opening.
    pub fn change(&mut self, change: impl FnOnce(Settings) -> Settings) {
        self.settings = change(self.settings.clone());
    }

    /// Takes a kernel side that was opened with [`Counter::settings`].
    pub fn adopt(&mut self, kernel: Kernel) {
        self.kernel = Some(kernel);
    }

    /// The kernel side.
    pub fn kernel(&self) -> Result<&Kernel> {
        self.kernel.as_ref().context("the case has closed the kernel side")
    }

    /// The settings it is opened with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Lets go of everything, as a daemon that ends; the programs go on.
    pub fn close(&mut self) {
        self.kernel = None;
    }

    /// Adopts what is pinned and swaps the programs, as a daemon that starts.
    pub fn reopen(&mut self) -> Result<()> {
        self.close();
        self.kernel = Some(Kernel::open(self.settings.clone()).context("adopting")?);
        Ok(())
    }

    /// What was counted so far.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.snapshot_of(POD)
    }

    /// As [`Counter::snapshot`], for another pod.
    pub fn snapshot_of(&self, pod: PodId) -> Result<Snapshot> {
        let kernel = self.kernel()?;
        Ok(Snapshot::of(kernel, pod, &kernel.counts(pod)?))
    }

    /// Counts so many ports after the pod's own as pods of their own, [`POD`] + 1 and so on.
    pub fn track_ports(&self, field: &Field, ports: u16) -> Result<()> {
        for port in 1..ports {
            let pod = PodId(POD.0 + u32::from(port));
            self.kernel()?
                .track(key_of(field, POD_PORT + port)?, pod, 0)
                .context("tracking")?;
        }
        Ok(())
    }
}

/// Opens, attaches accounting to a cgroup, tracks [`POD_PORT`] of a namespace as [`POD`].
pub fn start(settings: &Settings, cgroup: &Path, netns: &Path) -> Result<Kernel> {
    let kernel = Kernel::open(settings.clone()).context("loading")?;
    kernel
        .attach(
            cgroup,
            Hooks {
                account: true,
                redirect: false,
            },
        )
        .context("attaching")?;
    kernel.track(key_at(netns, POD_PORT)?, POD, 0).context("tracking")?;
    Ok(kernel)
}

/// The key of a port of the field's pod.
pub fn key_of(field: &Field, port: u16) -> Result<PodKey> {
    key_at(&field.pod.path(), port)
}

fn key_at(netns: &Path, port: u16) -> Result<PodKey> {
    let cookie = Netns::at(netns)?.cookie()?;
    Ok(PodKey {
        netns: cookie,
        port,
        ..PodKey::default()
    })
}

/// Small maps below a pin folder.
pub fn settings(pins: PathBuf) -> Settings {
    Settings {
        pods: 64,
        revisions: 16,
        targets: 64,
        backends: 256,
        peers: 1024,
        ..Settings::at(pins)
    }
}

/// Orders for a daemon that is a process of its own (to be killed).
#[derive(Serialize, Deserialize)]
pub struct Daemon {
    /// Its pin folder.
    pub pins: PathBuf,
    /// The cgroup to count.
    pub cgroup: PathBuf,
    /// The pod's namespace.
    pub netns: PathBuf,
    /// Another object than the usual one.
    pub object: Option<PathBuf>,
}

/// The job `daemon`: counts, answers the question `counts`.
pub fn daemon(orders: Value) -> Result<()> {
    let orders: Daemon = serde_json::from_value(orders)?;
    let settings = Settings {
        object: orders.object,
        ..settings(orders.pins)
    };
    let kernel = start(&settings, &orders.cgroup, &orders.netns)?;
    role::answer_questions(move |question| match question {
        "counts" => Ok(serde_json::to_value(Snapshot::of(&kernel, POD, &kernel.counts(POD)?))?),
        "retire" => Ok(serde_json::to_value(kernel.retire_generations()?)?),
        other => bail!("unknown question {other:?}"),
    })?;
    loop {
        std::thread::park();
    }
}

impl Snapshot {
    /// Adds what was counted for another pod; the maximum is the larger one.
    pub fn add(&mut self, other: &Self) {
        let Self {
            started,
            ended,
            connections,
            closed,
            aborted,
            late,
            uncertain,
            resyncs,
            gaps,
            opaque,
            http2,
            tunnels,
            ..
        } = other;
        self.started += started;
        self.ended += ended;
        self.integral = self.integral.wrapping_add(other.integral);
        self.connections += connections;
        self.closed += closed;
        self.aborted += aborted;
        self.late += late;
        self.uncertain += uncertain;
        self.resyncs += resyncs;
        self.gaps += gaps;
        self.opaque += opaque;
        self.http2 += http2;
        self.tunnels += tunnels;
        self.probes += other.probes;
        self.storage_failed += other.storage_failed;
        self.measured += other.measured;
        self.unmeasured += other.unmeasured;
        self.in_flight += other.in_flight;
        self.maximum = self.maximum.max(other.maximum);
        for (sum, part) in self.status.iter_mut().zip(other.status) {
            *sum += part;
        }
    }

    fn of(kernel: &Kernel, pod: PodId, counts: &Counts) -> Self {
        let shared = kernel.pods().get(pod);
        Self {
            started: counts.core.started,
            ended: counts.core.ended,
            integral: counts.core.sum_end.wrapping_sub(counts.core.sum_start),
            connections: counts.connections,
            closed: counts.closed,
            aborted: counts.aborted,
            late: counts.late,
            uncertain: counts.uncertain,
            resyncs: counts.resyncs,
            gaps: counts.gaps,
            opaque: counts.opaque,
            http2: counts.http2,
            tunnels: counts.tunnels,
            probes: counts.probes,
            storage_failed: counts.storage_failed,
            status: counts.status,
            measured: counts.latency.iter().sum(),
            unmeasured: counts.unmeasured,
            in_flight: shared.in_flight,
            maximum: shared.maximum,
        }
    }
}
