// SPDX-License-Identifier: Apache-2.0
//! Clients that leave: what was held for them is free again.

use crate::rig::{HOST, Rig, certificate, client, connect};
use proxy::{Front, Revision};
use rustls::version::TLS13;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Returns when this holds of the revision.
async fn until(revision: &Revision, what: &str, is_so: impl Fn(logic::limiter::Counts) -> bool) {
    let so = async {
        while !is_so(revision.counts()) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = timeout(Duration::from_secs(8), so).await;
    assert!(waited.is_ok(), "{what}: {:?}", revision.counts());
}

#[tokio::test]
async fn who_leaves_behind_more_than_is_read_ahead_gives_up_its_place() {
    let rig = Rig::without_pods();
    let (mine, believed) = certificate(&[HOST]);
    rig.certificates.replace(vec![mine]);
    let (plain, secured) = (rig.listen(Front::default()).await, rig.listen(rig.https()).await);
    let body = "x".repeat(100_000);
    let request = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100000\r\n\r\n{body}");
    let mut leaving = TcpStream::connect(plain).await.unwrap();
    leaving.write_all(request.as_bytes()).await.unwrap();
    until(&rig.revision, "it waits", |counts| counts.waiting == 1).await;
    drop(leaving);
    until(&rig.revision, "it has left", |counts| counts.waiting == 0).await;
    let config = client(&[believed], &["http/1.1"], &[&TLS13]);
    let mut leaving = connect(secured, &config, HOST).await.unwrap();
    leaving.write_all(request.as_bytes()).await.unwrap();
    leaving.flush().await.unwrap();
    until(&rig.revision, "it waits, too", |counts| counts.waiting == 1).await;
    drop(leaving);
    until(&rig.revision, "it has left, too", |counts| counts.waiting == 0).await;
    rig.tasks.stop().await;
}
