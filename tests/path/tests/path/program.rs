// SPDX-License-Identifier: Apache-2.0
//! Programs that are not ours: run to their end, or kept for a test.
//!
//! Invariants: each ends by itself, within a minute; a pod ends with the test.
//! Depends on: nothing.

use crate::gateway::Gateway;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::timeout;

const LONGEST: Duration = Duration::from_secs(60);

/// What it prints.
pub(crate) async fn run(program: &str, arguments: &[&str]) -> String {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).kill_on_drop(true);
    let Ok(output) = timeout(LONGEST, command.output()).await else {
        panic!("{program} {arguments:?} did not end in {LONGEST:?}");
    };
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {text}\n{errors}");
    text
}

/// A script of the folder `clients`.
pub(crate) fn script(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name);
    path.to_str().unwrap().to_owned()
}

/// The file of whom to believe.
pub(crate) fn authority(gateway: &Gateway) -> &str {
    gateway.certificate.file.to_str().unwrap()
}

/// What curl prints when it asks the gateway by TLS.
pub(crate) async fn curl_by_tls(gateway: &Gateway, arguments: &[&str]) -> String {
    let to = format!("::{}", gateway.tls);
    let common = [
        "-sS",
        "--max-time",
        "20",
        "--cacert",
        authority(gateway),
        "--connect-to",
        &to,
    ];
    run("curl", &[&common, arguments].concat()).await
}

/// A pod that is a process and says its port first; what else it says is read by the test.
pub(crate) struct Pod {
    pub(crate) address: SocketAddr,
    pub(crate) lines: Option<std::io::Lines<BufReader<std::process::ChildStdout>>>,
    process: Child,
}

impl Pod {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        let mut process = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port: u16 = lines.next().unwrap().unwrap().parse().unwrap();
        Self {
            address: ([127, 0, 0, 1], port).into(),
            lines: Some(lines),
            process,
        }
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
