// SPDX-License-Identifier: Apache-2.0
//! The gateway in its process, the neighbour, and raw clients.

use crate::secured::{self, Secured};
use life::Tasks;
use logic::limiter;
use logic::traffic::{BackendPort, Destination, PathRule, Rule, Split, Table};
use proxy::{
    Door, Entry, Front, Health, Identity, Limits, Logging, NextHop, PodProtocol, Probes, Revision, Revisions, Room,
    Routes, Timeouts,
};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

pub(crate) const HOST: &str = "app.example.com";
/// Has no pod.
pub(crate) const HELD: &str = "held.example.com";
/// The most in all.
pub(crate) const CONNECTIONS: usize = 1000;
const CHILD: &str = "SLUICE_FLOODED";

/// More in the long form, as far as the limits of the process allow.
pub(crate) fn larger(count: usize) -> usize {
    match std::env::var_os("SLUICE_LONG") {
        Some(_) => (count * 8).min(8000),
        None => count,
    }
}

fn limits() -> Limits {
    Limits {
        request_head: 64 << 10,
        header_count: 100,
        head_time: Duration::from_secs(1),
        write_time: Duration::from_secs(1),
        body_time: Duration::from_secs(1),
        request_body: 1 << 20,
        handshake_time: Duration::from_secs(5),
        // Fewer than floods have open: none of them keeps one.
        handshakes: 4,
        control_frames: 1000,
        all_connections: larger(CONNECTIONS) + 200,
        all_streams: 1000,
        all_heads: 8 << 20,
        all_windows: 16 << 20,
        ..Limits::default()
    }
}

/// A gateway under flood, and who asks it beside.
pub(crate) struct Flooded {
    pub(crate) address: SocketAddr,
    pub(crate) secured: Secured,
    process: Killed,
    before: usize,
    is_paused: Arc<AtomicBool>,
    neighbour: tokio::task::JoinHandle<()>,
    most: Arc<AtomicUsize>,
}

impl Flooded {
    pub(crate) async fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["server_process", "--exact", "--ignored", "--nocapture"])
            .env(CHILD, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut said = String::new();
        let (address, secured) = loop {
            let line = lines.next().unwrap().unwrap();
            if let Some((_, addresses)) = line.split_once("serves ") {
                let (address, secured) = addresses.split_once(' ').unwrap();
                break (address.parse().unwrap(), Secured::new(secured.parse().unwrap(), &said));
            }
            said = said + &line + "\n";
        };
        for _ in 0..20 {
            assert!(ask(address, &get("/", HOST)).await.starts_with("HTTP/1.1 200 "));
        }
        let pid = process.id();
        let (is_paused, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (paused, peak) = (Arc::clone(&is_paused), Arc::clone(&most));
        let neighbour = tokio::spawn(async move {
            loop {
                peak.fetch_max(memory(pid), SeqCst);
                if !paused.load(SeqCst) {
                    let answer = timeout(Duration::from_secs(10), ask(address, &get("/", HOST))).await;
                    let answer = answer.expect("the neighbour is answered");
                    assert!(answer.starts_with("HTTP/1.1 200 "), "the neighbour got: {answer}");
                }
                sleep(Duration::from_millis(20)).await;
            }
        });
        Self {
            address,
            secured,
            before: memory(pid),
            process: Killed(process),
            is_paused,
            neighbour,
            most,
        }
    }

    /// No neighbour from now on.
    pub(crate) async fn pause(&self) {
        self.is_paused.store(true, SeqCst);
        sleep(Duration::from_millis(300)).await;
    }

    /// Returns when what the server counts under this name is so many.
    pub(crate) async fn until(&self, name: &str, count: usize) {
        let mut answer = String::new();
        for _ in 0..600 {
            answer = ask(self.address, &get(name, HOST)).await;
            if answer.ends_with(&format!("\r\n\r\n{count}")) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{name} is not {count}: {answer:?}");
    }

    /// What the server counts under this name.
    pub(crate) async fn count(&self, name: &str) -> usize {
        let answer = ask(self.address, &get(name, HOST)).await;
        let (_, count) = answer.split_once("\r\n\r\n").unwrap();
        count.parse().unwrap()
    }

    /// Fails if the neighbour was not served, or memory grew by more than that at any time.
    pub(crate) async fn end(self, most: usize) {
        sleep(Duration::from_millis(50)).await;
        if self.neighbour.is_finished() {
            self.neighbour.await.unwrap();
            return;
        }
        self.neighbour.abort();
        let grown = self.most.load(SeqCst).saturating_sub(self.before);
        assert!(grown <= most, "memory grew by {} KiB", grown >> 10);
        println!("memory grew by {} KiB of {} KiB", grown >> 10, most >> 10);
        drop(self.process);
    }
}

/// Ends with the test, however it ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Bytes of a process in memory.
fn memory(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: usize = line
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0);
    kib << 10
}

/// A small request.
pub(crate) fn get(path: &str, host: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

/// A client with little room for what it is sent.
pub(crate) async fn narrow(to: SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(to).await.unwrap()
}

pub(crate) async fn connect(to: SocketAddr) -> TcpStream {
    TcpStream::connect(to).await.unwrap()
}

/// Everything until the end, or what came in twenty seconds.
pub(crate) async fn rest(mut from: TcpStream) -> String {
    let mut all = Vec::new();
    let read = timeout(Duration::from_secs(20), from.read_to_end(&mut all)).await;
    assert!(
        read.is_ok(),
        "the connection goes on after {:?}",
        String::from_utf8_lossy(&all)
    );
    String::from_utf8_lossy(&all).into_owned()
}

/// One request, and the answer with as much of its body as it says.
pub(crate) async fn ask(to: SocketAddr, request: &str) -> String {
    let (mut reader, mut writer) = connect(to).await.into_split();
    let asking = async {
        // It may be refused before it is all there.
        drop(writer.write_all(request.as_bytes()).await);
        std::future::pending::<()>().await;
    };
    let answering = async {
        let (mut all, mut piece) = (String::new(), [0; 4096]);
        while let Ok(length @ 1..) = reader.read(&mut piece).await {
            all += &String::from_utf8_lossy(&piece[..length]);
            let length = all
                .split_once("Content-Length: ")
                .and_then(|(_, rest)| rest.split("\r\n").next()?.parse().ok());
            let body = all.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
            if all.contains("\r\n\r\n") && length.is_some_and(|length: usize| body >= length) {
                break;
            }
        }
        all
    };
    tokio::select! {
        all = answering => all,
        () = asking => unreachable!(),
    }
}

/// What the application counts, and the gateway.
#[derive(Default)]
struct Counts {
    begun: AtomicUsize,
    open: AtomicUsize,
    room: Room,
}

impl Counts {
    /// How many a limit refused or ended.
    fn limited(&self, name: &str) -> u64 {
        let mut all = self.room.refusals();
        all.find(|(limit, _)| limit.name() == name).unwrap().1
    }
}

/// The other process: serves until its input ends.
pub(crate) async fn serve() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let tasks = Tasks::new();
    let revisions = Arc::new(Revisions::default());
    let [app, held] = ["app", "held"].map(revision);
    revisions.insert(Arc::clone(&app));
    revisions.insert(Arc::clone(&held));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    app.set_pods(&[(listener.local_addr().unwrap(), true)]);
    let (counts, inner) = (Arc::<Counts>::default(), tasks.clone());
    let room = counts.room.clone();
    tasks.spawn("app", async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            inner.spawn(
                "app's connection",
                answer(stream, Arc::clone(&counts), Arc::clone(&held)),
            );
        }
    });
    let routes = Routes::default();
    routes.replace(Table::build([rule(HOST, "app"), rule(HELD, "held")]).0);
    let (certificates, pem) = secured::certificates();
    let door = |front| Door {
        peers: None,
        entry: Entry::ByRoute(Arc::clone(&revisions), routes.clone()),
        front,
        probes: Probes::Gateway,
        inside: None,
        next: NextHop::App { restore_host: false },
        limits: limits(),
        timeout_text: "request timeout",
        cluster_domain: "cluster.local".to_owned(),
        log: Logging::default(),
        health: Health::default(),
        tasks: tasks.clone(),
    };
    let plain = Front {
        room,
        ..Front::default()
    };
    let encrypted = Front {
        tls: Some(certificates),
        ..plain.clone()
    };
    let mut addresses = Vec::new();
    for front in [plain, encrypted] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.push(listener.local_addr().unwrap().to_string());
        tasks.spawn("gateway", proxy::listen(listener, Arc::new(door(front))));
    }
    println!("{pem}\nserves {}", addresses.join(" "));
    drop(tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0])).await);
    tasks.stop().await;
}

fn revision(name: &str) -> Arc<Revision> {
    let identity = Identity {
        namespace: "ns".to_owned(),
        name: name.to_owned(),
        ..Identity::default()
    };
    let timeouts = Timeouts {
        request: Duration::from_secs(60),
        ..Timeouts::default()
    };
    Revision::with_protocol(identity, timeouts, limiter::Settings::new(0), PodProtocol::Http1)
}

fn rule(host: &str, to: &str) -> Rule<Destination> {
    Rule {
        owner: host.to_owned(),
        hosts: vec![host.to_owned()],
        paths: vec![PathRule {
            prefix: String::new(),
            conditions: Vec::new(),
            split: Split::whole(Destination::new("ns", to, BackendPort::Number(80))),
        }],
    }
}

/// Answers with `ok`, a count, or 256 MiB; reads chunked bodies to their end before.
async fn answer(mut stream: TcpStream, counts: Arc<Counts>, held: Arc<Revision>) {
    let (mut ahead, mut piece) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let is_whole = |all: &[u8]| match all.windows(4).position(|four| four == b"\r\n\r\n") {
            Some(end) if all[..end].starts_with(b"POST") => all.ends_with(b"\r\n0\r\n\r\n"),
            other => other.is_some(),
        };
        while !is_whole(&ahead) {
            match stream.read(&mut piece).await {
                Ok(length @ 1..) => ahead.extend_from_slice(&piece[..length]),
                _ => return,
            }
        }
        let line = String::from_utf8_lossy(&ahead).lines().next().unwrap().to_owned();
        ahead = Vec::new();
        let body = match line.split(' ').nth(1).unwrap() {
            "/begun" => counts.begun.load(SeqCst).to_string(),
            "/open" => counts.open.load(SeqCst).to_string(),
            "/waiting" => held.counts().waiting.to_string(),
            "/big" => {
                counts.begun.fetch_add(1, SeqCst);
                counts.open.fetch_add(1, SeqCst);
                let mut written = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 268435456\r\n\r\n")
                    .await;
                for _ in 0..4096 {
                    if written.is_ok() {
                        written = stream.write_all(&piece).await;
                    }
                }
                counts.open.fetch_sub(1, SeqCst);
                continue;
            }
            "/some" => "x".repeat(100_000),
            path if path.starts_with("/limit/") => counts.limited(&path["/limit/".len()..]).to_string(),
            _ => "ok".to_owned(),
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
