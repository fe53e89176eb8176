// SPDX-License-Identifier: Apache-2.0
//! Pods of another node, through its daemon: an answer that lasts until the pod ends is whole only if the pod did end.

use crate::rig::{HOST, Rig, serving};
use crate::two::said_to;
use life::Tasks;
use logic::limiter::Home;
use proxy::{Front, Peer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
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

#[tokio::test]
async fn what_breaks_off_on_the_way_from_another_node_does_not_look_whole() {
    for end in [End::Closed, End::Reset, End::DaemonGone, End::WayBroken] {
        let (pods, ways) = (Tasks::new(), Tasks::new());
        let go = Arc::new(Notify::new());
        let pod = pod(end, &pods, Arc::clone(&go)).await;
        let (asker, owner) = (Rig::on_node("a"), Rig::on_node("b"));
        let at_asker = asker.listen(Front::default()).await;
        let at_owner = way(owner.listen(Front::default()).await, &ways).await;
        let (asking, owning) = (asker.peers.clone().unwrap(), owner.peers.clone().unwrap());
        owning.set(&[peer("a", at_asker)]);
        asking.set(&[peer("b", at_owner)]);
        owner.revision.set_placed_pods(&[(pod, true, Home::Here)]);
        asker.revision.set_placed_pods(&[(pod, true, asking.home("b"))]);
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

fn peer(name: &str, address: SocketAddr) -> Peer {
    let name = name.to_owned();
    Peer { name, address }
}
