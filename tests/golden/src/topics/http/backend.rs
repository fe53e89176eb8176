// SPDX-License-Identifier: Apache-2.0
//! Pods that follow a script, and put down what they were sent.
//!
//! Mechanism: pod number i is 127.0.0.i, all at one port; a connection is told apart by its first bytes.
//! Invariants: a port is bound from the beginning, so that nobody else gets it while a script refuses.
//! Depends on: words, backend_two.

use super::backend_two;
use super::pod::{Pod, Seen, locked};
use super::words::{self, Head, about, masked};
use anyhow::{Context as _, Result};
use life::Tasks;
use serde_json::{Map, Value, json};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// A pod waits for so long at most.
const PATIENCE: Duration = Duration::from_secs(20);

/// The pods of a case.
pub(super) struct Pods {
    pub(super) port: u16,
    shared: Vec<Arc<Pod>>,
    log: Arc<Mutex<Seen>>,
    start: Arc<tokio::sync::watch::Sender<Option<Instant>>>,
}

impl Pods {
    pub(super) fn start(scripts: &[Value], answers_probes: bool, tasks: &Tasks) -> Result<Self> {
        let log = Arc::new(Mutex::new(Seen::default()));
        let start = Arc::new(tokio::sync::watch::Sender::new(None));
        let mut port = 0;
        let mut shared = Vec::new();
        for (index, script) in scripts.iter().enumerate() {
            let ip = Ipv4Addr::new(127, 0, 0, u8::try_from(index + 1).context("too many pods")?);
            let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_nonblocking(true)?;
            socket.bind(&SocketAddr::from((ip, port)).into())?;
            port = socket.local_addr()?.as_socket().context("no port")?.port();
            let pod = Arc::new(Pod {
                script: script.clone(),
                ip: ip.into(),
                answers_probes,
                is_one_of_many: scripts.len() > 1,
                counts: Mutex::default(),
                log: Arc::clone(&log),
            });
            shared.push(Arc::clone(&pod));
            let is_later = script["listen_after_ms"].is_u64() || script["refuse"] == true;
            if !is_later {
                socket.listen(i32::try_from(script["backlog"].as_u64().unwrap_or(128))?)?;
            }
            let (begun, inner) = (start.subscribe(), tasks.clone());
            tasks.spawn("pod", async move { drop(run(pod, socket, begun, inner).await) });
        }
        Ok(Self {
            port,
            shared,
            log,
            start,
        })
    }

    /// The clients start now.
    pub(super) fn begin(&self, at: Instant) {
        self.start.send_replace(Some(at));
    }

    /// The requests, in order of arrival.
    pub(super) fn seen(&self) -> Value {
        let seen = locked(&self.log);
        let requests = seen.requests.iter().cloned().map(Value::Object).collect();
        masked(requests, self.port)
    }

    /// The first probe of the activator.
    pub(super) fn probe(&self) -> Value {
        debug_assert!(!self.shared.is_empty());
        masked(locked(&self.log).probe.clone(), self.port)
    }
}

async fn run(
    pod: Arc<Pod>,
    socket: Socket,
    mut begun: tokio::sync::watch::Receiver<Option<Instant>>,
    tasks: Tasks,
) -> Result<()> {
    let script = pod.script.clone();
    if script["refuse"] == true {
        std::future::pending::<()>().await;
    }
    let at = |key: &str| script[key].as_u64().map(Duration::from_millis);
    // With a backlog of none one connection fills the queue, and others time out.
    let address = SocketAddr::new(pod.ip, socket.local_addr()?.as_socket().context("no port")?.port());
    let mut fillers = Vec::new();
    if at("stall_accept_ms").is_some() {
        while let Ok(Ok(filler)) = timeout(Duration::from_millis(20), TcpStream::connect(address)).await {
            fillers.push(filler);
        }
    }
    let filler_ports: Vec<u16> = fillers
        .iter()
        .filter_map(|filler| Some(filler.local_addr().ok()?.port()))
        .collect();
    if let Some(wait) = at("stall_accept_ms").or(at("listen_after_ms")) {
        let begin = begun.wait_for(Option::is_some).await?.unwrap_or_else(Instant::now);
        sleep_until(begin + wait).await;
        if at("listen_after_ms").is_some() {
            socket.listen(128)?;
        }
    }
    let listener = TcpListener::from_std(socket.into())?;
    loop {
        let (stream, peer) = listener.accept().await?;
        if filler_ports.contains(&peer.port()) {
            continue;
        }
        let number = {
            let mut counts = locked(&pod.counts);
            counts.connections += 1;
            counts.connections
        };
        let (pod, inner) = (Arc::clone(&pod), tasks.clone());
        tasks.spawn("pod's connection", async move {
            drop(connection(pod, stream, number, inner).await);
        });
    }
}

/// How a step left the connection.
#[derive(PartialEq)]
enum After {
    Open,
    Closed,
}

struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    async fn fill(&mut self) -> bool {
        let mut piece = vec![0; 64 << 10];
        match timeout(PATIENCE, self.stream.read(&mut piece)).await {
            Ok(Ok(count)) if count > 0 => {
                self.buffer.extend_from_slice(piece.get(..count).unwrap_or_default());
                true
            }
            _ => false,
        }
    }
}

async fn connection(pod: Arc<Pod>, stream: TcpStream, number: u64, tasks: Tasks) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut wire = Wire {
        stream,
        buffer: Vec::new(),
    };
    loop {
        let head = loop {
            if wire.buffer.starts_with(b"PRI * HTTP/2.0\r\n\r\n") {
                if pod.script["http1_only"] == true {
                    pod.put(number, json!({"http2_preface": true}));
                    wire.stream
                        .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                        .await?;
                    return Ok(());
                }
                return backend_two::connection(pod, wire.stream, wire.buffer, number, tasks).await;
            }
            if let Some(head) = Head::read(&wire.buffer) {
                break head;
            }
            if !wire.fill().await {
                return Ok(());
            }
        };
        wire.buffer.drain(..head.length);
        if pod.is_probe(&head) {
            wire.stream.write_all(pod.probe_answer(&head).as_bytes()).await?;
            continue;
        }
        if pod.one(&head, number, &mut wire).await? == After::Closed {
            return Ok(());
        }
    }
}

impl Pod {
    async fn one(&self, head: &Head, number: u64, wire: &mut Wire) -> Result<After> {
        let arrived = Instant::now();
        let place = self.put(number, json!({"request_line": head.first, "headers": head.told()}));
        let script = self.next_script(json!({"respond": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"}));
        let framing = words::framing(head);
        let reads_later = script.first().is_some_and(|step| step["read"] == "head");
        let mut has_read = framing == "none";
        if !reads_later && !has_read {
            has_read = true;
            if !self.read_body(head, framing, place, wire).await {
                return Ok(After::Closed);
            }
        }
        for step in &script {
            if let Some(wait) = step["delay_ms"].as_u64() {
                sleep(Duration::from_millis(wait)).await;
            }
            if step["read_body"] == true && !has_read {
                has_read = true;
                if !self.read_body(head, framing, place, wire).await {
                    return Ok(After::Closed);
                }
            }
            if !step["respond"].is_null() {
                wire.stream.write_all(&words::bytes_of(&step["respond"])).await?;
            }
            if step["echo_raw"] == true {
                echo(wire, place, self).await;
                self.note(place, |entry| {
                    put_after(entry, "proxy_closed_connection_after", arrived)
                });
            }
            if step["wait_close"] == true {
                while wire.fill().await {}
                self.note(place, |entry| {
                    put_after(entry, "proxy_closed_connection_after", arrived)
                });
                return Ok(After::Closed);
            }
            if step["half_close"] == true {
                wire.stream.shutdown().await?;
            }
            if step["reset"] == true {
                SockRef::from(&wire.stream).set_linger(Some(Duration::ZERO))?;
                return Ok(After::Closed);
            }
            if step["close"] == true {
                return Ok(After::Closed);
            }
        }
        Ok(After::Open)
    }

    /// Whether all of it came.
    async fn read_body(&self, head: &Head, framing: &str, place: usize, wire: &mut Wire) -> bool {
        loop {
            let body = words::body(framing, head, &wire.buffer, false);
            let has_more = !body.is_complete && wire.fill().await;
            if has_more {
                continue;
            }
            self.note(place, |entry| {
                words::put_body(entry, framing, &body);
                if !body.is_complete {
                    entry.insert("body_complete".to_owned(), false.into());
                }
            });
            wire.buffer.drain(..body.length.min(wire.buffer.len()));
            return body.is_complete;
        }
    }
}

fn put_after(entry: &mut Map<String, Value>, key: &str, since: Instant) {
    entry.insert(key.to_owned(), about(since.elapsed()).into());
}

async fn echo(wire: &mut Wire, place: usize, pod: &Pod) {
    let mut all = Vec::new();
    loop {
        let piece = std::mem::take(&mut wire.buffer);
        all.extend_from_slice(&piece);
        if wire.stream.write_all(&piece).await.is_err() || !wire.fill().await {
            break;
        }
    }
    pod.note(place, |entry| {
        entry.insert("raw_received".to_owned(), super::bytes::told(&all));
    });
}
