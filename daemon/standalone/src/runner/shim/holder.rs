// SPDX-License-Identifier: Apache-2.0
//! The holder: starts the inner process, keeps the container's log, records its end.
//!
//! Invariants: it ends when the container and all that the container left behind have ended; a runner that has gone
//! is no reason to end.
//! Depends on: plan, lines, priority.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;

use super::lines::{Log, Stream};
use super::priority::Priority;
use crate::runner::plan::{self, COMMAND, Ended, Plan, Shim, Started, Told};

/// How long the last words of a container are waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// `hold OWN-CGROUP NETNS CGROUP`
pub(super) fn run(arguments: &[OsString]) -> Result<ExitCode, String> {
    let [own, netns, cgroup] = arguments else {
        return Err("hold: three arguments are needed".to_owned());
    };
    let said = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    // Out of the runner's cgroup and session: what ends those must not end pods.
    fs::write(Path::new(own).join("cgroup.procs"), "0").map_err(said("joining the holders' cgroup"))?;
    nix::unistd::setsid().map_err(|error| format!("a session of its own: {error}"))?;
    prctl::set_child_subreaper(true).map_err(|error| format!("taking over orphans: {error}"))?;
    let (mut inner, child) = begin(netns, cgroup).map_err(said("starting the inner process"))?;
    let runner = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(said("standard input"))?;
    let mut runner = UnixStream::from(runner);
    // After the inner process has begun: it has its own.
    let priority = Priority::raise();
    let mut line = String::new();
    let read = BufReader::new(&runner).read_line(&mut line);
    if read.is_err() || line.is_empty() {
        // The runner has no use for it any more; the inner process sees the same and ends.
        return Ok(ExitCode::SUCCESS);
    }
    let plan: Plan = serde_json::from_str(&line).map_err(|error| format!("the plan: {error}"))?;
    let held = hold(
        (&plan, &line),
        Path::new(cgroup),
        &mut inner,
        child,
        (&mut runner, priority),
    );
    held.map_err(said("holding the container"))?;
    Ok(ExitCode::SUCCESS)
}

fn begin(netns: &OsString, cgroup: &OsString) -> io::Result<(UnixStream, Child)> {
    let (ours, theirs) = UnixStream::pair()?;
    let child = Command::new("/proc/self/exe")
        .args([OsString::from(COMMAND), "begin".into(), netns.clone(), cgroup.clone()])
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    Ok((ours, child))
}

/// `line` is the plan as it came.
fn hold(
    (plan, line): (&Plan, &str),
    cgroup: &Path,
    inner: &mut UnixStream,
    mut child: Child,
    (runner, priority): (&mut UnixStream, Priority),
) -> io::Result<()> {
    fs::create_dir_all(&plan.attempt)?;
    let own = std::process::id().cast_signed();
    let ticks = plan::ticks(own).unwrap_or_default();
    plan::write(&plan.attempt, plan::SHIM, &Shim { pid: own, ticks })?;
    plan::write(&plan.attempt, plan::PLAN, plan)?;
    let mut log = Log::open(plan.log.clone(), plan.log_bytes)?;
    let oom_before = oom_kills(&plan.oom);
    // In one piece: each one would wake the inner process, which shares the CPU with whoever waits for the container.
    inner.write_all(line.as_bytes())?;
    let mut failure = String::new();
    // The other end closes by itself when the container's program has taken the inner process's place.
    inner.read_to_string(&mut failure)?;
    let began = plan::now();
    let pid = child.id().cast_signed();
    let told = if failure.is_empty() {
        let ticks = plan::ticks(pid).unwrap_or_default();
        let started = Started {
            pid,
            ticks,
            at: began.clone(),
        };
        plan::write(&plan.attempt, plan::STARTED, &started)?;
        Told::Started(started)
    } else {
        Told::Failed(failure.clone())
    };
    tell(runner, &told);
    // Carrying its log is no reason to go before others.
    priority.give_back()?;
    let status = carry(&mut child, cgroup, &mut log)?;
    let (code, signal) = match status.signal() {
        Some(signal) => (128 + signal, signal),
        None => (status.code().unwrap_or(255), 0),
    };
    let has_failed = !failure.is_empty();
    let ended = Ended {
        code: if has_failed { 128 } else { code },
        signal,
        is_oom: oom_kills(&plan.oom) > oom_before,
        began,
        at: plan::now(),
        reason: has_failed.then(|| "StartError".to_owned()),
        message: failure,
    };
    plan::write(&plan.attempt, plan::ENDED, &ended)
}

/// The runner may have gone; then the files tell the next one.
fn tell(runner: &mut UnixStream, told: &Told) {
    if let Ok(mut line) = serde_json::to_vec(told) {
        line.push(b'\n');
        let _ = runner.write_all(&line);
    }
}

/// Writes the log until the container has ended and its pipes are empty.
fn carry(child: &mut Child, cgroup: &Path, log: &mut Log) -> io::Result<ExitStatus> {
    let pid = rustix::process::Pid::from_child(child);
    let process = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
    let mut out = Pipe::new("stdout", child.stdout.take().map(OwnedFd::from))?;
    let mut err = Pipe::new("stderr", child.stderr.take().map(OwnedFd::from))?;
    let mut ended: Option<(ExitStatus, Instant)> = None;
    while out.fd.is_some() || err.fd.is_some() || ended.is_none() {
        let wait = match ended {
            None => PollTimeout::NONE,
            Some((_, until)) => {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
            }
        };
        let mut wanted: Vec<BorrowedFd> = [&out.fd, &err.fd].into_iter().flatten().map(OwnedFd::as_fd).collect();
        if ended.is_none() {
            wanted.push(process.as_fd());
        }
        let mut polled: Vec<PollFd> = wanted.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        match poll(&mut polled, wait) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        drop(polled);
        out.read(log);
        err.read(log);
        if ended.is_none()
            && let Some(status) = child.try_wait()?
        {
            // Whatever the container left behind ends with it.
            let _ = fs::write(cgroup.join("cgroup.kill"), "1");
            ended = Some((status, Instant::now() + LAST_WORDS));
        }
    }
    out.stream.end(log);
    err.stream.end(log);
    ended
        .map(|(status, _)| status)
        .ok_or_else(|| io::Error::other("no exit status"))
}

struct Pipe {
    fd: Option<OwnedFd>,
    stream: Stream,
}

impl Pipe {
    fn new(name: &'static str, fd: Option<OwnedFd>) -> io::Result<Self> {
        if let Some(fd) = &fd {
            fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Self {
            fd,
            stream: Stream::new(name),
        })
    }

    fn read(&mut self, log: &mut Log) {
        let mut buffer = [0; 16 * 1024];
        while let Some(fd) = &self.fd {
            match nix::unistd::read(fd, &mut buffer) {
                Ok(0) => self.fd = None,
                Ok(count) => self.stream.take(log, buffer.get(..count).unwrap_or_default()),
                Err(nix::errno::Errno::EAGAIN) => return,
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => self.fd = None,
            }
        }
    }
}

/// The sum of `oom_kill` in files of either version.
fn oom_kills(files: &[PathBuf]) -> u64 {
    let count = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        line.and_then(|count| count.trim().parse::<u64>().ok())
            .unwrap_or_default()
    };
    files.iter().map(count).sum()
}
