// SPDX-License-Identifier: Apache-2.0
//! `sluice proxy --handover`: one process after the other on the same listeners, and no client notices.
//!
//! Mechanism: clients of both protocols, on kept and on new connections, send POSTs at a constant rate while processes replace
//! each other. A client sends a request again only if it never left, or if GOAWAY says that nobody looked at it (RFC 9113 6.8;
//! hyper does not tell the two apart); everything else that goes wrong is a failure. The pod counts: each arrived once.
//! Depends on: gateway (the program), pods.

use crate::gateway::program;
use crate::pods;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::collections::BTreeMap;
use std::error::Error as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// Between two requests of a client.
const PACE: Duration = Duration::from_millis(25);
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder with a file and a place to meet; goes with the test.
struct Site {
    folder: PathBuf,
}

impl Site {
    fn new(listen: &str, pod: SocketAddr) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Relaxed);
        let folder = std::env::temp_dir().join(format!("sluice-restart-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let site = Self { folder };
        site.write("proxy.yaml", listen, pod);
        site
    }

    fn write(&self, name: &str, listen: &str, pod: SocketAddr) {
        let text = format!(
            "listen: [{listen}]\nrevisions: {{app: {{pods: ['{pod}']}}}}\nroutes: [{{hosts: [app.test], to: {{app: 100}}}}]\n"
        );
        std::fs::write(self.folder.join(name), text).unwrap();
    }

    fn start(&self) -> Process {
        self.start_with("proxy.yaml")
    }

    fn start_with(&self, file: &str) -> Process {
        let child = Command::new(program())
            .args(["proxy", "--drain", "20s", "--config"])
            .arg(self.folder.join(file))
            .arg("--handover")
            .arg(self.folder.join("meet"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Process(child)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// Ends with the test.
struct Process(Child);

impl Process {
    /// Where it listens, once it serves; nothing if it ended before.
    async fn serves(&mut self) -> Option<SocketAddr> {
        let out = self.0.stdout.take().unwrap();
        let reading = tokio::task::spawn_blocking(move || BufReader::new(out).lines().next()?.ok());
        let read = timeout(PATIENCE, reading).await;
        assert!(read.is_ok(), "waited for a process to serve");
        let line = read.unwrap().unwrap()?;
        let address = line.strip_prefix("listening on ").unwrap().split(' ').next().unwrap();
        Some(address.parse().unwrap())
    }

    async fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < Duration::from_secs(40), "waited for a process to end");
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn errors(&mut self) -> String {
        let mut text = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// How often a pod saw which path.
type Seen = Arc<Mutex<BTreeMap<String, u32>>>;

/// Repeats target and body; `/slow…` takes 300 ms, `/long…` two seconds.
async fn pod() -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let into = Arc::clone(&seen);
    let address = pods::listen(move |stream| serve(stream, Arc::clone(&into))).await;
    (address, seen)
}

async fn serve(stream: TcpStream, seen: Seen) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let seen = Arc::clone(&seen);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let path = head.uri.path().to_owned();
            *seen.lock().unwrap().entry(path.clone()).or_default() += 1;
            if path.starts_with("/slow") {
                sleep(Duration::from_millis(300)).await;
            } else if path.starts_with("/long") {
                sleep(Duration::from_secs(2)).await;
            }
            let answer = [path.as_bytes(), b"\n", &body].concat();
            Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from(answer))))
        }
    });
    let server = hyper::server::conn::http1::Builder::new();
    drop(server.serve_connection(TokioIo::new(stream), service).await);
}

/// Whether the server says that it did not look at the request, and ends politely.
fn is_unseen(fault: &hyper::Error) -> bool {
    let cause = fault.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| cause.is_go_away() && cause.is_remote() && cause.reason() == Some(h2::Reason::NO_ERROR))
}

type Sent = Request<Full<Bytes>>;

/// A connection of either protocol.
enum Connection {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    async fn open(address: SocketAddr, is_two: bool) -> Result<Self, String> {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|fault| format!("connecting: {fault}"))?;
        stream.set_nodelay(true).map_err(|fault| fault.to_string())?;
        let said = |fault: hyper::Error| format!("handshake: {fault:?}");
        Ok(match is_two {
            false => {
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
                tokio::spawn(connection);
                Self::One(sender)
            }
            true => {
                let two = http2::Builder::new(TokioExecutor::new());
                let (sender, connection) = two.handshake(TokioIo::new(stream)).await.map_err(said)?;
                tokio::spawn(connection);
                Self::Two(sender)
            }
        })
    }

    /// Whether it may be used (again).
    async fn is_ready(&mut self) -> bool {
        match self {
            Self::One(sender) => sender.ready().await.is_ok(),
            Self::Two(sender) => sender.ready().await.is_ok(),
        }
    }

    async fn send(&mut self, request: Sent) -> Result<Response<Incoming>, TrySendError<Sent>> {
        match self {
            Self::One(sender) => sender.try_send_request(request).await,
            Self::Two(sender) => sender.try_send_request(request).await,
        }
    }
}

/// A client and how it behaves.
struct Client {
    address: SocketAddr,
    is_two: bool,
    keeps: bool,
    connection: Option<Connection>,
}

impl Client {
    fn new(address: SocketAddr, is_two: bool, keeps: bool) -> Self {
        let connection = None;
        Self {
            address,
            is_two,
            keeps,
            connection,
        }
    }

    /// A POST, and the right answer.
    async fn ask(&mut self, path: &str) -> Result<(), String> {
        let uri: Uri = format!("http://app.test{path}").parse().unwrap();
        let body = format!("body of {path}");
        let request = Request::post(match self.is_two {
            true => uri,
            false => path.parse().unwrap(),
        });
        let request = request
            .header("host", "app.test")
            .body(Full::new(Bytes::from(body.clone())));
        let mut request = request.unwrap();
        let again = request.clone();
        loop {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => Connection::open(self.address, self.is_two).await?,
            };
            if !connection.is_ready().await {
                continue;
            }
            let answer = match connection.send(request).await {
                Ok(answer) => answer,
                Err(mut fault) => match fault.take_message() {
                    // It never left: the connection had ended politely.
                    Some(unsent) => {
                        request = unsent;
                        continue;
                    }
                    None if is_unseen(fault.error()) => {
                        request = again.clone();
                        continue;
                    }
                    None => return Err(format!("{path}: {:?}", fault.error())),
                },
            };
            let status = answer.status();
            let collected = answer.into_body().collect().await;
            let said = collected.map_err(|fault| format!("{path}: {fault:?}"))?.to_bytes();
            if status != 200 || said != format!("{path}\n{body}") {
                return Err(format!("{path}: {status} {said:?}"));
            }
            self.connection = self.keeps.then_some(connection);
            return Ok(());
        }
    }
}

/// What all clients came to.
#[derive(Default)]
struct Tally {
    is_over: AtomicBool,
    done: AtomicU64,
    failed: Mutex<Vec<String>>,
}

async fn load(mut client: Client, number: usize, tally: Arc<Tally>) {
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count = 0;
    while !tally.is_over.load(Relaxed) {
        ticks.tick().await;
        count += 1;
        let kind = if count % 40 == number % 40 { "slow" } else { "fast" };
        let asked = timeout(PATIENCE, client.ask(&format!("/{kind}/{number}/{count}"))).await;
        match asked.unwrap_or_else(|_| Err(format!("client {number}: no answer in {PATIENCE:?}"))) {
            Ok(()) => drop(tally.done.fetch_add(1, Relaxed)),
            Err(fault) => {
                client.connection = None;
                tally.failed.lock().unwrap().push(fault);
            }
        }
    }
}

/// So many restarts, and at least so many requests around them.
async fn restarts(restarts: usize, requests: u64) {
    let (pod, seen) = pod().await;
    let site = Site::new("127.0.0.1:0", pod);
    let mut now = site.start();
    let address = now.serves().await.unwrap();
    let tally = Arc::new(Tally::default());
    let mut clients = JoinSet::new();
    let kinds = [(false, true); 8].into_iter().chain([(false, false); 4]);
    let kinds = kinds.chain([(true, true); 4]).chain([(true, false); 2]);
    for (number, (is_two, keeps)) in kinds.enumerate() {
        clients.spawn(load(Client::new(address, is_two, keeps), number, Arc::clone(&tally)));
    }
    for _ in 0..restarts {
        sleep(Duration::from_millis(300)).await;
        let mut next = site.start();
        assert_eq!(next.serves().await, Some(address));
        let status = now.ended().await;
        assert!(status.success(), "{status}: {}", now.errors());
        now = next;
    }
    let begun = Instant::now();
    while tally.done.load(Relaxed) < requests && begun.elapsed() < Duration::from_secs(30) {
        sleep(Duration::from_millis(50)).await;
    }
    tally.is_over.store(true, Relaxed);
    while clients.join_next().await.is_some() {}
    let failed = tally.failed.lock().unwrap().clone();
    assert!(
        failed.is_empty(),
        "{} failed: {:#?}",
        failed.len(),
        failed.get(..10).unwrap_or(&failed)
    );
    let done = tally.done.load(Relaxed);
    println!("{done} requests over {restarts} restarts, none failed");
    assert!(done >= requests, "only {done} requests were made");
    let seen = seen.lock().unwrap();
    let twice: Vec<_> = seen.iter().filter(|(_, count)| **count != 1).take(10).collect();
    assert!(twice.is_empty(), "more than once: {twice:?}");
    assert_eq!(seen.len() as u64, done);
}

/// Ten restarts; two hundred with `SLUICE_LONG=1` (`cargo xtask soak restarts`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_over_restarts() {
    let is_long = std::env::var_os("SLUICE_LONG").is_some_and(|value| value == "1");
    let (times, requests) = if is_long { (200, 100_000) } else { (10, 5000) };
    restarts(times, requests).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_open_finishes_and_what_is_idle_may_ask_once_more() {
    let site = Site::new("127.0.0.1:0", pod().await.0);
    let mut old = site.start();
    let address = old.serves().await.unwrap();
    let (mut idle, mut open) = (Client::new(address, false, true), Client::new(address, false, true));
    idle.ask("/fast").await.unwrap();
    let open = tokio::spawn(async move { open.ask("/long").await });
    sleep(Duration::from_millis(200)).await;
    let mut new = site.start();
    assert_eq!(new.serves().await, Some(address));
    sleep(Duration::from_millis(700)).await;
    assert!(
        idle.connection.as_mut().unwrap().is_ready().await,
        "an idle connection was closed"
    );
    idle.ask("/fast/again").await.unwrap();
    assert!(
        !idle.connection.as_mut().unwrap().is_ready().await,
        "the old process keeps it"
    );
    open.await.unwrap().unwrap();
    assert!(old.ended().await.success());
    assert!(old.errors().contains("another process has taken over"));
    idle.ask("/fast/new").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_that_cannot_start_leaves_the_old_one_serving() {
    let (pod, _) = pod().await;
    let site = Site::new("127.0.0.1:0", pod);
    let mut old = site.start();
    let address = old.serves().await.unwrap();
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("'127.0.0.1:0', '{}'", busy.local_addr().unwrap());
    site.write("busy.yaml", &listen, pod);
    std::fs::write(site.folder.join("mistake.yaml"), "listen: [127.0.0.1:0]\n").unwrap();
    let mut kept = Client::new(address, false, true);
    for file in ["busy.yaml", "mistake.yaml"] {
        let mut failing = site.start_with(file);
        assert_eq!(failing.serves().await, None, "{file}");
        assert!(!failing.ended().await.success());
        let errors = failing.errors();
        assert!(errors.contains("error: "), "{errors}");
        kept.ask("/fast").await.unwrap();
        assert!(
            kept.connection.as_mut().unwrap().is_ready().await,
            "the old one is leaving"
        );
        Client::new(address, true, false).ask("/fast").await.unwrap();
    }
    // One of another version, too.
    let mut other = UnixStream::connect(site.folder.join("meet")).unwrap();
    other.set_read_timeout(Some(PATIENCE)).unwrap();
    other.write_all(b"{\"handover\":7,\"say\":\"take\"}\n").unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).unwrap();
    assert!(
        answer.contains("\"refused\"") && answer.contains("version 7"),
        "{answer}"
    );
    kept.ask("/fast").await.unwrap();
    assert!(old.0.try_wait().unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_predecessor_killed_at_any_moment_is_replaced() {
    // Below the ports that clients of other tests are given: nobody takes it in between.
    let mut ports = (20_000..30_000).skip(std::process::id() as usize % 9000);
    let port = ports.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let port = SocketAddr::from(([127, 0, 0, 1], port.unwrap()));
    let site = Site::new(&format!("'{port}'"), pod().await.0);
    let mut now = site.start();
    assert_eq!(now.serves().await, Some(port));
    for millis in [0, 5, 10, 15, 20, 30, 50, 100] {
        let mut next = site.start();
        sleep(Duration::from_millis(millis)).await;
        now.0.kill().unwrap();
        assert_eq!(next.serves().await, Some(port), "after {millis} ms: {}", next.errors());
        Client::new(port, false, false).ask("/fast").await.unwrap();
        Client::new(port, true, false).ask("/fast").await.unwrap();
        now = next;
    }
}
