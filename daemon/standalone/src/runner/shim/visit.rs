// SPDX-License-Identifier: Apache-2.0
//! A command in a container that runs: probes and hooks of the form `exec`.
//!
//! Mechanism: enters the namespaces, the root and the cgroup of the container's first process, and becomes the command.
//! Depends on: plan, user.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use nix::sched::{CloneFlags, setns};

use super::user;
use crate::runner::plan::{self, Plan, Started};

/// `visit ATTEMPT CGROUP COMMAND…`
pub(super) fn run(arguments: &[OsString]) -> Result<ExitCode, String> {
    let [attempt, cgroup, program, arguments @ ..] = arguments else {
        return Err("visit: at least three arguments are needed".to_owned());
    };
    let attempt = Path::new(attempt);
    let plan: Plan = plan::read(attempt, plan::PLAN).ok_or("no such container")?;
    let started: Started = plan::read(attempt, plan::STARTED).ok_or("the container does not run")?;
    if plan::ticks(started.pid) != Some(started.ticks) {
        return Err("the container has ended".to_owned());
    }
    let said = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let open = |name: &str| File::open(format!("/proc/{}/{name}", started.pid)).map_err(said("its namespaces"));
    let (net, mounts, names, root) = (open("ns/net")?, open("ns/mnt")?, open("ns/uts")?, open("root")?);
    fs::write(Path::new(cgroup).join("cgroup.procs"), "0").map_err(said("joining its cgroup"))?;
    for (file, kind) in [
        (&net, CloneFlags::CLONE_NEWNET),
        (&names, CloneFlags::CLONE_NEWUTS),
        (&mounts, CloneFlags::CLONE_NEWNS),
    ] {
        setns(file, kind).map_err(|error| format!("entering its namespaces: {error}"))?;
    }
    nix::unistd::fchdir(&root).map_err(|error| format!("its root: {error}"))?;
    nix::unistd::chroot(".").map_err(|error| format!("its root: {error}"))?;
    let folder = plan.folder.as_deref().unwrap_or(Path::new("/"));
    std::env::set_current_dir(folder).map_err(said("its working folder"))?;
    let identity = user::find(&plan.user)?;
    user::become_user(&plan.user, &identity)?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("HOME", &identity.home);
    let error = command
        .envs(plan.environment.iter().map(|(name, value)| (name, value)))
        .exec();
    Err(format!("exec: {}: {error}", program.display()))
}
