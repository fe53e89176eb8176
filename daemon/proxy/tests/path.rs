// SPDX-License-Identifier: Apache-2.0
//! The path from outside: sockets on both sides.
#![expect(clippy::unwrap_used, reason = "in a test this is how it fails")]

use life::Tasks;
use logic::limiter;
use logic::traffic::{BackendPort, Destination, PathRule, Rule, Split, Table};
use proxy::{
    Cores, Door, Entry, Front, Health, Identity, Limits, Logging, NextHop, Probes, Readiness, Revision, Revisions,
    Routes, Spread, Timeouts,
};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// A pod that answers every request after a while, and counts how many it has at once.
#[derive(Default)]
struct App {
    now: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
}

async fn app(tasks: &Tasks, work: Duration) -> (SocketAddr, Arc<App>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Arc::new(App::default());
    let (shared, inner) = (Arc::clone(&app), tasks.clone());
    tasks.spawn("app", async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let app = Arc::clone(&shared);
            inner.spawn("app's connection", async move {
                let mut piece = [0; 4096];
                // Each request of these tests comes in one piece.
                while matches!(stream.read(&mut piece).await, Ok(1..)) {
                    let now = app.now.fetch_add(1, SeqCst) + 1;
                    app.most.fetch_max(now, SeqCst);
                    app.all.fetch_add(1, SeqCst);
                    sleep(work).await;
                    app.now.fetch_sub(1, SeqCst);
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, app)
}

fn revision(concurrency: u32, queue: u32) -> Arc<Revision> {
    let identity = Identity {
        namespace: "ns".to_owned(),
        name: "rev".to_owned(),
        ..Identity::default()
    };
    let timeouts = Timeouts {
        request: Duration::from_secs(10),
        ..Timeouts::default()
    };
    let mut settings = limiter::Settings::new(concurrency);
    settings.queue = limiter::QueueBound::Waiting(queue);
    Revision::new(identity, timeouts, settings)
}

/// A gateway with one route.
async fn gateway(revision: &Arc<Revision>, tasks: &Tasks) -> SocketAddr {
    gateway_on(None, revision, tasks).await
}

/// The same, which serves its clients on these cores.
async fn gateway_on(cores: Option<Spread>, revision: &Arc<Revision>, tasks: &Tasks) -> SocketAddr {
    let revisions = Arc::new(Revisions::default());
    revisions.insert(Arc::clone(revision));
    let routes = Routes::default();
    let rule = Rule {
        owner: "test".to_owned(),
        hosts: vec!["app.example.com".to_owned()],
        paths: vec![PathRule {
            prefix: String::new(),
            conditions: Vec::new(),
            split: Split::whole(Destination::new("ns", "rev", BackendPort::Number(80))),
        }],
    };
    routes.replace(Table::build([rule]).0);
    let door = Door {
        entry: Entry::ByRoute(revisions, routes),
        front: Front {
            cores,
            ..Front::default()
        },
        probes: Probes::App(Readiness::new(None)),
        next: NextHop::App { restore_host: false },
        limits: Limits::default(),
        timeout_text: "request timeout",
        cluster_domain: "cluster.local".to_owned(),
        log: Logging::default(),
        inside: None,
        peers: None,
        health: Health::default(),
        tasks: tasks.clone(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn("gateway", proxy::listen(listener, Arc::new(door)));
    address
}

/// One request on a connection of its own; the whole answer.
async fn ask(gateway: SocketAddr) -> String {
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// So many at once; their answers.
async fn ask_many(gateway: SocketAddr, count: usize) -> Vec<String> {
    let tasks = Tasks::new();
    let (sender, mut answers) = tokio::sync::mpsc::channel(count);
    for _ in 0..count {
        let sender = sender.clone();
        tasks.spawn("client", async move { sender.send(ask(gateway).await).await.unwrap() });
    }
    drop(sender);
    let mut all = Vec::new();
    while let Some(answer) = answers.recv().await {
        all.push(answer);
    }
    all
}

#[tokio::test]
async fn a_pod_never_has_more_than_its_concurrency() {
    within_concurrency(None).await;
}

/// Who waits on one core is called by who ends on another.
#[test]
fn nor_has_it_when_clients_are_spread_over_cores() {
    let cores = Cores::start(NonZeroUsize::new(3)).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let limit = Duration::from_secs(50);
    let work = async { tokio::time::timeout(limit, within_concurrency(Some(cores.spread()))).await };
    runtime
        .block_on(work)
        .expect("a hundred requests, six at once, each of 5 ms");
}

async fn within_concurrency(cores: Option<Spread>) {
    let tasks = Tasks::new();
    let (first, one) = app(&tasks, Duration::from_millis(5)).await;
    let (second, two) = app(&tasks, Duration::from_millis(5)).await;
    let revision = revision(3, 1000);
    revision.set_pods(&[(first, true), (second, true)]);
    let gateway = gateway_on(cores, &revision, &tasks).await;
    let answers = ask_many(gateway, 100).await;
    assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200")));
    assert!(one.most.load(SeqCst) <= 3 && two.most.load(SeqCst) <= 3);
    assert_eq!(one.all.load(SeqCst) + two.all.load(SeqCst), 100);
    tasks.stop().await;
    assert_eq!(revision.counts(), limiter::Counts::default());
    assert_eq!(revision.counters.in_flight.load(SeqCst), 0);
}

#[tokio::test]
async fn a_crowd_that_comes_at_once_is_let_in_at_once() {
    let tasks = Tasks::new();
    let revision = revision(0, 10);
    let gateway = gateway(&revision, &tasks).await;
    tokio::task::yield_now().await;
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let most: usize = most.trim().parse().unwrap();
    let mut crowd = Vec::new();
    // Nobody is accepted meanwhile: this thread is the gateway's, too.
    for number in 0..most.min(600) {
        let client = std::net::TcpStream::connect_timeout(&gateway, Duration::from_secs(30));
        assert!(client.is_ok(), "client {number}: {client:?}");
        crowd.push(client);
    }
    drop(crowd);
    tasks.stop().await;
}

#[tokio::test]
async fn what_does_not_fit_into_the_queue_is_refused_with_retry_after() {
    let tasks = Tasks::new();
    let revision = revision(1, 2);
    let gateway = gateway(&revision, &tasks).await;
    let waiting = Tasks::new();
    for _ in 0..2 {
        waiting.spawn("waits", async move { drop(ask(gateway).await) });
    }
    while revision.counts().waiting < 2 {
        sleep(Duration::from_millis(5)).await;
    }
    let refused = ask(gateway).await;
    assert!(refused.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{refused}");
    assert!(
        refused.contains("Retry-After: 1\r\n") && refused.ends_with("pending request queue full\n"),
        "{refused}"
    );
    // Who waits goes on when a pod comes.
    let (address, app) = app(&tasks, Duration::ZERO).await;
    revision.set_pods(&[(address, true)]);
    waiting.gone().await;
    assert_eq!(app.all.load(SeqCst), 2);
    tasks.stop().await;
}

#[tokio::test]
async fn a_pod_that_refuses_loses_no_request() {
    let tasks = Tasks::new();
    let (good, app) = app(&tasks, Duration::ZERO).await;
    // A port that is nobody's any more.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let revision = revision(0, 1000);
    revision.set_pods(&[(gone, true), (good, true)]);
    let gateway = gateway(&revision, &tasks).await;
    let answers = ask_many(gateway, 50).await;
    assert!(
        answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200")),
        "{answers:?}"
    );
    assert_eq!(app.all.load(SeqCst), 50);
    tasks.stop().await;
}

/// Asks beside the test; the answer is to come.
fn asked(gateway: SocketAddr) -> (Tasks, tokio::sync::oneshot::Receiver<String>) {
    let asking = Tasks::new();
    let (sender, answer) = tokio::sync::oneshot::channel();
    asking.spawn("client", async move { drop(sender.send(ask(gateway).await)) });
    (asking, answer)
}

#[tokio::test]
async fn who_is_called_to_a_pod_that_is_gone_goes_to_another() {
    let tasks = Tasks::new();
    let (gone, _) = app(&tasks, Duration::ZERO).await;
    let (good, app) = app(&tasks, Duration::ZERO).await;
    let revision = revision(1, 10);
    let gateway = gateway(&revision, &tasks).await;
    let (_asking, answer) = asked(gateway);
    while revision.counts().waiting == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    // This thread is the request's, too: it hears of both at once.
    revision.set_pods(&[(gone, true)]);
    assert_eq!(revision.counts().waiting, 0, "it was called");
    revision.set_pods(&[(good, true)]);
    let answer = answer.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(app.all.load(SeqCst), 1);
    tasks.stop().await;
    assert_eq!(revision.counts(), limiter::Counts::default());
}

#[tokio::test]
async fn draining_lets_a_request_finish_and_takes_no_new_connection() {
    let tasks = Tasks::new();
    let pods = Tasks::new();
    let (address, _) = app(&pods, Duration::from_millis(200)).await;
    let revision = revision(0, 10);
    revision.set_pods(&[(address, true)]);
    let gateway = gateway(&revision, &tasks).await;
    let (_asking, answer) = asked(gateway);
    while revision.counts().running == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    tasks.drain();
    assert!(answer.await.unwrap().starts_with("HTTP/1.1 200"));
    tasks.gone().await;
    assert!(TcpStream::connect(gateway).await.is_err());
    pods.stop().await;
}

#[tokio::test]
async fn who_waits_for_a_pod_is_told_when_none_will_come() {
    let tasks = Tasks::new();
    let revision = revision(0, 10);
    let gateway = gateway(&revision, &tasks).await;
    let (_asking, answer) = asked(gateway);
    while revision.counts().waiting == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    tasks.drain();
    sleep(Duration::from_millis(50)).await;
    assert_eq!(revision.counts().waiting, 1, "a drain is not its end");
    tasks.hurry();
    let answer = answer.await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: 1\r\n"),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\nshutting down\n"), "{answer}");
    tasks.gone().await;
    assert_eq!(revision.counts().waiting, 0);
}
