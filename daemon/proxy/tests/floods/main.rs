// SPDX-License-Identifier: Apache-2.0
//! Floods against a gateway in a process of its own, whose memory is looked at while a well-behaved client asks beside them.
//!
//! Mechanism: `server_process` is this program once more; its limits are small, so that they are met quickly. `SLUICE_LONG`
//! makes every flood larger. Run by the suite `floods`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "in a test this is how it fails, is told how long to be, and runs beside itself"
)]

mod rig;
mod secured;
mod tls;
mod two;

use rig::{Flooded, HOST, ask, connect, get, larger, rest};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

#[tokio::test]
#[ignore = "a process of the other tests"]
async fn server_process() {
    rig::serve().await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn a_client_that_does_not_read_loses_its_pod() {
    let flooded = Flooded::start().await;
    let mut clients = Vec::new();
    for _ in 0..larger(50) {
        let mut client = connect(flooded.address).await;
        client.write_all(get("/big", HOST).as_bytes()).await.unwrap();
        clients.push(client);
    }
    flooded.until("/begun", clients.len()).await;
    flooded.until("/open", 0).await;
    flooded.until("/limit/write_time", clients.len()).await;
    // Two buffers each, and what the sockets of both sides hold is the kernel's.
    flooded.end(48 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn heads_that_come_slowly_are_given_up() {
    let flooded = Flooded::start().await;
    let mut clients = Vec::new();
    let begin = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX: ");
    for _ in 0..larger(300) {
        let mut client = connect(flooded.address).await;
        client.write_all(begin.as_bytes()).await.unwrap();
        clients.push(client);
    }
    for _ in 0..20 {
        for client in &mut clients {
            // Who was given up cannot write.
            drop(client.write_all(b"x").await);
        }
        sleep(Duration::from_millis(100)).await;
    }
    let count = clients.len();
    for client in clients {
        assert_eq!(rest(client).await, "", "no answer, but an end");
    }
    flooded.until("/limit/head_time", count).await;
    flooded.end(16 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn who_says_nothing_or_not_enough_is_given_up_and_counted() {
    let flooded = Flooded::start().await;
    let mut clients = Vec::new();
    // Nothing; half of what HTTP/2 begins with.
    for said in ["", "PRI * HTTP"] {
        for _ in 0..larger(30) {
            let mut client = connect(flooded.address).await;
            client.write_all(said.as_bytes()).await.unwrap();
            clients.push(client);
        }
    }
    let count = clients.len();
    for client in clients {
        assert_eq!(rest(client).await, "", "an answer to nothing");
    }
    flooded.until("/limit/head_time", count).await;
    flooded.end(16 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn too_much_of_a_head_is_431() {
    let flooded = Flooded::start().await;
    let begin = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n");
    for bomb in [
        format!("{begin}X: {}\r\n\r\n", "x".repeat(100_000)),
        format!("{begin}{}\r\n", "X: y\r\n".repeat(200)),
        format!("{begin}{}\r\n", format!("X: {}\r\n", "y".repeat(1000)).repeat(99)),
        format!("{begin}X: {}", "x".repeat(100_000)),
        format!("GET /{} HTTP/1.1\r\nHost: {HOST}\r\n\r\n", "x".repeat(100_000)),
    ] {
        let answer = ask(flooded.address, &bomb).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    flooded.end(16 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn heads_that_are_held_in_all_have_a_bound() {
    let flooded = Flooded::start().await;
    // 60 KB each, without an end: of 8 MiB there is room for some hundred and forty.
    let head = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX: {}", "x".repeat(60_000));
    let mut clients = Vec::new();
    for _ in 0..larger(400) {
        let mut client = connect(flooded.address).await;
        drop(client.write_all(head.as_bytes()).await);
        clients.push(client);
    }
    let mut refused = 0;
    for client in clients {
        refused += usize::from(rest(client).await.starts_with("HTTP/1.1 503 "));
    }
    assert!(refused >= larger(400) / 2, "{refused} were refused");
    flooded.end(40 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn bodies_have_a_size_and_a_pace() {
    let flooded = Flooded::start().await;
    let post = |headers: &str| format!("POST / HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n\r\n");
    let chunked = post("Transfer-Encoding: chunked");
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(65_536));
    for (request, status) in [
        (post("Content-Length: 2000000"), "413"),
        (format!("{chunked}{}", chunk.repeat(20)), "413"),
        (format!("{}12345", post("Content-Length: 10")), "408"),
        (chunked.clone(), "408"),
        (format!("{chunked}1;{}", "x".repeat(100_000)), "400"),
        (format!("{chunked}0\r\n{}", "X: y\r\n".repeat(20_000)), "400"),
    ] {
        let answer = ask(flooded.address, &request).await;
        let begin = &request[..request.len().min(120)];
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{begin}: {answer}");
    }
    // What is just right passes.
    let right = format!("{chunked}{}0\r\n\r\n", chunk.repeat(15));
    assert!(ask(flooded.address, &right).await.starts_with("HTTP/1.1 200 "));
    flooded.end(24 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn who_only_asks_and_never_reads_is_ended() {
    let flooded = Flooded::start().await;
    let many = get("/some", HOST).repeat(1000);
    let mut floods = Vec::new();
    for _ in 0..larger(10) {
        let mut client = rig::narrow(flooded.address).await;
        let many = many.clone();
        floods.push(tokio::spawn(async move {
            while client.write_all(many.as_bytes()).await.is_ok() {}
        }));
    }
    for flood in floods {
        timeout(Duration::from_secs(30), flood).await.unwrap().unwrap();
    }
    flooded.end(24 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn requests_whose_clients_have_gone_are_held_no_more() {
    let flooded = Flooded::start().await;
    for _ in 0..3 {
        let mut clients = Vec::new();
        for _ in 0..larger(500) {
            let mut client = connect(flooded.address).await;
            client.write_all(get("/", rig::HELD).as_bytes()).await.unwrap();
            clients.push(client);
        }
        flooded.until("/waiting", clients.len()).await;
        drop(clients);
        flooded.until("/waiting", 0).await;
    }
    flooded.end(32 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn an_idle_connection_costs_less_than_eight_kib() {
    let flooded = Flooded::start().await;
    let mut clients = Vec::new();
    for _ in 0..larger(1000) {
        let mut client = connect(flooded.address).await;
        client.write_all(get("/", HOST).as_bytes()).await.unwrap();
        let mut answer = [0; 1024];
        assert!(client.read(&mut answer).await.unwrap() > 0);
        clients.push(client);
    }
    // What a process takes at the beginning anyway is not theirs.
    flooded.end((4 << 20) + clients.len() * (8 << 10)).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn a_connection_too_many_is_told_so_and_the_next_one_served_when_there_is_a_place() {
    let flooded = Flooded::start().await;
    flooded.pause().await;
    let mut clients = Vec::new();
    let mut last = String::new();
    for _ in 0..larger(rig::CONNECTIONS) + 210 {
        let mut client = connect(flooded.address).await;
        client.write_all(get("/", HOST).as_bytes()).await.unwrap();
        let mut answer = [0; 1024];
        let length = client.read(&mut answer).await.unwrap();
        last = String::from_utf8_lossy(&answer[..length]).into_owned();
        if !last.starts_with("HTTP/1.1 200 ") {
            break;
        }
        clients.push(client);
    }
    assert!(
        last.starts_with("HTTP/1.1 503 ") && last.contains("\r\nRetry-After: 1\r\n"),
        "{last}"
    );
    drop(clients);
    let mut again = String::new();
    for _ in 0..100 {
        again = ask(flooded.address, &get("/", HOST)).await;
        if again.starts_with("HTTP/1.1 200 ") {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    assert!(again.starts_with("HTTP/1.1 200 "), "{again}");
    flooded.end(64 << 20).await;
}
