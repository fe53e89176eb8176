// SPDX-License-Identifier: Apache-2.0
//! The processes of a cluster, remembered in a file.
//!
//! Problem: `down` runs in another process than `up`, and an id may by then belong to somebody else.
//! Mechanism: a process is its id and the time at which the kernel started it; both must agree before it gets a signal.
//! Invariants: a process stands in the file as soon as it runs; they end in the reverse order of their start.
//! Depends on: /proc.

use super::Life;
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Time to end after being asked to.
const GRACE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// Those that were started, in order.
#[derive(Default)]
pub(super) struct Processes {
    folder: PathBuf,
    started: Vec<Process>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Process {
    name: String,
    id: i32,
    /// In ticks since the machine started, as the kernel counts them.
    begun: u64,
}

impl Processes {
    /// Those that `folder` remembers; none if it does not exist.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let started = match fs::read_to_string(file(folder)) {
            Ok(text) => serde_json::from_str(&text).with_context(|| format!("reading {}", file(folder).display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| format!("reading {}", file(folder).display())),
        };
        Ok(Self {
            folder: folder.to_owned(),
            started,
        })
    }

    /// Whether one of them still runs.
    pub(super) fn any_lives(&self) -> bool {
        self.started.iter().any(Process::lives)
    }

    /// Starts a program in the background; what it says goes into a file of its name.
    pub(super) fn start(&mut self, name: &str, program: &Command, life: Life) -> Result<()> {
        let log = log(&self.folder, name);
        let output = File::create(&log).with_context(|| format!("making {}", log.display()))?;
        let child = with_life(program, life)
            .stdin(Stdio::null())
            .stderr(output.try_clone().context("sharing the log")?)
            .stdout(output)
            .spawn()
            .with_context(|| format!("{name} does not start"))?;
        let id = i32::try_from(child.id()).context("invariant: process ids are positive")?;
        let begun = begun(id).with_context(|| format!("{name} ended at once: see {}", log.display()))?;
        self.started.push(Process {
            name: name.to_owned(),
            id,
            begun,
        });
        let text = serde_json::to_string_pretty(&self.started).context("writing down what was started")?;
        fs::write(file(&self.folder), text).context("writing down what was started")
    }

    /// An error with the end of its log if one of them has ended.
    pub(super) fn check(&self) -> Result<()> {
        match self.started.iter().find(|process| !process.lives()) {
            None => Ok(()),
            Some(process) => {
                let said = fs::read_to_string(log(&self.folder, &process.name)).unwrap_or_default();
                let lines: Vec<_> = said.lines().collect();
                let last = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default();
                bail!("{} ended:\n{}", process.name, last.join("\n"))
            }
        }
    }

    /// Ends those that still run.
    pub(super) fn end(&self) -> Result<()> {
        self.started.iter().rev().try_for_each(Process::end)
    }
}

impl Process {
    fn lives(&self) -> bool {
        begun(self.id) == Some(self.begun)
    }

    fn end(&self) -> Result<()> {
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            if !self.lives() {
                return Ok(());
            }
            kill(Pid::from_raw(self.id), signal).with_context(|| format!("ending {}", self.name))?;
            let limit = Instant::now() + GRACE;
            while self.lives() && Instant::now() < limit {
                thread::sleep(POLL);
            }
        }
        if self.lives() {
            bail!("{} (process {}) does not end", self.name, self.id);
        }
        Ok(())
    }
}

/// `setpriv` makes the kernel end the child with its parent; it becomes the program and keeps the id.
fn with_life(program: &Command, life: Life) -> Command {
    let mut command = match life {
        Life::OfItsOwn => Command::new("setsid"),
        Life::OfThisProcess => Command::new("setpriv"),
    };
    if life == Life::OfThisProcess {
        // Nothing of it is kept, and an API server without etcd takes its time.
        command.args(["--pdeathsig", "KILL"]);
    }
    command.arg(program.get_program()).args(program.get_args());
    command
}

/// When a process began; none if it has ended, waited for or not.
fn begun(id: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name may hold anything; the fields begin behind its bracket.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let begun = fields.nth(18)?.parse().ok()?;
    (state != "Z" && state != "X").then_some(begun)
}

fn file(folder: &Path) -> PathBuf {
    folder.join("processes.json")
}

fn log(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("sluice-xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn sleep() -> Command {
        let mut command = Command::new("sleep");
        command.arg("60");
        command
    }

    #[test]
    fn another_process_with_the_same_id_is_left_alone() {
        let me = i32::try_from(std::process::id()).unwrap();
        let process = Process {
            name: "me".to_owned(),
            id: me,
            begun: begun(me).unwrap() + 1,
        };
        assert!(!process.lives());
        process.end().unwrap();
    }

    #[test]
    fn who_was_started_is_ended_by_another_reader_of_the_file() {
        let folder = folder("ended");
        let mut processes = Processes::read(&folder).unwrap();
        processes.start("sleep", &sleep(), Life::OfThisProcess).unwrap();
        processes.check().unwrap();
        let reader = Processes::read(&folder).unwrap();
        assert!(reader.any_lives());
        reader.end().unwrap();
        assert!(!reader.any_lives());
        assert!(processes.check().unwrap_err().to_string().contains("sleep ended"));
        fs::remove_dir_all(folder).unwrap();
    }
}
