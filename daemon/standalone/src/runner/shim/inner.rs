// SPDX-License-Identifier: Apache-2.0
//! The inner process: enters what was prepared, waits for the plan, and becomes the container.
//!
//! Invariants: it belongs to the container's cgroup before anything of the container runs; what goes wrong is said over
//! the socket, which closes by itself when the program runs.
//! Depends on: plan, priority, root, user.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

use super::priority::Priority;
use super::{root, user};
use crate::runner::plan::Plan;

/// `begin NETNS CGROUP`
pub(super) fn run(arguments: &[OsString]) -> Result<ExitCode, String> {
    let [netns, cgroup] = arguments else {
        return Err("begin: two arguments are needed".to_owned());
    };
    // A copy that closes by itself when the program starts.
    let socket = io::stdin().as_fd().try_clone_to_owned();
    let mut socket = UnixStream::from(socket.map_err(|error| format!("standard input: {error}"))?);
    let prepared = prepare(Path::new(netns), Path::new(cgroup));
    let priority = Priority::raise();
    let mut line = String::new();
    let read = BufReader::new(&socket).read_line(&mut line);
    if read.is_err() || line.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let failure = match prepared.and_then(|()| become_container(&line, priority)) {
        Ok(never) => match never {},
        Err(message) => message,
    };
    // Nobody but the holder could hear it.
    let _ = socket.write_all(failure.as_bytes());
    Ok(ExitCode::from(128))
}

fn prepare(netns: &Path, cgroup: &Path) -> Result<(), String> {
    fs::write(cgroup.join("cgroup.procs"), "0").map_err(|error| format!("joining {}: {error}", cgroup.display()))?;
    let file = File::open(netns).map_err(|error| format!("{}: {error}", netns.display()))?;
    setns(&file, CloneFlags::CLONE_NEWNET).map_err(|error| format!("entering the pod's network: {error}"))?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS).map_err(|error| format!("unshare: {error}"))?;
    let none: Option<&Path> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)
        .map_err(|error| format!("mounts of its own: {error}"))?;
    if let Some(folder) = netns.parent() {
        // The pods' networks must not live as long as this container; absent where they are no mount of their own.
        let _ = umount2(folder, MntFlags::MNT_DETACH);
    }
    Ok(())
}

fn become_container(line: &str, priority: Priority) -> Result<std::convert::Infallible, String> {
    let plan: Plan = serde_json::from_str(line).map_err(|error| format!("the plan: {error}"))?;
    for file in &plan.join {
        fs::write(file, "0").map_err(|error| format!("joining {}: {error}", file.display()))?;
    }
    let null = File::open("/dev/null").map_err(|error| format!("/dev/null: {error}"))?;
    root::enter(&plan)?;
    nix::unistd::sethostname(&plan.hostname).map_err(|error| format!("the host name: {error}"))?;
    let identity = user::find(&plan.user)?;
    if let Some(folder) = &plan.folder {
        let shown = folder.display();
        std::env::set_current_dir(folder).map_err(|error| format!("the working folder {shown}: {error}"))?;
    }
    nix::unistd::dup2_stdin(null).map_err(|error| format!("standard input: {error}"))?;
    user::become_user(&plan.user, &identity)?;
    let Some((program, arguments)) = plan.command.split_first() else {
        return Err("the image names no program: set command".to_owned());
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    if !plan.environment.iter().any(|(name, _)| name == "HOME") {
        command.env("HOME", &identity.home);
    }
    command.envs(plan.environment.iter().map(|(name, value)| (name, value)));
    priority.give_back().map_err(|error| format!("the priority: {error}"))?;
    let error = command.exec();
    Err(match error.kind() {
        io::ErrorKind::NotFound if !program.contains('/') => {
            format!("exec: \"{program}\": executable file not found in $PATH")
        }
        io::ErrorKind::NotFound => format!("exec: \"{program}\": stat {program}: no such file or directory"),
        io::ErrorKind::PermissionDenied => format!("exec: \"{program}\": permission denied"),
        _ => format!("exec: \"{program}\": {error}"),
    })
}
