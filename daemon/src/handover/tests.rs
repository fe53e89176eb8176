// SPDX-License-Identifier: Apache-2.0
//! Two processes in one: what each does when the other fails at any step.

use super::*;
use channel::{Channel, VERSION, Word};
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const PATIENCE: Duration = Duration::from_secs(5);

/// A path that goes when the test ends.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("sluice-{name}-{}", std::process::id())))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = timeout(PATIENCE, future).await;
    done.unwrap_or_else(|_| panic!("waited for: {what}"))
}

/// A process that serves one listener.
async fn process(place: &Place, tasks: &Tasks) -> (TcpListener, Successor) {
    let mut sockets = soon("arriving", Sockets::arrive(Some(&place.0))).await.unwrap();
    let listener = sockets.listen("listen", ANY).await.unwrap();
    let successor = soon("being ready", sockets.ready(tasks)).await.unwrap();
    (listener, successor)
}

#[tokio::test]
async fn a_listener_with_its_queue_goes_from_hand_to_hand() {
    let place = Place::new("chain");
    let tasks = Tasks::new();
    let (first, mut told) = process(&place, &tasks).await;
    let address = first.local_addr().unwrap();
    for _ in 0..3 {
        let client = TcpStream::connect(address).await.unwrap();
        let (next, next_told) = process(&place, &tasks).await;
        soon("the old one to be told", told.came()).await;
        assert_eq!(next.local_addr().unwrap(), address);
        // Who was in the queue before the hand-over is served after it.
        let (_, peer) = soon("the client in the queue", next.accept()).await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        told = next_told;
    }
}

#[tokio::test]
async fn a_successor_that_fails_before_it_serves_changes_nothing() {
    let place = Place::new("failing");
    let tasks = Tasks::new();
    let (first, mut told) = process(&place, &tasks).await;
    let mut failing = Sockets::arrive(Some(&place.0)).await.unwrap();
    drop(failing.listen("listen", ANY).await.unwrap());
    drop(failing);
    assert!(timeout(Duration::from_millis(200), told.came()).await.is_err());
    // The next one gets it all the same.
    let (second, _) = process(&place, &tasks).await;
    soon("the old one to be told", told.came()).await;
    assert_eq!(second.local_addr().unwrap(), first.local_addr().unwrap());
}

#[tokio::test]
async fn another_version_is_refused_with_words() {
    let place = Place::new("version");
    let tasks = Tasks::new();
    let (_first, mut told) = process(&place, &tasks).await;
    for line in [
        "{\"handover\":99,\"say\":\"swap\",\"more\":[1]}\n",
        "GET / HTTP/1.1\r\n",
        "{\"handover\":1,\"say\":\"ready\"}\n",
    ] {
        let mut stream = UnixStream::connect(&place.0).await.unwrap();
        stream.write_all(line.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon("a refusal", stream.read_to_string(&mut answer)).await.unwrap();
        assert!(
            answer.starts_with("{\"handover\":1,\"say\":\"refused\",\"why\":\""),
            "{answer}"
        );
        assert!(!line.contains("99") || answer.contains("version 99"), "{answer}");
    }
    assert!(timeout(Duration::from_millis(200), told.came()).await.is_err());
}

#[tokio::test]
async fn a_predecessor_of_another_version_is_left_alone() {
    for (says, due) in [
        ("{\"handover\":2,\"say\":\"refused\",\"why\":\"older\"}\n", "older"),
        ("{\"handover\":2,\"say\":\"listeners\",\"names\":[]}\n", "version 2"),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "no hand-over"),
    ] {
        let place = Place::new("older");
        let old = UnixListener::bind(&place.0).unwrap();
        let answer = async {
            let (mut stream, _) = old.accept().await.unwrap();
            drop(stream.write_all(says.as_bytes()).await);
            stream
        };
        let (_stream, arrived) = soon("an answer", async {
            tokio::join!(answer, Sockets::arrive(Some(&place.0)))
        })
        .await;
        let fault = arrived.err().unwrap().to_string();
        assert!(fault.contains(due), "{fault}");
    }
}

/// The old one gets as far as that, and dies.
async fn dying(place: &Place, listener: &std::net::TcpListener, step: usize) {
    let old = UnixListener::bind(&place.0).unwrap();
    let (stream, _) = old.accept().await.unwrap();
    if step == 0 {
        return;
    }
    let mut channel = Channel::new(stream);
    assert_eq!(channel.hear(PATIENCE).await.unwrap(), Word::Take);
    if step == 1 {
        return;
    }
    let names = vec![format!("listen {ANY}")];
    let files = [old.as_fd(), listener.as_fd()];
    channel.say(&Word::Listeners { names }, &files, PATIENCE).await.unwrap();
    if step == 3 {
        assert_eq!(channel.hear(PATIENCE).await.unwrap(), Word::Ready);
    }
}

#[tokio::test]
async fn a_predecessor_that_dies_at_any_step_is_replaced() {
    assert_eq!(VERSION, 1);
    for step in 0..4 {
        let place = Place::new(&format!("dying-{step}"));
        let listener = std::net::TcpListener::bind(ANY).unwrap();
        let address = listener.local_addr().unwrap();
        let tasks = Tasks::new();
        let ((), (new, told)) = tokio::join!(dying(&place, &listener, step), process(&place, &tasks));
        let has_taken = step >= 2;
        assert_eq!(new.local_addr().unwrap() == address, has_taken, "step {step}");
        // And it can be replaced in its turn.
        let (next, _) = process(&place, &tasks).await;
        assert_eq!(next.local_addr().unwrap(), new.local_addr().unwrap(), "step {step}");
        let mut told = told;
        soon("the replaced one to be told", told.came()).await;
    }
}

#[tokio::test]
async fn a_listener_that_is_about_to_go_is_waited_for_only_by_who_may_succeed_it() {
    let place = Place::new("late");
    let dying = std::net::TcpListener::bind(ANY).unwrap();
    let address = dying.local_addr().unwrap();
    let mut stranger = Sockets::arrive(None).await.unwrap();
    let fault = soon("a refusal", stranger.listen("listen", address))
        .await
        .err()
        .unwrap();
    assert_eq!(fault.kind(), io::ErrorKind::AddrInUse);
    let mut heir = Sockets::arrive(Some(&place.0)).await.unwrap();
    let later = async {
        sleep(Duration::from_millis(100)).await;
        drop(dying);
    };
    let (bound, ()) = soon("the listener", async {
        tokio::join!(heir.listen("listen", address), later)
    })
    .await;
    assert_eq!(bound.unwrap().local_addr().unwrap(), address);
}

#[tokio::test]
async fn an_end_without_a_successor_leaves_nothing_behind() {
    let place = Place::new("end");
    let tasks = Tasks::new();
    let (_listener, _told) = process(&place, &tasks).await;
    assert!(place.0.exists());
    tasks.drain();
    soon("the tasks to end", tasks.gone()).await;
    assert!(!place.0.exists());
    std::fs::write(&place.0, "mine").unwrap();
    let fault = Sockets::arrive(Some(&place.0))
        .await
        .err()
        .map(|fault| fault.to_string());
    let fault = match fault {
        Some(fault) => fault,
        None => Sockets {
            path: Some(place.0.clone()),
            taken: None,
            kept: Vec::new(),
        }
        .ready(&tasks)
        .await
        .err()
        .unwrap()
        .to_string(),
    };
    assert!(fault.contains("--handover"), "{fault}");
    assert_eq!(std::fs::read_to_string(&place.0).unwrap(), "mine");
}
