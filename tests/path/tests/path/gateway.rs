// SPDX-License-Identifier: Apache-2.0
//! `sluice proxy` with a file of its own; ends with the test.
//!
//! Depends on: certificate.

use crate::certificate::Certificate;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The program while it runs.
pub(crate) struct Gateway {
    /// By plain text.
    pub(crate) address: SocketAddr,
    /// By TLS.
    pub(crate) tls: SocketAddr,
    /// What it vouches for itself with.
    pub(crate) certificate: Certificate,
    process: Child,
    folder: PathBuf,
}

/// A host and what the file says of the revision behind it.
pub(crate) struct Service {
    pub(crate) host: &'static str,
    pub(crate) revision: String,
}

impl Service {
    /// With these pods, by HTTP/1.1.
    pub(crate) fn new(host: &'static str, pods: &[SocketAddr]) -> Self {
        Self::with(host, pods, "")
    }

    /// With more settings: `name: value`, comma between them.
    pub(crate) fn with(host: &'static str, pods: &[SocketAddr], settings: &str) -> Self {
        let pods: Vec<_> = pods.iter().map(ToString::to_string).collect();
        let revision = format!("{{pods: [{}], {settings}}}", pods.join(", "));
        Self { host, revision }
    }
}

impl Gateway {
    /// Each service has a route of its own.
    pub(crate) fn start(services: &[Service]) -> Self {
        Self::run(&config(services))
    }

    /// With the revisions and routes of this text.
    pub(crate) fn run(text: &str) -> Self {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Relaxed);
        let folder = std::env::temp_dir().join(format!("sluice-path-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let certificate = Certificate::make(&folder);
        let file = folder.join("proxy.yaml");
        std::fs::write(&file, format!("{LISTENERS}{text}")).unwrap();
        let mut process = Command::new(program())
            .args(["proxy", "--config"])
            .arg(&file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut address = || -> SocketAddr {
            let line = lines.next().unwrap().unwrap();
            let address = line.strip_prefix("listening on ").unwrap();
            address.split(' ').next().unwrap().parse().unwrap()
        };
        Self {
            address: address(),
            tls: address(),
            certificate,
            process,
            folder,
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

const LISTENERS: &str = "listen: [127.0.0.1:0, {address: 127.0.0.1:0, tls: true}]
certificates: [{hosts: ['*'], cert: tls.crt, key: tls.key}]
";

fn config(services: &[Service]) -> String {
    let mut text = "revisions:\n".to_owned();
    for (number, service) in services.iter().enumerate() {
        writeln!(text, "  rev{number}: {}", service.revision).unwrap();
    }
    text += "routes:\n";
    for (number, service) in services.iter().enumerate() {
        writeln!(text, "  - {{hosts: ['{}'], to: {{rev{number}: 100}}}}", service.host).unwrap();
    }
    text
}

/// Beside the test binary's folder, or as SLUICE_BINARY says.
pub(crate) fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("SLUICE_BINARY") {
        return named.into();
    }
    let test = std::env::current_exe().unwrap();
    let built = test.parent().and_then(|folder| folder.parent()).unwrap().join("sluice");
    assert!(built.is_file(), "no `sluice` beside this test: cargo build -p sluice");
    built
}
