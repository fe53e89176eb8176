// SPDX-License-Identifier: Apache-2.0
//! Clients that keep their connection as long as nobody asks them to close it, and count what failed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::rig::{Field, Rig};
use crate::role::{self, Role};

/// No request of a case takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nor does a load of so many requests.
const LIMIT: Duration = Duration::from_secs(180);

/// What some clients do, each again and again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Load {
    /// How many of them.
    pub clients: u32,
    /// The address they connect to.
    pub to: SocketAddr,
    /// Their `Host`.
    pub host: String,
    /// Further header lines, each with its end.
    pub headers: String,
    /// How long the application sleeps, ms.
    pub sleep: u64,
    /// Whether each keeps its connection.
    pub keeps: bool,
    /// How many requests each sends; none: until told to stop.
    pub requests: Option<u64>,
}

impl Load {
    /// Clients of an address.
    pub fn to(to: SocketAddr, clients: u32) -> Self {
        Self {
            clients,
            to,
            host: "app.example.com".to_owned(),
            headers: String::new(),
            sleep: 0,
            keeps: true,
            requests: None,
        }
    }

    /// The application sleeps.
    pub fn sleep(self, sleep: u64) -> Self {
        Self { sleep, ..self }
    }

    /// So many requests each.
    pub fn requests(self, requests: u64) -> Self {
        let requests = Some(requests);
        Self { requests, ..self }
    }

    /// A connection a request.
    pub fn anew(self) -> Self {
        Self { keeps: false, ..self }
    }

    /// Another `Host`.
    pub fn host(self, host: &str) -> Self {
        let host = host.to_owned();
        Self { host, ..self }
    }

    /// One more header.
    pub fn header(self, line: &str) -> Self {
        let headers = format!("{}{line}\r\n", self.headers);
        Self { headers, ..self }
    }
}

/// What became of the requests since the last question.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Answers by status and body.
    pub answers: BTreeMap<String, u64>,
    /// Connections that were ended with an answer, as asked.
    pub sent_off: u64,
    /// Connections that ended in any other way, and requests without an answer.
    pub failed: Vec<String>,
}

impl Outcome {
    /// How many were answered.
    pub fn answered(&self) -> u64 {
        self.answers.values().sum()
    }
}

#[derive(Serialize, Deserialize)]
enum Order {
    Start(Load),
    Stop,
    Look,
}

/// The clients' process.
pub struct Clients(Role);

impl Clients {
    /// Starts it inside a cgroup and the client's namespace.
    pub fn start(rig: &Rig, field: &Field, cgroup: &Path) -> Result<Self> {
        Role::start(rig, Some(cgroup), Some(&field.client), "steered-client", Value::Null).map(Self)
    }

    /// Starts clients beside those that run.
    pub fn start_load(&self, load: Load) -> Result<()> {
        self.order(&Order::Start(load)).map(drop)
    }

    /// What happened since the last look.
    pub fn look(&self) -> Result<Outcome> {
        self.order(&Order::Look)
    }

    /// Has all finish what they have.
    pub fn stop(&self) -> Result<Outcome> {
        self.order(&Order::Stop)
    }

    /// A load of so many requests, to its end.
    pub fn run(&self, load: Load) -> Result<Outcome> {
        let expected = u64::from(load.clients) * load.requests.context("a load without an end")?;
        self.start_load(load)?;
        let (mut sum, begun) = (Outcome::default(), Instant::now());
        while sum.answered() + (sum.failed.len() as u64) < expected {
            std::thread::sleep(Duration::from_millis(5));
            let Outcome {
                answers,
                sent_off,
                failed,
            } = self.look()?;
            for (answer, count) in answers {
                *sum.answers.entry(answer).or_default() += count;
            }
            sum.sent_off += sent_off;
            sum.failed.extend(failed);
            ensure!(begun.elapsed() < LIMIT, "of {expected} requests {sum:?} in {LIMIT:?}");
        }
        Ok(sum)
    }

    fn order(&self, order: &Order) -> Result<Outcome> {
        self.0.ask(&serde_json::to_string(order)?)
    }
}

#[derive(Default)]
struct Shared {
    outcome: Mutex<Outcome>,
    stops: AtomicBool,
}

/// The job `steered-client`.
pub fn job(_: Value) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shared = Arc::new(Shared::default());
    let (orders, mut ordered) = mpsc::channel::<(Load, Arc<Shared>)>(16);
    let (idle, is_idle) = std::sync::mpsc::channel();
    let mut current = Arc::clone(&shared);
    role::answer_questions(move |question| {
        match serde_json::from_str(question)? {
            Order::Start(load) => {
                orders.blocking_send((load, Arc::clone(&current)))?;
                // What is answered already is for who looks.
                return Ok(serde_json::to_value(Outcome::default())?);
            }
            Order::Look => {}
            Order::Stop => {
                current.stops.store(true, Ordering::Relaxed);
                // An empty load is answered when all others are done.
                let none = Load::to(SocketAddr::from(([0, 0, 0, 0], 0)), 0);
                orders.blocking_send((none, Arc::clone(&current)))?;
                is_idle
                    .recv_timeout(PATIENCE * 2)
                    .context("clients did not come to an end")?;
                let outcome = take(&current);
                current = Arc::default();
                return Ok(serde_json::to_value(outcome)?);
            }
        }
        Ok(serde_json::to_value(take(&current))?)
    })?;
    runtime.block_on(async {
        let mut running = JoinSet::new();
        while let Some((load, shared)) = ordered.recv().await {
            if load.clients == 0 {
                while running.join_next().await.is_some() {}
                idle.send(())?;
                continue;
            }
            for _ in 0..load.clients {
                running.spawn(one(load.clone(), Arc::clone(&shared)));
            }
        }
        Ok(())
    })
}

fn take(shared: &Shared) -> Outcome {
    std::mem::take(&mut *shared.outcome.lock().unwrap_or_else(PoisonError::into_inner))
}

async fn one(load: Load, shared: Arc<Shared>) {
    let mut kept = None;
    let mut left = load.requests;
    while left != Some(0) && !shared.stops.load(Ordering::Relaxed) {
        left = left.map(|left| left - 1);
        let done = timeout(PATIENCE, request(&load, kept.take())).await;
        let failures = note(&shared, done, load.keeps, &mut kept);
        if failures > 1000 {
            return;
        }
        if kept.is_none() {
            // A client that fails at once must not starve the others.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

type Answered = (String, Option<TcpStream>);

/// Writes down what became of a request; how many have failed.
fn note(shared: &Shared, done: Result<Result<Answered>, Elapsed>, keeps: bool, kept: &mut Option<TcpStream>) -> usize {
    let mut outcome = shared.outcome.lock().unwrap_or_else(PoisonError::into_inner);
    match done {
        Ok(Ok((answer, stream))) => {
            *outcome.answers.entry(answer).or_default() += 1;
            outcome.sent_off += u64::from(keeps && stream.is_none());
            *kept = stream.filter(|_| keeps);
        }
        Ok(Err(error)) => outcome.failed.push(format!("{error:#}")),
        Err(_) => outcome.failed.push("no answer in time".to_owned()),
    }
    outcome.failed.len()
}

/// The answer as `status body`, and the connection unless it is to be closed.
async fn request(load: &Load, kept: Option<TcpStream>) -> Result<Answered> {
    let (how, mut stream) = match kept {
        Some(stream) => ("kept", stream),
        None => ("new", TcpStream::connect(load.to).await.context("connecting")?),
    };
    stream.set_nodelay(true)?;
    let Load {
        host, headers, sleep, ..
    } = load;
    let head = format!("GET /sleep/{sleep} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.context(how)?;
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut read).await.context(how)? == 0 {
            bail!("a {how} connection ended without an answer");
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .context("an answer without a length")?;
    while read.len() < end + length {
        if stream.read_buf(&mut read).await.context(how)? == 0 {
            bail!("a {how} connection ended within an answer");
        }
    }
    let status = head.split(' ').nth(1).unwrap_or_default();
    let body = String::from_utf8_lossy(&read[end..]);
    let closes = head.contains("\r\nconnection: close\r\n");
    Ok((format!("{status} {}", body.trim()), (!closes).then_some(stream)))
}
