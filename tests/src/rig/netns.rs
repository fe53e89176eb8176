// SPDX-License-Identifier: Apache-2.0
//! A named network namespace and work done inside it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

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

    /// Has each flow's packets received by one CPU, whichever CPU sends them (receive packet steering,
    /// `Documentation/networking/scaling.rst`). Without it a sender that moves between CPUs on a busy machine has its
    /// own segments overtake each other in the pair of devices: a network that reorders, which these cases do not mean.
    /// The loopback is left as it is: cases are about its receiving on the CPU that sends.
    ///
    /// # Errors
    /// If the devices' settings cannot be seen or set. A kernel without steering has nothing to set.
    pub fn steer(&self) -> Result<()> {
        let cpus = std::thread::available_parallelism()?.get();
        if cpus < 2 {
            return Ok(());
        }
        self.enter(|| steer(cpus))?
            .with_context(|| format!("receive packet steering in {}", self.name))
    }

    /// What TCP in here saw of a network that loses or reorders.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub fn disorder(&self) -> Result<Disorder> {
        Ok(Disorder {
            early: self.tcp("TCPOFOQueue")?,
            timeouts: self.tcp("TCPTimeouts")?,
        })
    }

    /// One of TCP's own counts in here (`TcpExt` of `/proc/net/netstat`).
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub fn tcp(&self, name: &str) -> Result<u64> {
        let text = self.enter(|| std::fs::read_to_string("/proc/thread-self/net/netstat"))??;
        extended(&text, name).with_context(|| format!("no {name} in {}", self.name))
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

/// Since the namespace was made, over all connections, by the kernel's own count (`/proc/net/netstat`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disorder {
    /// Segments that arrived before bytes that stand before theirs.
    pub early: u64,
    /// Times that a sender waited for an acknowledgement in vain.
    pub timeouts: u64,
}

/// On a thread of its own, which gets a view of /sys that is this namespace's.
fn steer(cpus: usize) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none: Option<&Path> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none)?;
    let all = format!("{:x}", u32::MAX >> (32 - cpus.min(32)));
    for device in std::fs::read_dir("/sys/class/net")? {
        let device = device?;
        if device.file_name() == "lo" {
            continue;
        }
        match std::fs::write(device.path().join("queues/rx-0/rps_cpus"), &all) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    Ok(())
}

/// One figure of `TcpExt`: a line of names, then one of values.
fn extended(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let place = lines.next()?.split(' ').position(|found| found == name)?;
    lines.next()?.split(' ').nth(place)?.parse().ok()
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
