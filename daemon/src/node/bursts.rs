// SPDX-License-Identifier: Apache-2.0
//! Bursts: what the autoscaler must hear before its next tick.
//!
//! Mechanism: the kernel's events are waited for by a thread of their own and passed on with the revision's name; the path adds
//! the first request that has to wait. A full channel drops: whoever is late reads the counters anyway.
//! Depends on: kernel, life, nix.

use kernel::{Event, Events, Kernel, RevisionId};
use life::Tasks;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::{io, thread};
use tokio::sync::mpsc;

/// A revision needs to be looked at now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Burst {
    /// Which.
    pub(crate) revision: String,
    /// In flight on this node's pods, if the kernel says so; none: requests begin to wait.
    pub(crate) in_flight: Option<u64>,
}

impl Burst {
    pub(super) fn held(revision: &str) -> Self {
        Self {
            revision: revision.to_owned(),
            in_flight: None,
        }
    }
}

/// Who knows the names of revisions, and passes bursts on.
pub(super) trait Hear: Send + Sync + 'static {
    /// A revision has so many in flight.
    fn hear(&self, revision: RevisionId, in_flight: u64);
}

/// Events that may wait for the task.
const WAITING: usize = 1024;
/// How often the thread looks whether anybody listens still.
const LOOK: u16 = 200;

/// Passes the kernel's events on until the node is gone.
pub(super) fn forward<H: Hear>(kernel: &Kernel, to: &Arc<H>, tasks: &Tasks) -> io::Result<()> {
    let events = kernel.events().map_err(io::Error::other)?;
    let (sender, mut heard) = mpsc::channel(WAITING);
    thread::Builder::new()
        .name("bursts".to_owned())
        .spawn(move || wait(events, &sender))?;
    let (to, drained) = (Arc::downgrade(to), tasks.clone());
    tasks.spawn("bursts", async move {
        loop {
            let (revision, in_flight) = tokio::select! {
                Some(burst) = heard.recv() => burst,
                () = drained.draining() => return,
                else => return,
            };
            let Some(to) = to.upgrade() else { return };
            to.hear(revision, in_flight);
        }
    });
    Ok(())
}

/// Sleeps in poll(2) until there are events, or nobody listens.
fn wait(mut events: Events, to: &mpsc::Sender<(RevisionId, u64)>) {
    while !to.is_closed() {
        let mut waited = [PollFd::new(events.as_fd(), PollFlags::POLLIN)];
        // A signal is as good a reason to look as any.
        let _ = poll(&mut waited, PollTimeout::from(LOOK));
        while let Some(event) = events.next() {
            if let Event::RevisionBurst {
                revision, in_flight, ..
            } = event
            {
                // Full: what comes later says it again.
                let _ = to.try_send((revision, in_flight));
            }
        }
    }
}
