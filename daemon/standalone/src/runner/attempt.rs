// SPDX-License-Identifier: Apache-2.0
//! One attempt to run a container, seen from the runner.
//!
//! Mechanism: the holder is followed by a descriptor of its process, so that one started by an earlier runner is followed
//! like an own one; what happened is read from its records.
//! Invariants: a signal reaches the process that was meant or none.
//! Depends on: plan, slot (Holder), cgroup.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Child;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::cgroup;
use super::plan::{self, Ended, Plan, Shim, Started, Told};
use super::process::Process;
use super::slot::Holder;

/// A container that has a holder.
#[derive(Debug)]
pub(super) struct Attempt {
    /// Its records.
    pub folder: PathBuf,
    /// Its cgroup.
    pub cgroup: PathBuf,
    /// What is known of its start.
    pub started: Option<Started>,
    process: Option<OwnedFd>,
    holder: Process,
    child: Option<Child>,
}

impl Attempt {
    /// Gives a holder its plan, and waits until the container runs or cannot.
    ///
    /// # Errors
    /// If the holder has gone.
    pub(super) async fn start(holder: Holder, plan: &Plan) -> io::Result<Self> {
        let Holder { child, socket, cgroup } = holder;
        let holder = Process::of(child.id().cast_signed())?;
        socket.set_nonblocking(true)?;
        let mut socket = UnixStream::from_std(socket)?;
        let mut line = serde_json::to_vec(plan)?;
        line.push(b'\n');
        socket.write_all(&line).await?;
        let mut answer = String::new();
        BufReader::new(socket).read_line(&mut answer).await?;
        let started = match serde_json::from_str(&answer) {
            Ok(Told::Started(started)) => Some(started),
            // Its record says why.
            Ok(Told::Failed(_)) => None,
            Err(_) => {
                return Err(io::Error::other(
                    "the container's holder ended early; see the runner's output",
                ));
            }
        };
        Ok(Self {
            folder: plan.attempt.clone(),
            cgroup,
            process: started.as_ref().and_then(process),
            started,
            holder,
            child: Some(child),
        })
    }

    /// Takes over an attempt of an earlier runner, if its holder is still there.
    #[must_use]
    pub(super) fn adopt(folder: &Path, cgroup: &Path) -> Option<Self> {
        let shim: Shim = plan::read(folder, plan::SHIM)?;
        let started: Option<Started> = plan::read(folder, plan::STARTED);
        let holder = Process::of(shim.pid).ok()?;
        if plan::ticks(shim.pid) != Some(shim.ticks) {
            return None;
        }
        Some(Self {
            folder: folder.to_owned(),
            cgroup: cgroup.to_owned(),
            process: started.as_ref().and_then(process),
            started,
            holder,
            child: None,
        })
    }

    /// Waits for the container's end.
    pub(super) async fn ended(&mut self) -> Ended {
        self.holder.ended().await;
        if let Some(child) = &mut self.child {
            let _ = child.wait();
        }
        ended(&self.folder).unwrap_or_else(|| {
            cgroup::kill(&self.cgroup);
            lost(self.started.as_ref())
        })
    }

    /// Asks its first process to end.
    pub(super) fn terminate(&self) {
        if let Some(process) = &self.process {
            // It may have ended already.
            let _ = pidfd_send_signal(process, Signal::TERM);
        }
    }

    /// Ends all of it.
    pub(super) fn kill(&self) {
        cgroup::kill(&self.cgroup);
    }
}

/// How an attempt ended, from its records.
#[must_use]
pub(super) fn ended(folder: &Path) -> Option<Ended> {
    plan::read(folder, plan::ENDED)
}

/// The end of an attempt of which nothing is known.
#[must_use]
pub(super) fn lost(started: Option<&Started>) -> Ended {
    let at = plan::now();
    Ended {
        code: 137,
        signal: 0,
        is_oom: false,
        began: started.map_or_else(|| at.clone(), |started| started.at.clone()),
        at,
        reason: Some("ContainerStatusUnknown".to_owned()),
        message: "The container could not be located when the pod was terminated".to_owned(),
    }
}

fn process(started: &Started) -> Option<OwnedFd> {
    let process = pidfd_open(Pid::from_raw(started.pid)?, PidfdFlags::empty()).ok()?;
    (plan::ticks(started.pid) == Some(started.ticks)).then_some(process)
}

/// The attempts of a container, by number; the newest last.
#[must_use]
pub(super) fn numbers(container: &Path) -> Vec<u32> {
    let entries = fs::read_dir(container).into_iter().flatten().flatten();
    let mut numbers: Vec<u32> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}
