// SPDX-License-Identifier: Apache-2.0
//! A named network namespace and work done inside it.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, setns};

use super::{Kept, Register, Undo, feed};

/// A namespace made by us; deleted when dropped.
pub struct Netns {
    name: String,
    _kept: Kept,
}

impl Netns {
    pub(super) fn create(register: &Arc<Register>, name: String) -> Result<Self> {
        let kept = register.keep(Undo::Netns(name.clone()));
        super::run("ip", &["netns", "add", &name])?;
        if std::env::var_os("SLUICE_DEBUG").is_some() {
            eprintln!("debug: nsenter --net=/run/netns/{name} bash");
        }
        Ok(Self { name, _kept: kept })
    }

    /// Its name for `ip netns`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it.
    pub fn path(&self) -> PathBuf {
        path_of(&self.name)
    }

    /// Runs `ip -batch` inside.
    pub fn ip(&self, batch: &str) -> Result<()> {
        feed("ip", &["-n", &self.name, "-batch", "-"], batch).map(drop)
    }

    /// Runs a tool inside (`nsenter`, so that /sys stays as it is) and returns what it wrote.
    pub fn tool(&self, program: &str, arguments: &[&str], input: &str) -> Result<String> {
        let net = format!("--net=/run/netns/{}", self.name);
        let mut all = vec![net.as_str(), program];
        all.extend_from_slice(arguments);
        feed("nsenter", &all, input)
    }

    /// Loads an nftables rule set.
    pub fn nft(&self, rules: &str) -> Result<()> {
        self.tool("nft", &["-f", "-"], rules).map(drop)
    }

    /// Writes `/proc/sys/net/<key>` (with slashes).
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = PathBuf::from("/proc/sys/net").join(key);
        self.enter(|| std::fs::write(&path, value).with_context(|| format!("{} = {value}", path.display())))?
    }

    /// Runs work on a thread of its own inside the namespace. Sockets made there belong to it.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                join(&self.name)?;
                Ok(work())
            });
            thread
                .join()
                .unwrap_or_else(|_| Err(anyhow!("a thread in {} panicked", self.name)))
        })
    }

    /// Runs asynchronous work inside, on one thread, with a deadline.
    pub fn block_on<T: Send>(&self, limit: Duration, work: impl AsyncFnOnce() -> Result<T> + Send) -> Result<T> {
        self.enter(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let bounded = async { tokio::time::timeout(limit, work()).await };
            runtime
                .block_on(bounded)
                .with_context(|| format!("the client was not done after {limit:?}"))?
        })?
    }
}

/// Moves the calling thread into a named namespace.
pub(crate) fn join(name: &str) -> Result<()> {
    let path = path_of(name);
    let file = File::open(&path).with_context(|| format!("{}", path.display()))?;
    setns(&file, CloneFlags::CLONE_NEWNET).with_context(|| format!("setns {}", path.display()))
}

fn path_of(name: &str) -> PathBuf {
    PathBuf::from("/run/netns").join(name)
}
