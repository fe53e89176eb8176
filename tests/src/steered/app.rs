// SPDX-License-Identifier: Apache-2.0
//! Pods: one process, a port a pod, HTTP/1.1 with keep-alive. It knows who came and how many it had at once.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::rig::{Field, POD_PORT, Rig};
use crate::role::{self, Role};

/// What a pod saw since it was asked last.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Requests begun.
    pub requests: u64,
    /// In flight now.
    pub in_flight: u64,
    /// Addresses of clients, without ports.
    pub peers: BTreeSet<String>,
}

/// The pods' process.
pub struct App(Role);

impl App {
    /// Starts it inside a cgroup and the pod's namespace.
    pub fn start(rig: &Rig, field: &Field, cgroup: &Path, pods: u16) -> Result<Self> {
        Role::start(rig, Some(cgroup), Some(&field.pod), "steered-app", pods).map(Self)
    }

    /// What each pod saw since the last question.
    pub fn seen(&self) -> Result<Vec<Seen>> {
        self.0.ask("seen")
    }
}

type Book = Arc<Mutex<Vec<Seen>>>;

/// The job `steered-app`.
pub fn job(settings: Value) -> Result<()> {
    let pods: u16 = serde_json::from_value(settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let book: Book = Arc::new(Mutex::new(vec![Seen::default(); pods.into()]));
        let mut listening = JoinSet::new();
        for pod in 0..pods {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, POD_PORT + pod)).await?;
            listening.spawn(accept(listener, pod.into(), Arc::clone(&book)));
        }
        role::answer_questions(move |question| match question {
            "seen" => {
                let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
                let seen = serde_json::to_value(&*book)?;
                for pod in book.iter_mut() {
                    (pod.requests, pod.peers) = (0, BTreeSet::new());
                }
                Ok(seen)
            }
            other => bail!("unknown question {other:?}"),
        })?;
        listening.join_all().await;
        Ok(())
    })
}

async fn accept(listener: TcpListener, pod: usize, book: Book) {
    let mut serving = JoinSet::new();
    loop {
        while serving.try_join_next().is_some() {}
        if let Ok((stream, peer)) = listener.accept().await {
            let book = Arc::clone(&book);
            serving.spawn(async move {
                // A client that goes is an ordinary end.
                let _ = serve(stream, peer.ip().to_string(), pod, &book).await;
            });
        }
    }
}

/// `GET /sleep/MS`: the pod's number and the client's address after so many milliseconds.
async fn serve(mut stream: TcpStream, peer: String, pod: usize, book: &Book) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut head = Vec::new();
    loop {
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        head.clear();
        let here = InFlight::begin(book, pod, &peer);
        let milliseconds = text
            .strip_prefix("GET /sleep/")
            .and_then(|rest| rest.split(' ').next()?.parse().ok());
        tokio::time::sleep(Duration::from_millis(milliseconds.unwrap_or(0))).await;
        let body = format!("{pod} {peer}");
        let response = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        drop(here);
        stream.write_all(response.as_bytes()).await?;
    }
}

struct InFlight<'b>(&'b Book, usize);

impl<'b> InFlight<'b> {
    fn begin(book: &'b Book, pod: usize, peer: &str) -> Self {
        let mut all = book.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = all.get_mut(pod) {
            seen.requests += 1;
            seen.in_flight += 1;
            if !seen.peers.contains(peer) {
                seen.peers.insert(peer.to_owned());
            }
        }
        Self(book, pod)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(seen) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(self.1) {
            seen.in_flight -= 1;
        }
    }
}
