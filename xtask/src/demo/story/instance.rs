// SPDX-License-Identifier: Apache-2.0
//! `sluice standalone` with ports, folder, cgroup, devices and pins of the demo's own.
//!
//! Mechanism: ports are chosen by the kernel and read from what it prints; a lock keeps two demos apart, and what a demo
//! that was killed left is removed first.
//! Invariants: whatever happens it is asked to end, and killed if it does not; then nothing of it is left, or it is named.
//! Depends on: process, interrupt, random (its image).

use super::random;
use crate::demo::interrupt::{Interrupt, MOMENT};
use crate::process::{self, Running};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::iter;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// Where everything of it is on the machine.
const FOLDER: &str = "/run/sluice-demo";
const LOG: &str = "standalone.log";
/// The instance's own, which it claims for itself.
const RUN: &str = "/run/sluice-demo/run";
const CGROUP: &str = "sluice-demo";
const PINS: &str = "/sys/fs/bpf/sluice-demo";
const PREFIX: &str = "sdm";
const PODS: &str = "10.231.0.0/16";
const SERVICES: &str = "10.232.0.0/16";
/// Programs are loaded and controllers begin within this time, on a slow machine too.
const PATIENCE: Duration = Duration::from_secs(30);

/// Zero is allowed to begin with, and comes soon.
const SETTINGS: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: config-autoscaler, namespace: knative-serving}
data: {allow-zero-initial-scale: 'true', scale-to-zero-grace-period: 6s}
";

/// The places, held by this process alone.
pub(super) struct Places {
    folder: PathBuf,
    _lock: File,
}

/// An instance that runs.
pub(super) struct Instance {
    process: Running,
    gateway: SocketAddr,
    api: SocketAddr,
    metrics: SocketAddr,
}

impl Places {
    /// Takes them, and removes what a demo that was killed left there.
    pub(super) fn take(sluice: &Path) -> Result<Self> {
        fs::create_dir_all(FOLDER).with_context(|| format!("making {FOLDER}"))?;
        let lock = File::open(FOLDER).with_context(|| format!("opening {FOLDER}"))?;
        lock.try_lock()
            .with_context(|| format!("another demo holds {FOLDER}"))?;
        let places = Self {
            folder: FOLDER.into(),
            _lock: lock,
        };
        if !places.left().is_empty() {
            places.clean(sluice)?;
        }
        Ok(places)
    }

    /// How kubectl finds the API.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        Path::new(RUN).join("kubeconfig")
    }

    /// Logs, manifests.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes what a killed instance left.
    fn clean(&self, sluice: &Path) -> Result<()> {
        eprintln!("demo: an earlier one left something: {}", self.left().join(", "));
        process::run(Command::new(sluice).args(["cleanup", "--run-dir", RUN, "--pin-dir", PINS]))
    }

    /// The last things it said.
    pub(super) fn last_words(&self) -> String {
        let said = fs::read_to_string(self.folder.join(LOG)).unwrap_or_default();
        let lines: Vec<_> = said.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    /// An error that names what is still there.
    pub(super) fn check_gone(&self) -> Result<()> {
        let left = self.left();
        ensure!(left.is_empty(), "this was left behind: {}", left.join(", "));
        Ok(())
    }

    fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        for path in iter::once(PINS.into()).chain(cgroups()) {
            if path.exists() {
                left.push(path.display().to_string());
            }
        }
        let devices = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
        let names = devices.map(|device| device.file_name().to_string_lossy().into_owned());
        left.extend(names.filter(|name| name.starts_with(PREFIX)));
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        left.extend(
            points
                .filter(|point| point.starts_with(&format!("{FOLDER}/")))
                .map(str::to_owned),
        );
        left
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        // Manifests and logs; what else is there was named.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const PLACES: [&str; 8] = [
    "--run-dir",
    RUN,
    "--cgroup",
    CGROUP,
    "--pin-dir",
    PINS,
    "--device-prefix",
    PREFIX,
];

/// Version 2's, and version 1's where a machine has both.
fn cgroups() -> impl Iterator<Item = PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        kind.starts_with("cgroup").then(|| Path::new(point).join(CGROUP))
    });
    points.collect::<Vec<_>>().into_iter()
}

impl Instance {
    /// Starts it, and waits until it is ready.
    pub(super) fn start(sluice: &Path, places: &Places, interrupt: &Interrupt) -> Result<Self> {
        let settings = places.folder.join("settings.yaml");
        fs::write(&settings, SETTINGS).with_context(|| format!("writing {}", settings.display()))?;
        let image = random::image(&places.folder)?;
        let mut command = Command::new(sluice);
        command.arg("standalone").arg("-f").arg(&settings).args(PLACES);
        command.args(["--pod-cidr", PODS, "--service-cidr", SERVICES, "--image", &image]);
        for door in ["--listen", "--api", "--metrics"] {
            command.args([door, "127.0.0.1:0"]);
        }
        let log = places.folder.join(LOG);
        let log = File::create(&log).with_context(|| format!("making {}", log.display()))?;
        println!("$ sluice standalone -f settings.yaml --image {image} …");
        // In a group of its own: Ctrl-C reaches us, and we end it.
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let begun = Instant::now();
        let mut process = Running(child.spawn().context("starting sluice standalone")?);
        let lines = process::lines_of(&mut process)?;
        let mut said = Vec::new();
        while said.last().is_none_or(|line| line != "ready") {
            interrupt.check()?;
            ensure!(
                begun.elapsed() < PATIENCE,
                "sluice standalone is not ready after {} s",
                PATIENCE.as_secs()
            );
            match lines.recv_timeout(MOMENT) {
                Ok(line) => said.push(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("sluice standalone ended: {}", places.last_words());
                }
            }
        }
        let address = |name: &str| address(&said, name);
        let instance = Self {
            gateway: address("gateway")?,
            api: address("API")?,
            metrics: address("metrics")?,
            process,
        };
        println!(
            "API, controllers, autoscaler, gateway and names: ready after {} ms, one process of {} MiB.",
            begun.elapsed().as_millis(),
            instance.memory()? / 1024
        );
        Ok(instance)
    }

    /// Where clients come in.
    pub(super) fn gateway(&self) -> SocketAddr {
        self.gateway
    }

    /// Where objects are.
    pub(super) fn api(&self) -> SocketAddr {
        self.api
    }

    /// Where figures are.
    pub(super) fn metrics(&self) -> SocketAddr {
        self.metrics
    }

    /// Resident, in KiB.
    fn memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.process.0.id());
        let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        figure.with_context(|| format!("{path} does not say VmRSS"))
    }

    /// Asks it to end, and waits.
    pub(super) fn end(mut self) -> Result<()> {
        let status = process::end(&mut self.process)?;
        ensure!(status.success(), "sluice standalone ended with {status}");
        Ok(())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Ended already, unless something failed.
        let _ = process::end(&mut self.process);
    }
}

/// `gateway  http://127.0.0.1:1234   as …`
fn address(said: &[String], name: &str) -> Result<SocketAddr> {
    let line = said.iter().find(|line| line.split_whitespace().next() == Some(name));
    let url = line.and_then(|line| line.split_whitespace().nth(1)?.strip_prefix("http://"));
    let address = url.and_then(|url| url.split('/').next()?.parse().ok());
    address.with_context(|| format!("sluice standalone does not say where its {name} is: {said:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_what_it_says() {
        let said = [
            "gateway  http://127.0.0.1:81   as http://NAME",
            "metrics  http://[::1]:82/metrics",
        ];
        let said = said.map(str::to_owned);
        assert_eq!(address(&said, "gateway").unwrap(), "127.0.0.1:81".parse().unwrap());
        assert_eq!(address(&said, "metrics").unwrap(), "[::1]:82".parse().unwrap());
        assert!(address(&said, "API").is_err());
    }
}
