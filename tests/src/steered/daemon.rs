// SPDX-License-Identifier: Apache-2.0
//! `sluice proxy` in the router's namespace, and what it says of itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::gateway;
use crate::rig::{Field, Kept, Rig, Undo};

const STATUS: &str = "127.0.0.1:9095";
/// Much longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// The daemon.
pub struct Daemon<'r> {
    rig: &'r Rig,
    program: PathBuf,
    router: String,
    folder: PathBuf,
    preamble: String,
    running: Option<(Child, Kept)>,
    _pins: Kept,
}

/// What it says.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    /// By the file's order.
    pub revisions: Vec<RevisionStatus>,
    /// By address.
    pub targets: Vec<TargetStatus>,
    /// Why everything is buffered.
    pub obstacle: Option<String>,
}

/// A revision.
#[derive(Clone, Debug, Deserialize)]
pub struct RevisionStatus {
    /// As the file has it.
    pub name: String,
    /// On pods and held.
    pub in_flight: u64,
    /// On pods.
    pub on_pods: u64,
    /// Held.
    pub held: u64,
    /// Request-nanoseconds.
    pub integral_ns: u64,
    /// When.
    pub at_ns: u64,
    /// Begun on pods.
    pub started: u64,
    /// Doubts of the kernel, if it counts.
    pub uncertain: Option<u64>,
    /// `kernel` or `gateway`.
    pub counted_by: String,
    /// In flight by address.
    pub pods: BTreeMap<String, u64>,
    /// Requests that the gateway had.
    pub through_gateway: u64,
    /// Events.
    pub bursts: u64,
}

/// A target.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct TargetStatus {
    /// Where.
    pub address: String,
    /// `Direct` or `Buffered`.
    pub data_path: String,
    /// Its word.
    pub reason: String,
    /// In sentences.
    pub message: String,
    /// Clients at the gateway.
    pub connections: usize,
}

impl Status {
    /// A revision by name.
    pub fn revision(&self, name: &str) -> Result<&RevisionStatus> {
        let found = self.revisions.iter().find(|revision| revision.name == name);
        found.with_context(|| format!("no revision {name} in {self:?}"))
    }

    /// Data path and reason of the only target, or of the first.
    pub fn path(&self) -> (&str, &str) {
        self.targets
            .first()
            .map_or(("", ""), |target| (&target.data_path, &target.reason))
    }
}

impl<'r> Daemon<'r> {
    pub(super) fn start(rig: &'r Rig, field: &Field, file: &str) -> Result<Self> {
        let (pins, kept) = rig.pins();
        let folder = std::env::temp_dir().join(format!("sluice-steered-{}-{}", std::process::id(), rig.serial()));
        std::fs::create_dir_all(&folder)?;
        let preamble = format!(
            "listen: [{{address: '{}', visibility: cluster-local}}]\nstatus: {STATUS}\nkernel: {{cgroup: {}, pin_dir: {}}}\n",
            gateway(),
            field.cgroup.path().display(),
            pins.display(),
        );
        let mut daemon = Self {
            rig,
            program: program()?,
            router: field.router.path().display().to_string(),
            folder,
            preamble,
            running: None,
            _pins: kept,
        };
        daemon.write(file)?;
        daemon.run(field)?;
        Ok(daemon)
    }

    /// Starts it, again; returns when it answers.
    pub fn run(&mut self, field: &Field) -> Result<()> {
        let child = Command::new("nsenter")
            .arg(format!("--net={}", self.router))
            .arg(&self.program)
            .args(["proxy", "--threads", "2", "--config"])
            .arg(self.file())
            .stdout(Stdio::null())
            .spawn()
            .context("nsenter")?;
        let kept = self.rig.register().keep(Undo::Child(i32::try_from(child.id())?));
        self.running = Some((child, kept));
        self.until(field, "it starts", |_| true).map(drop)
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        let (mut child, _kept) = self.running.take().context("it does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Another file, which it reads within a second.
    pub fn write(&self, file: &str) -> Result<()> {
        // At once, so that no half of it is read.
        let new = self.folder.join("new");
        std::fs::write(&new, format!("{}{file}", self.preamble))?;
        Ok(std::fs::rename(new, self.file())?)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("proxy.yaml")
    }

    /// What it says now.
    pub fn status(&self, field: &Field) -> Result<Status> {
        field.router.block_on(LIMIT, async || {
            let mut stream = TcpStream::connect(STATUS).await?;
            stream.write_all(b"GET / HTTP/1.1\r\nhost: status\r\n\r\n").await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            let (_, body) = answer.split_once("\r\n\r\n").context("no answer")?;
            serde_json::from_str(body).with_context(|| format!("{body:?}"))
        })
    }

    /// Waits until what it says is as wanted.
    pub fn until(&mut self, field: &Field, what: &str, is_so: impl Fn(&Status) -> bool) -> Result<Status> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let said = self.status(field);
            if let Ok(status) = &said
                && is_so(status)
            {
                return said;
            }
            if let Some((child, _)) = &mut self.running
                && let Some(ended) = child.try_wait()?
            {
                bail!("the daemon ended: {ended}");
            }
            ensure!(Instant::now() < deadline, "waited for: {what}; it said {said:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if self.running.is_some() {
            let _ = self.kill();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Beside the test binary's folder, or as SLUICE_BINARY says.
pub fn program() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("SLUICE_BINARY") {
        return Ok(named.into());
    }
    let test = std::env::current_exe()?;
    let built = test.parent().and_then(Path::parent).map(|folder| folder.join("sluice"));
    built
        .filter(|path| path.is_file())
        .context("no `sluice` beside this test: cargo build -p sluice")
}
