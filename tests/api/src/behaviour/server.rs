// SPDX-License-Identifier: Apache-2.0
//! A server under test and one request to it.
//!
//! Invariants: what was started ends with the [`Server`].
//! Depends on: stream, standalone, kubectl.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::{sync::mpsc, thread};

use anyhow::{Context, Result};
use serde_json::Value;
use standalone::http::{Api, Limits, serve};
use standalone::state::State;

use super::stream::{self, Lines};

/// A server under test.
pub(super) struct Server {
    address: SocketAddr,
    proxy: Option<Child>,
}

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) body: Value,
}

impl Server {
    /// The embedded API, in a thread of its own until this process ends.
    pub(super) fn embedded() -> Result<Self> {
        let (found, address) = mpsc::channel();
        thread::spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let state = Arc::new(State::in_memory());
                let api = Api::new(state, api::context::Settings::default(), Limits::default())?;
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
                found.send(listener.local_addr()?)?;
                match serve(listener, Arc::new(api)).await? {}
            })
        });
        Ok(Self {
            address: address.recv().context("the embedded API does not start")?,
            proxy: None,
        })
    }

    /// The real one, through a proxy that adds the certificates.
    pub(super) fn real(folder: &Path, kubectl: &Path) -> Result<Self> {
        let mut proxy = Command::new(kubectl)
            .arg("--kubeconfig")
            .arg(folder.join("kubeconfig"))
            .args(["proxy", "--port=0"])
            .stdout(Stdio::piped())
            .spawn()
            .context("kubectl does not start")?;
        let mut said = String::new();
        let output = proxy.stdout.take().context("invariant: standard output is piped")?;
        BufReader::new(output).read_line(&mut said)?;
        let address = said.trim().rsplit(' ').next().and_then(|word| word.parse().ok());
        Ok(Self {
            address: address.with_context(|| format!("kubectl proxy says {said:?}"))?,
            proxy: Some(proxy),
        })
    }

    /// What kubectl says, on both of its outputs, however it ends.
    pub(super) fn kubectl(&self, kubectl: &Path, arguments: &[&str], input: &str) -> Result<String> {
        let cache = std::env::temp_dir().join(format!("sluice-behaviour-{}", self.address.port()));
        let mut child = Command::new(kubectl)
            .arg(format!("--server=http://{}", self.address))
            .arg("--cache-dir")
            .arg(&cache)
            .args(arguments)
            .env("KUBECONFIG", "/dev/null")
            .env("EDITOR", "sed -i s/a:.*1.*/a:\\ edited/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("kubectl does not start")?;
        let mut stdin = child.stdin.take().context("invariant: standard input is piped")?;
        stdin.write_all(input.as_bytes())?;
        drop(stdin);
        let output = child.wait_with_output().context("waiting for kubectl")?;
        let said = [output.stdout, output.stderr].concat();
        // Another case may use the same folder; what cannot be removed now is removed then.
        let _ = std::fs::remove_dir_all(&cache);
        Ok(String::from_utf8_lossy(&said).into_owned())
    }

    /// Asks, and reads the whole answer.
    pub(super) fn ask(&self, method: &str, path: &str, media: &str, body: &str) -> Result<Answer> {
        let mut lines = self.begin(method, path, media, body)?;
        let text = lines.rest()?;
        Ok(Answer {
            code: lines.code,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        })
    }

    /// Asks, and leaves the answer to be read line by line.
    pub(super) fn begin(&self, method: &str, path: &str, media: &str, body: &str) -> Result<Lines> {
        stream::begin(self.address, method, path, media, body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(proxy) = &mut self.proxy {
            // It has ended already, or ends now.
            let _ = proxy.kill();
            let _ = proxy.wait();
        }
    }
}
