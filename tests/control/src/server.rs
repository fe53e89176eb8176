// SPDX-License-Identifier: Apache-2.0
//! An API server that controllers are run against.
//!
//! Invariants: the environment is read here only; the proxy ends with the [`Server`].
//! Depends on: standalone, kubectl; SLUICE_CLUSTER (folder with the kubeconfig), SLUICE_KUBECTL.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kube::{Client, Config};
use standalone::http::{Api, Limits, Local};
use standalone::state::State;

/// How long the kinds may take until they are served.
const ESTABLISHED: Duration = Duration::from_secs(30);

/// A server.
pub(crate) struct Server {
    kind: Kind,
    turn: Mutex<()>,
}

enum Kind {
    Embedded,
    Real { proxy: Mutex<Child>, address: String },
}

impl Server {
    /// The embedded API: a new one for each client.
    pub(crate) fn embedded() -> Self {
        Self {
            kind: Kind::Embedded,
            turn: Mutex::new(()),
        }
    }

    /// The one that the environment names, through a proxy that adds the certificates; our kinds are defined there.
    pub(crate) fn real() -> Result<Option<Self>> {
        let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let (Some(folder), Some(kubectl)) = (path("SLUICE_CLUSTER"), path("SLUICE_KUBECTL")) else {
            return Ok(None);
        };
        define_kinds(&folder, &kubectl)?;
        let mut proxy = command(&folder, &kubectl)
            .args(["proxy", "--port=0"])
            .stdout(Stdio::piped())
            .spawn()
            .context("kubectl does not start")?;
        let mut said = String::new();
        let output = proxy.stdout.take().context("invariant: standard output is piped")?;
        BufReader::new(output).read_line(&mut said)?;
        let address = said.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        Ok(Some(Self {
            kind: Kind::Real {
                proxy: Mutex::new(proxy),
                address,
            },
            turn: Mutex::new(()),
        }))
    }

    /// Held for as long as a scenario runs: controllers look at a whole cluster, so there is one set of them at a time.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether objects go with their owners.
    pub(crate) fn collects(&self) -> bool {
        matches!(self.kind, Kind::Embedded)
    }

    /// A client; of the embedded API, to a new one.
    pub(crate) fn client(&self) -> Result<Client> {
        match &self.kind {
            Kind::Embedded => {
                let state = Arc::new(State::in_memory());
                let api = Api::new(state, api::context::Settings::default(), Limits::default())?;
                Ok(Client::new(Local::new(Arc::new(api)), "default"))
            }
            Kind::Real { address, .. } => {
                let config = Config::new(format!("http://{address}").parse()?);
                Ok(Client::try_from(config)?)
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Kind::Real { proxy, .. } = &mut self.kind {
            let proxy = proxy.get_mut().unwrap_or_else(PoisonError::into_inner);
            // It has ended already, or ends now.
            let _ = proxy.kill();
            let _ = proxy.wait();
        }
    }
}

fn command(folder: &Path, kubectl: &Path) -> Command {
    let mut command = Command::new(kubectl);
    command
        .arg("--kubeconfig")
        .arg(folder.join("kubeconfig"))
        .arg("--cache-dir")
        .arg(folder.join("discovered"));
    command
}

fn define_kinds(folder: &Path, kubectl: &Path) -> Result<()> {
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/crds");
    let mut apply = command(folder, kubectl);
    apply
        .args(["apply", "--server-side", "-f"])
        .arg(crds)
        .stdout(Stdio::null());
    ensure!(apply.status()?.success(), "the kinds cannot be defined");
    let mut wait = command(folder, kubectl);
    wait.args(["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])
        .stdout(Stdio::null());
    ensure!(wait.status()?.success(), "the kinds are not established");
    let limit = Instant::now() + ESTABLISHED;
    loop {
        let listed = command(folder, kubectl)
            .args(["api-resources", "-o", "name"])
            .output()?;
        let listed = String::from_utf8(listed.stdout)?;
        let is_listed = |kind: api::kind::Kind| {
            let name = format!("{}.{}", kind.plural(), kind.group());
            listed.lines().any(|line| line == name)
        };
        if api::kind::Kind::ALL.into_iter().all(is_listed) {
            return Ok(());
        }
        ensure!(Instant::now() < limit, "the kinds are established, but not discovered");
        std::thread::sleep(Duration::from_millis(100));
    }
}
