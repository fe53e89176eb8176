// SPDX-License-Identifier: Apache-2.0
//! Limits that no flood needs: what a pod may say at once, who is idle or held too long, how much is in flight.

use crate::rig::{Rig, ask, get, one, said, two};
use life::Tasks;
use proxy::{Front, Limits, PodProtocol, Room};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

/// Answers each request with these bytes, and keeps the connection.
async fn keeps(mut stream: TcpStream, answer: &[u8]) {
    let mut head = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut head).await {
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            stream.write_all(answer).await.unwrap();
        }
    }
}

/// The same of HTTP/2, with 200.
async fn keeps_two(stream: TcpStream) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        drop(respond.send_response(http::Response::new(()), true));
    }
}

/// The statuses that a client of HTTP/1.1 and one of HTTP/2 get when a pod answers so.
async fn statuses(answer: String, limits: &Limits) -> [u16; 2] {
    let pod = move |stream| {
        let answer = answer.clone();
        async move { keeps(stream, answer.as_bytes()).await }
    };
    let rig = Rig::with_pod(PodProtocol::Http1, pod).await;
    let gateway = rig.listen_within(Front::default(), limits.clone()).await;
    let uri = "http://app.example.com/";
    let by_one = ask(gateway, get(uri)).await;
    let mut sender = two(TcpStream::connect(gateway).await.unwrap(), &rig.tasks).await;
    let by_two = said(sender.send_request(get(uri)).await).await;
    rig.tasks.stop().await;
    [by_one.status, by_two.status]
}

#[tokio::test]
async fn a_pods_head_has_a_size() {
    let limits = Limits {
        response_head: 4096,
        ..Limits::default()
    };
    for (value, status) in [(3000, 200), (5000, 502)] {
        let field = "x".repeat(value);
        let answer = format!("HTTP/1.1 200 OK\r\nx: {field}\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(statuses(answer, &limits).await, [status; 2], "{value} bytes");
    }
}

#[tokio::test]
async fn heads_of_pods_have_a_bound_in_all() {
    const LARGE: usize = 3 << 20;
    let limits = Limits {
        all_response_heads: LARGE + (64 << 10),
        ..Limits::default()
    };
    let by_one = async |mut stream: TcpStream| {
        let mut head = Vec::new();
        while let Ok(1..) = stream.read_buf(&mut head).await {
            if head.ends_with(b"\r\n\r\n") {
                let (value, end) = match head.starts_with(b"GET /ends ") {
                    true => (200_000, "\r\n\r\n"),
                    false => (LARGE, ""),
                };
                let value = "x".repeat(value);
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nx: {value}{end}");
                drop(stream.write_all(answer.as_bytes()).await);
                head.clear();
            }
        }
    };
    for is_two in [false, true] {
        let rig = Rig::with_pod(PodProtocol::Http1, by_one).await;
        let room = Room::default();
        let front = Front {
            room: room.clone(),
            ..Front::default()
        };
        let gateway = rig.listen_within(front, limits.clone()).await;
        let (told, mut answers) = mpsc::channel(8);
        let clients = Tasks::new();
        for _ in 0..6 {
            let (told, tasks) = (told.clone(), clients.clone());
            clients.spawn("client that asks", async move {
                let stream = TcpStream::connect(gateway).await.unwrap();
                let uri = "http://app.example.com/";
                let answer = match is_two {
                    true => two(stream, &tasks).await.send_request(get(uri)).await,
                    false => one(stream, &tasks).await.send_request(get(uri)).await,
                };
                told.send(said(answer).await.status).await.unwrap();
            });
        }
        // One has room.
        for _ in 0..5 {
            assert_eq!(timeout(LIMIT, answers.recv()).await.unwrap(), Some(502));
        }
        let refused = room.refusals().find(|(limit, _)| limit.name() == "all_response_heads");
        assert!(refused.is_some_and(|(_, count)| count >= 5), "{refused:?}");
        clients.stop().await;
        // Who has gone holds nothing: this one needs what is free beside another, and more.
        let ended = async {
            while ask(gateway, get("http://app.example.com/ends")).await.status != 200 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(LIMIT, ended).await.unwrap();
        rig.tasks.stop().await;
    }
}

#[tokio::test]
async fn a_pod_says_only_so_much_before_its_answer() {
    let limits = Limits {
        informational: 3,
        ..Limits::default()
    };
    for (many, status) in [(3, 200), (4, 502)] {
        let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n".repeat(many);
        let answer = format!("{hints}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(statuses(answer, &limits).await, [status; 2], "{many} hints");
    }
}

#[tokio::test]
async fn an_idle_client_is_let_go_after_its_time_and_not_before() {
    for (idle_time, ends) in [(SHORT, true), (Limits::default().idle_time, false)] {
        let rig = Rig::new().await;
        let limits = Limits {
            idle_time,
            ..Limits::default()
        };
        let gateway = rig.listen_within(Front::default(), limits).await;
        let wait = if ends { LIMIT } else { 4 * SHORT };

        let mut one = TcpStream::connect(gateway).await.unwrap();
        one.write_all(b"GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
            .await
            .unwrap();
        let mut got = Vec::new();
        let over = timeout(wait, one.read_to_end(&mut got)).await.is_ok();
        assert!(got.starts_with(b"HTTP/1.1 200 OK\r\n"), "{got:?}");
        assert_eq!(over, ends, "HTTP/1.1, {idle_time:?}");

        let stream = TcpStream::connect(gateway).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        let mut sender = sender.ready().await.unwrap();
        let request = http::Request::get("http://app.example.com/").body(()).unwrap();
        let (answer, _) = sender.send_request(request, true).unwrap();
        let asked = async {
            let mut body = answer.await.unwrap().into_body();
            while let Some(part) = body.data().await {
                let part = part.unwrap();
                body.flow_control().release_capacity(part.len()).unwrap();
            }
            std::future::pending::<()>().await;
        };
        let over = tokio::select! {
            ended = timeout(wait, connection) => ended.is_ok(),
            () = asked => false,
        };
        assert_eq!(over, ends, "HTTP/2, {idle_time:?}");
        // It holds the connection until here.
        drop(sender);
        rig.tasks.stop().await;
    }
}

#[tokio::test]
async fn a_pods_idle_connection_is_closed_after_its_time_and_not_before() {
    for (idle_to_pod_time, ends) in [(SHORT, true), (Limits::default().idle_to_pod_time, false)] {
        for protocol in [PodProtocol::Http1, PodProtocol::H2c] {
            let (over, mut is_over) = mpsc::channel(1);
            let rig = Rig::with_pod(protocol, move |stream| {
                let over = over.clone();
                async move {
                    match protocol {
                        PodProtocol::H2c => keeps_two(stream).await,
                        _ => keeps(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await,
                    }
                    over.send(()).await.unwrap_or_default();
                }
            })
            .await;
            let limits = Limits {
                idle_to_pod_time,
                ..Limits::default()
            };
            let gateway = rig.listen_within(Front::default(), limits).await;
            assert_eq!(ask(gateway, get("http://app.example.com/")).await.status, 200);
            let wait = if ends { LIMIT } else { 4 * SHORT };
            let over = timeout(wait, is_over.recv()).await.is_ok();
            assert_eq!(over, ends, "{protocol:?}, {idle_to_pod_time:?}");
            rig.tasks.stop().await;
        }
    }
}

#[tokio::test]
async fn windows_are_what_the_limits_say() {
    let rig = Rig::new().await;
    let limits = Limits {
        stream_window: 100_000,
        connection_window: 300_000,
        ..Limits::default()
    };
    let gateway = rig.listen_within(Front::default(), limits).await;
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&settings).await.unwrap();
    // Of a stream: SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 6.5.2); of the connection: what is added to its first 65535.
    let (mut of_stream, mut of_connection) = (65_535, 65_535);
    let said = async {
        while (of_stream, of_connection) != (100_000, 300_000) {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut frame = vec![0; usize::try_from(length).unwrap()];
            stream.read_exact(&mut frame).await.unwrap();
            let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
            match (head[3], head[4] & 1) {
                (4, 0) => {
                    let mut all = frame.chunks(6);
                    let found = all.find(|setting| setting[..2] == [0, 4]);
                    of_stream = found.map_or(of_stream, |setting| number(&setting[2..]));
                }
                (8, _) if head[5..] == [0; 4] => of_connection += number(&frame),
                _ => {}
            }
        }
    };
    let is_said = timeout(LIMIT, said).await.is_ok();
    assert!(is_said, "{of_stream} and {of_connection}");
    rig.tasks.stop().await;
}

#[tokio::test]
async fn nobody_waits_for_a_revision_that_was_removed() {
    let rig = Rig::without_pods();
    let gateway = rig.listen(Front::default()).await;
    let held = async {
        while rig.revision.held.now() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        rig.remove_revision();
    };
    let uri = "http://app.example.com/";
    let by_two = async {
        let mut sender = two(TcpStream::connect(gateway).await.unwrap(), &rig.tasks).await;
        said(sender.send_request(get(uri)).await).await
    };
    let all = async { tokio::join!(ask(gateway, get(uri)), by_two, held) };
    let (by_one, by_two, ()) = timeout(LIMIT / 2, all).await.unwrap();
    for said in [by_one, by_two] {
        assert_eq!((said.status, &*said.body), (503, "the revision was removed\n"));
        assert_eq!(said.headers["retry-after"], "1");
    }
    rig.tasks.stop().await;
}
