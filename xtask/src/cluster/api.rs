// SPDX-License-Identifier: Apache-2.0
//! Tier `api`: etcd and kube-apiserver.
//!
//! Mechanism: both listen on free ports of the loopback, so that clusters stand beside each other; etcd does not wait
//! for the disk, since nothing of it is kept.
//! Invariants: a cluster is up when the API server says that it is ready.
//! Depends on: programs, certificates, processes.

use super::processes::Processes;
use super::{Life, certificates, kubeconfig, programs};
use anyhow::{Context, Result, bail};
use std::fmt::Write;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Far beyond what a busy machine needs.
const LIMIT: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(50);

/// Starts a cluster in the empty `folder` and waits until it is ready.
pub(super) fn start(folder: &Path, life: Life) -> Result<()> {
    programs::prepare()?;
    let [client, peer, secure] = free_ports()?;
    let mut processes = Processes::read(folder)?;
    processes.start("etcd", &etcd(folder, client, peer)?, life)?;
    certificates::make(folder)?;
    write_kubeconfig(folder, secure)?;
    wait(&processes, || TcpStream::connect((Ipv4Addr::LOCALHOST, client)).is_ok())?;
    processes.start("kube-apiserver", &apiserver(folder, client, secure)?, life)?;
    let kubectl = programs::kubectl()?;
    wait(&processes, || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, secure)).is_ok() && is_ready(&kubectl, folder)
    })
}

fn etcd(folder: &Path, client: u16, peer: u16) -> Result<Command> {
    let (client, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
    let mut command = Command::new(programs::etcd()?);
    command
        .arg("--unsafe-no-fsync")
        .arg("--data-dir")
        .arg(folder.join("etcd"))
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("default={peer}")]);
    Ok(command)
}

fn apiserver(folder: &Path, etcd: u16, secure: u16) -> Result<Command> {
    let at = |name: &str| folder.join(name).display().to_string();
    let mut command = Command::new(programs::apiserver()?);
    command
        .arg(format!("--etcd-servers=http://127.0.0.1:{etcd}"))
        .arg(format!("--secure-port={secure}"))
        .args(["--bind-address=127.0.0.1", "--endpoint-reconciler-type=none"])
        .args(["--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16"])
        // Without a controller no namespace has a ServiceAccount, and nothing runs that would need one.
        .args(["--disable-admission-plugins=ServiceAccount", "--profiling=false"])
        .arg(format!("--client-ca-file={}", at("ca.crt")))
        .arg(format!("--tls-cert-file={}", at("apiserver.crt")))
        .arg(format!("--tls-private-key-file={}", at("apiserver.key")))
        .arg(format!("--service-account-key-file={}", at("sa.pub")))
        .arg(format!("--service-account-signing-key-file={}", at("sa.key")))
        .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local");
    Ok(command)
}

/// Three that nobody listens on now.
fn free_ports() -> Result<[u16; 3]> {
    let listeners = [0; 3].map(|any| TcpListener::bind((Ipv4Addr::LOCALHOST, any)));
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(listeners) {
        *port = listener
            .and_then(|listener| listener.local_addr())
            .context("looking for a free port")?
            .port();
    }
    Ok(ports)
}

fn is_ready(kubectl: &Path, folder: &Path) -> bool {
    Command::new(kubectl)
        .arg("--kubeconfig")
        .arg(kubeconfig(folder))
        .args(["get", "--raw", "/readyz"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn wait(processes: &Processes, is_up: impl Fn() -> bool) -> Result<()> {
    let limit = Instant::now() + LIMIT;
    while !is_up() {
        processes.check()?;
        if Instant::now() > limit {
            bail!("the cluster is not ready after {} s", LIMIT.as_secs());
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// A kubeconfig that holds everything, for its owner only.
fn write_kubeconfig(folder: &Path, secure: u16) -> Result<()> {
    let at = |name: &str| folder.join(name).display().to_string();
    let mut text = String::from("apiVersion: v1\nkind: Config\n");
    let _ = writeln!(
        text,
        "clusters: [{{name: sluice, cluster: {{server: \"https://127.0.0.1:{secure}\", certificate-authority: \"{}\"}}}}]",
        at("ca.crt")
    );
    let _ = writeln!(
        text,
        "users: [{{name: admin, user: {{client-certificate: \"{}\", client-key: \"{}\"}}}}]",
        at("admin.crt"),
        at("admin.key")
    );
    text.push_str("contexts: [{name: sluice, context: {cluster: sluice, user: admin}}]\ncurrent-context: sluice\n");
    fs::write(folder.join("server"), format!("https://127.0.0.1:{secure}")).context("writing the server's address")?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(kubeconfig(folder))
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .context("writing the kubeconfig")
}
