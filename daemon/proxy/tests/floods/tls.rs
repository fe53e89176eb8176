// SPDX-License-Identifier: Apache-2.0
//! Floods against a listener of TLS: handshakes without an end, and requests that are given up as soon as they are begun.

use crate::rig::{Flooded, HOST, connect, get, larger, rest};
use crate::secured::Secured;
use crate::two::{cancel, flood_over, given_up, held, many, preface};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(30);

/// A well-behaved client beside the others.
async fn is_answered(gateway: &Secured) {
    let mut client = gateway.connect("http/1.1").await;
    client.write_all(get("/", HOST).as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    let read = timeout(LIMIT, client.read_exact(&mut answer)).await;
    read.expect("the neighbour is answered").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn a_handshake_that_does_not_end_is_given_up_and_keeps_nobody_waiting() {
    let flooded = Flooded::start().await;
    let hello = flooded.secured.hello();
    let mut clients = Vec::new();
    // Nothing; half of a hello; a whole one, whose answer is not answered.
    for length in [0, hello.len() / 2, hello.len()] {
        for _ in 0..larger(40) {
            let mut client = connect(flooded.secured.address).await;
            client.write_all(&hello[..length]).await.unwrap();
            clients.push(client);
        }
    }
    // A byte now and then does not make it longer.
    let mut slow = Vec::new();
    for _ in 0..larger(40) {
        let mut client = connect(flooded.secured.address).await;
        let hello = hello.clone();
        slow.push(tokio::spawn(async move {
            for byte in hello {
                if client.write_u8(byte).await.is_err() {
                    return true;
                }
                sleep(Duration::from_millis(100)).await;
            }
            false
        }));
    }
    is_answered(&flooded.secured).await;
    flooded.until("/limit/handshake_time", clients.len() + slow.len()).await;
    for client in clients {
        rest(client).await;
    }
    for client in slow {
        let was_given_up = timeout(LIMIT, client).await.unwrap().unwrap();
        assert!(was_given_up, "all of a slow hello was heard");
    }
    is_answered(&flooded.secured).await;
    flooded.end(24 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn requests_given_up_over_tls_cost_nothing() {
    let flooded = Flooded::start().await;
    for _ in 0..larger(2) {
        let client = flooded.secured.connect("h2").await;
        flood_over(client, Vec::new(), true, |number| many(number, given_up)).await;
        is_answered(&flooded.secured).await;
    }
    let streams = || (0..200).map(|number| number * 2 + 1);
    for _ in 0..3 {
        let mut clients = Vec::new();
        // 1000 streams in all have room.
        for _ in 0..4 {
            let mut client = flooded.secured.connect("h2").await;
            let all = [preface(), streams().flat_map(held).collect()].concat();
            client.write_all(&all).await.unwrap();
            client.flush().await.unwrap();
            clients.push(client);
        }
        flooded.until("/waiting", 800).await;
        // Half of them give up their requests, and the others leave.
        for client in clients.iter_mut().take(2) {
            let all: Vec<u8> = streams().flat_map(cancel).collect();
            client.write_all(&all).await.unwrap();
            client.flush().await.unwrap();
        }
        flooded.until("/waiting", 400).await;
        drop(clients);
        flooded.until("/waiting", 0).await;
        is_answered(&flooded.secured).await;
    }
    flooded.end(32 << 20).await;
}
