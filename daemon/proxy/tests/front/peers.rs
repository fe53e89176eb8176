// SPDX-License-Identifier: Apache-2.0
//! Pods of another node, through its daemon: what lasts until one side ends is whole only if that side did end.

use crate::rig::{HOST, Rig, serving};
use crate::two::said_to;
use life::Tasks;
use logic::limiter::Home;
use proxy::{Front, Peer};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

/// How what a pod says comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It closes the connection.
    Closed,
    /// It resets it.
    Reset,
    /// The other node's daemon ends, within the pod's answer.
    DaemonGone,
    /// The way to that daemon breaks.
    WayBroken,
}

/// A pod that answers until it ends: when it is told, if it is to end.
async fn pod(end: End, tasks: &Tasks, go: Arc<Notify>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn("pod", async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        said_to(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\nhello").await;
        match end {
            End::Closed => go.notified().await,
            End::Reset => {
                go.notified().await;
                stream.set_zero_linger().unwrap();
            }
            End::DaemonGone | End::WayBroken => std::future::pending().await,
        }
    });
    address
}

/// A way there; what goes it ends as connections do when its tasks are stopped.
async fn way(to: SocketAddr, tasks: &Tasks) -> SocketAddr {
    let carry = move |mut from| async move {
        let mut to = TcpStream::connect(to).await.unwrap();
        drop(tokio::io::copy_bidirectional(&mut from, &mut to).await);
    };
    serving(tasks, carry).await
}

/// A daemon that is asked, where it listens, and the pod's own, which it reaches this way.
async fn nodes(pod: SocketAddr, ways: &Tasks) -> (Rig, SocketAddr, Rig) {
    let (asker, owner) = (Rig::on_node("a"), Rig::on_node("b"));
    let at_asker = asker.listen(Front::default()).await;
    let at_owner = way(owner.listen(Front::default()).await, ways).await;
    let (asking, owning) = (asker.peers.clone().unwrap(), owner.peers.clone().unwrap());
    owning.set(&[peer("a", at_asker)]);
    asking.set(&[peer("b", at_owner)]);
    owner.revision.set_placed_pods(&[(pod, true, Home::Here)]);
    asker.revision.set_placed_pods(&[(pod, true, asking.home("b"))]);
    (asker, at_asker, owner)
}

#[tokio::test]
async fn what_breaks_off_on_the_way_from_another_node_does_not_look_whole() {
    for end in [End::Closed, End::Reset, End::DaemonGone, End::WayBroken] {
        let (pods, ways) = (Tasks::new(), Tasks::new());
        let go = Arc::new(Notify::new());
        let pod = pod(end, &pods, Arc::clone(&go)).await;
        let (asker, at_asker, owner) = nodes(pod, &ways).await;
        let mut stream = TcpStream::connect(at_asker).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        let answered = async {
            while !got.ends_with(b"\r\n5\r\nhello\r\n") {
                assert!(stream.read_buf(&mut got).await.unwrap() > 0, "{end:?}: {got:?}");
            }
            match end {
                End::Closed | End::Reset => go.notify_one(),
                End::DaemonGone => owner.tasks.stop().await,
                End::WayBroken => ways.stop().await,
            }
            got.clear();
            stream.read_to_end(&mut got).await.unwrap();
        };
        let answered = timeout(Duration::from_secs(20), answered).await;
        assert!(answered.is_ok(), "{end:?}: {}", String::from_utf8_lossy(&got));
        let is_whole = got == b"0\r\n\r\n";
        assert!(
            is_whole == (end == End::Closed) && (is_whole || got.is_empty()),
            "{end:?}: {got:?}"
        );
        for tasks in [&asker.tasks, &owner.tasks, &ways, &pods] {
            tasks.stop().await;
        }
    }
}

/// How what a client says to a pod in a tunnel comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaves {
    /// It ends its side.
    Ended,
    /// It resets the connection.
    Reset,
    /// The daemon that it asked ends, within the tunnel.
    AskerGone,
    /// The pod's own does.
    OwnerGone,
    /// The way between them breaks.
    WayBroken,
}

#[tokio::test]
async fn nor_does_what_breaks_off_on_the_way_to_another_node() {
    use Leaves::{AskerGone, Ended, OwnerGone, Reset, WayBroken};
    for leaves in [Ended, Reset, AskerGone, OwnerGone, WayBroken] {
        let (pods, ways) = (Tasks::new(), Tasks::new());
        let (says, mut heard) = mpsc::unbounded_channel();
        let listens = move |mut stream| {
            let says = says.clone();
            async move {
                let agrees = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: bytes\r\n\r\n";
                said_to(&mut stream, agrees).await;
                let mut got = [0; 5];
                says.send(stream.read_exact(&mut got).await.map(|_| got.to_vec()))
                    .unwrap();
                let mut rest = Vec::new();
                says.send(stream.read_to_end(&mut rest).await.map(|_| rest)).unwrap();
            }
        };
        let pod = serving(&pods, listens).await;
        let (asker, at_asker, owner) = nodes(pod, &ways).await;
        let mut stream = TcpStream::connect(at_asker).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: upgrade\r\nUpgrade: bytes\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let ended = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                assert!(stream.read_buf(&mut head).await.unwrap() > 0, "{leaves:?}: {head:?}");
            }
            assert!(head.starts_with(b"HTTP/1.1 101 "), "{leaves:?}: {head:?}");
            stream.write_all(b"hello").await.unwrap();
            assert_eq!(heard.recv().await.unwrap().unwrap(), b"hello");
            match leaves {
                Ended => stream.shutdown().await.unwrap(),
                Reset => {
                    stream.set_zero_linger().unwrap();
                    drop(stream);
                }
                AskerGone => asker.tasks.stop().await,
                OwnerGone => owner.tasks.stop().await,
                WayBroken => ways.stop().await,
            }
            heard.recv().await.unwrap()
        };
        let ended = timeout(Duration::from_secs(20), ended).await;
        let ended = ended.unwrap_or_else(|_| panic!("{leaves:?}: the pod hears of no end"));
        let expected = match leaves {
            Ended => Ok(Vec::new()),
            _ => Err(ErrorKind::ConnectionReset),
        };
        assert_eq!(ended.map_err(|fault| fault.kind()), expected, "{leaves:?}");
        for tasks in [&asker.tasks, &owner.tasks, &ways, &pods] {
            tasks.stop().await;
        }
    }
}

fn peer(name: &str, address: SocketAddr) -> Peer {
    let name = name.to_owned();
    Peer { name, address }
}
