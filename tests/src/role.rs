// SPDX-License-Identifier: Apache-2.0
//! Child processes: this very binary, started again inside a cgroup and a namespace.
//!
//! Problem: a socket belongs to the cgroup of the process that made it, so servers (and redirected clients) must be
//! inside before they open one.
//! Mechanism: `--role JSON`; the child enters the cgroup, then the namespace, then runs the named job, all before any
//! runtime starts. It speaks lines: a question on standard input, one JSON answer on standard output.
//! Invariants: end of input ends the child, so none outlives its parent; the guard kills and reaps it.
//! Depends on: rig.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, anyhow};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rig::{Kept, Netns, Rig, Undo};

const FLAG: &str = "--role";

/// What a child does once it stands where it should. It must call [`answer_questions`] or end by itself.
pub type Job = fn(Value) -> Result<()>;

#[derive(Serialize, Deserialize)]
struct Orders {
    cgroup: Option<PathBuf>,
    netns: Option<String>,
    job: String,
    settings: Value,
}

/// A running child.
pub struct Role {
    pipe: Mutex<Pipe>,
    child: Child,
    _kept: Kept,
}

/// Where a child stands.
#[derive(Clone, Copy, Default)]
pub struct Place<'p> {
    /// The cgroup it enters; none = its parent's.
    pub cgroup: Option<&'p Path>,
    /// The namespace it enters; none = its parent's.
    pub netns: Option<&'p Netns>,
}

struct Pipe {
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Role {
    /// Starts a job and waits until it says that it is ready.
    pub fn start(
        rig: &Rig,
        cgroup: Option<&Path>,
        netns: Option<&Netns>,
        job: &str,
        settings: impl Serialize,
    ) -> Result<Self> {
        let place = Place { cgroup, netns };
        // Not its path: a build in the middle of a run replaces the file.
        Self::start_program(Path::new("/proc/self/exe"), rig, place, job, settings)
    }

    /// As [`Role::start`], of another binary that plays roles.
    pub fn start_program(
        program: &Path,
        rig: &Rig,
        place: Place<'_>,
        job: &str,
        settings: impl Serialize,
    ) -> Result<Self> {
        let Place { cgroup, netns } = place;
        let orders = Orders {
            cgroup: cgroup.map(Path::to_owned),
            netns: netns.map(|netns| netns.name().to_owned()),
            job: job.to_owned(),
            settings: serde_json::to_value(settings)?,
        };
        let mut child = Command::new(program)
            .arg(FLAG)
            .arg(serde_json::to_string(&orders)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| program.display().to_string())?;
        let kept = rig.register().keep(Undo::Child(i32::try_from(child.id())?));
        let questions = child.stdin.take().context("the child's input")?;
        let answers = BufReader::new(child.stdout.take().context("the child's output")?);
        let role = Self {
            pipe: Mutex::new(Pipe { questions, answers }),
            child,
            _kept: kept,
        };
        let said: String = role.read().with_context(|| format!("job {job} did not start"))?;
        (said == "ready")
            .then_some(role)
            .ok_or_else(|| anyhow!("job {job}: {said}"))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Puts a question and returns the answer.
    pub fn ask<T: DeserializeOwned>(&self, question: &str) -> Result<T> {
        {
            let mut pipe = self.pipe.lock().map_err(|_| anyhow!("an earlier question panicked"))?;
            writeln!(pipe.questions, "{question}").with_context(|| format!("asking {question:?}"))?;
            pipe.questions.flush()?;
        }
        self.read().with_context(|| format!("asked {question:?}"))
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T> {
        let mut line = String::new();
        let mut pipe = self.pipe.lock().map_err(|_| anyhow!("an earlier question panicked"))?;
        if pipe.answers.read_line(&mut line)? == 0 {
            return Err(anyhow!("the child has ended"));
        }
        serde_json::from_str(&line).with_context(|| format!("answer {line:?}"))
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs as a child if this process was started as one; the first thing a test binary's `main` does.
pub fn play_if_asked(jobs: &[(&str, Job)]) {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some(FLAG) {
        return;
    }
    let code = match play(&arguments.next().unwrap_or_default(), jobs) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("child {}: {error:#}", std::process::id());
            1
        }
    };
    std::process::exit(code);
}

fn play(orders: &str, jobs: &[(&str, Job)]) -> Result<()> {
    let orders: Orders = serde_json::from_str(orders).context("orders")?;
    if let Some(cgroup) = &orders.cgroup {
        std::fs::write(cgroup.join("cgroup.procs"), "0").with_context(|| format!("entering {}", cgroup.display()))?;
    }
    if let Some(netns) = &orders.netns {
        crate::rig::join(netns)?;
    }
    let job = jobs.iter().find(|(name, _)| *name == orders.job);
    let (_, job) = job.with_context(|| format!("no job named {}", orders.job))?;
    job(orders.settings)
}

/// Says that the job is ready, then answers questions until input ends, which ends the process.
pub fn answer_questions(mut answer: impl FnMut(&str) -> Result<Value> + Send + 'static) -> Result<()> {
    say(&"ready")?;
    std::thread::Builder::new().name("questions".into()).spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { break };
            let said = answer(line.trim()).and_then(|value| say(&value));
            if let Err(error) = said {
                eprintln!("child {}: {line}: {error:#}", std::process::id());
                std::process::exit(1);
            }
        }
        std::process::exit(0);
    })?;
    Ok(())
}

fn say(value: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(())
}
