// SPDX-License-Identifier: Apache-2.0
//! What the kernel counted: the one place of this crate that knows the crate `kernel`.
//!
//! Depends on: kernel.

use std::path::PathBuf;

use anyhow::{Context, Result};
use kernel::{Counts, Hooks, Kernel, Netns, PodId, PodKey, Settings};

use crate::rig::{Field, Kept, POD_PORT, Rig};

/// The pod's index in every case.
pub const POD: PodId = PodId(1);

/// The kernel side of one case: loaded with a pin folder of its own, attached to the pod's cgroup, counting the pod's
/// port.
pub struct Counter {
    /// For what cases want beyond counts.
    pub kernel: Kernel,
    /// Settings it was opened with, to open it again.
    pub settings: Settings,
    /// The pod's serving port.
    pub key: PodKey,
    _pins: Kept,
}

/// What the programs counted for one pod, summed over CPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
        let kernel = Kernel::open(settings.clone()).context("loading")?;
        kernel
            .attach(
                field.cgroup.path(),
                Hooks {
                    account: true,
                    redirect: false,
                },
            )
            .context("attaching")?;
        if std::env::var_os("SLUICE_DEBUG").is_some() {
            eprintln!("debug: tier {:?}", kernel.tier());
        }
        let key = key_of(field, POD_PORT)?;
        kernel.track(key, POD, 0).context("tracking")?;
        Ok(Self {
            kernel,
            settings,
            key,
            _pins: kept,
        })
    }

    /// What was counted so far.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot::of(&self.kernel, &self.kernel.counts(POD)?))
    }
}

/// The key of a port of the field's pod.
pub fn key_of(field: &Field, port: u16) -> Result<PodKey> {
    let cookie = Netns::at(&field.pod.path())?.cookie()?;
    Ok(PodKey {
        netns: cookie,
        port,
        ..PodKey::default()
    })
}

fn settings(pins: PathBuf) -> Settings {
    Settings {
        pods: 16,
        revisions: 16,
        targets: 64,
        backends: 256,
        peers: 1024,
        ..Settings::at(pins)
    }
}

impl Snapshot {
    fn of(kernel: &Kernel, counts: &Counts) -> Self {
        let shared = kernel.pods().get(POD);
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
