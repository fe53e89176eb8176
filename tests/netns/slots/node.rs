// SPDX-License-Identifier: Apache-2.0
//! A node: a namespace with the daemon in it, which dies and comes back.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::rig::{Kept, Netns, Rig, Undo};
use tests::steered::program;

pub(crate) struct Node<'f> {
    rig: &'f Rig,
    pub(crate) name: &'static str,
    pub(crate) netns: &'f Netns,
    /// As the others reach it, by their place among the nodes.
    pub(crate) addresses: [&'static str; 3],
    folder: PathBuf,
    running: Option<(Child, Kept)>,
}

impl<'f> Node<'f> {
    pub(crate) fn new(
        rig: &'f Rig,
        name: &'static str,
        netns: &'f Netns,
        addresses: [&'static str; 3],
    ) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("sluice-slots-{}-{}", std::process::id(), rig.serial()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self {
            rig,
            name,
            netns,
            addresses,
            folder,
            running: None,
        })
    }

    pub(crate) fn write(&self, file: &str) -> Result<()> {
        // At once, so that no half of it is read.
        let new = self.folder.join("new");
        std::fs::write(&new, file)?;
        Ok(std::fs::rename(new, self.folder.join("proxy.yaml"))?)
    }

    /// Starts the daemon; returns when it listens.
    pub(crate) fn run(&mut self, gateway: SocketAddr) -> Result<()> {
        let child = Command::new("nsenter")
            .arg(format!("--net={}", self.netns.path().display()))
            .arg(program()?)
            .args(["proxy", "--threads", "2", "--config"])
            .arg(self.folder.join("proxy.yaml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("nsenter")?;
        let kept = self.rig.register().keep(Undo::Child(i32::try_from(child.id())?));
        self.running = Some((child, kept));
        let begun = Instant::now();
        while self.netns.enter(|| TcpStream::connect(gateway))?.is_err() {
            ensure!(begun.elapsed() < Duration::from_secs(60), "the daemon does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let (mut child, _kept) = self.running.take().context("it does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        if self.running.is_some() {
            let _ = self.kill();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
