// SPDX-License-Identifier: Apache-2.0
//! An instance of `sluice standalone` with a place of its own.
//!
//! Depends on: the rig, api.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ::tests::rig::{Cgroup, Kept, Rig, Undo};
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::api;

/// The shortest time that Knative allows before a service goes to zero.
pub(super) const FAST: &str = "{allow-zero-initial-scale: 'true', stable-window: 6s, scale-to-zero-grace-period: 6s}";
/// Only what makes services begin at zero differs from Knative's defaults.
pub(super) const USUAL: &str = "{allow-zero-initial-scale: 'true'}";

/// A running instance.
pub(super) struct Instance {
    child: Child,
    pub(super) gateway: SocketAddr,
    pub(super) api: SocketAddr,
    pub(super) metrics: SocketAddr,
    _cgroup: Cgroup,
    _kept: [Kept; 2],
}

/// The program that is measured.
pub(super) fn sluice() -> Result<PathBuf> {
    let sluice = std::env::current_exe()?.with_file_name("sluice");
    ensure!(
        sluice.exists(),
        "{} is not built: cargo build --release -p sluice",
        sluice.display()
    );
    Ok(sluice)
}

impl Instance {
    /// Starts it with these settings of the autoscaler and these images.
    pub(super) fn start(rig: &Rig, settings: &str, images: &[(&str, &Path)]) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("sluice-bench-{}-{}", std::process::id(), rig.serial()));
        let kept = rig.register().keep(Undo::Folder(folder.clone()));
        std::fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        let (cgroup, (pins, pinned)) = (rig.cgroup().child("standalone")?, rig.pins());
        let file = folder.join("settings.yaml");
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config-autoscaler, namespace: knative-serving}\n";
        std::fs::write(&file, format!("{map}data: {settings}\n"))?;
        let any = "127.0.0.1:0";
        let mut command = Command::new(sluice()?);
        command.args(["standalone", "--listen", any, "--api", any, "--metrics", any, "-f"]);
        command.arg(file).arg("--run-dir").arg(folder.join("run"));
        command.arg("--pin-dir").arg(pins).arg("--cgroup").arg(cgroup.path());
        command.args(["--pod-cidr", "10.199.0.0/16", "--device-prefix", "slbench"]);
        for (name, path) in images {
            command.arg("--image").arg(format!("{name}={}", path.display()));
        }
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("its output")?;
        let mut told = Vec::new();
        for line in BufReader::new(stdout).lines() {
            told.push(line?);
            if told.last().is_some_and(|line| line == "ready") {
                break;
            }
        }
        let address = |what: &str| -> Result<SocketAddr> {
            let line = told.iter().find(|line| line.starts_with(what));
            let url = line.and_then(|line| line.split_whitespace().nth(1));
            let url = url.with_context(|| format!("it ended, having said {told:?}"))?;
            let authority = url.trim_start_matches("http://").trim_end_matches("/metrics");
            authority.parse().with_context(|| url.to_owned())
        };
        Ok(Self {
            gateway: address("gateway")?,
            api: address("API")?,
            metrics: address("metrics")?,
            child,
            _cgroup: cgroup,
            _kept: [kept, pinned],
        })
    }

    /// Resident memory, in MiB.
    pub(super) fn resident(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.context("no VmRSS")?.trim().trim_end_matches(" kB");
        Ok(kib.trim().parse::<f64>()? / 1024.0)
    }

    /// Declares services, one after the other.
    pub(super) fn declare(&self, names: &[String], annotations: &str, container: &str) -> Result<()> {
        let mut connection = api::Connection::open(self.api)?;
        for name in names {
            let body = format!(
                r#"{{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{{"name":"{name}"}},
                "spec":{{"template":{{"metadata":{{"annotations":{{{annotations}}}}},"spec":{{"containers":[{{{container}}}]}}}}}}}}"#
            );
            let (status, answer) = connection.ask("POST", "api", api::SERVICES, &body)?;
            ensure!(status == 201, "{name}: {status} {answer}");
        }
        Ok(())
    }

    /// Waits until so many services are ready.
    pub(super) fn wait_ready(&self, services: usize, most: Duration) -> Result<()> {
        self.wait("services to be ready", most, || {
            let all = api::list(self.api, api::SERVICES)?;
            Ok(all.iter().filter(|service| api::is_ready(service)).count() >= services)
        })
    }

    /// Waits until no pod is left.
    pub(super) fn wait_zero(&self) -> Result<()> {
        self.wait("pods to go", Duration::from_secs(60), || {
            Ok(api::list(self.api, api::PODS)?.is_empty())
        })
    }

    /// Looks again and again.
    pub(super) fn wait(&self, what: &str, most: Duration, is_done: impl Fn() -> Result<bool>) -> Result<()> {
        let end = Instant::now() + most;
        while !is_done()? {
            if Instant::now() > end {
                bail!("{most:.0?} were not enough for {what}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // It may have ended already.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
