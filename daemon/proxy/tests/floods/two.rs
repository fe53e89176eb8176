// SPDX-License-Identifier: Apache-2.0
//! Floods of HTTP/2, written frame by frame, and heads beyond a limit.

use crate::rig::{Flooded, HELD, HOST, connect, larger, narrow};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The fields of a GET, without Huffman's code.
fn head() -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x84, 0x41, u8::try_from(HOST.len()).unwrap()];
    block.extend_from_slice(HOST.as_bytes());
    block
}

/// The same, for what is large.
fn head_for_big() -> Vec<u8> {
    let mut block = head();
    // The path by its own name: `/big` instead of `/`.
    block.remove(2);
    block.extend_from_slice(&[0x04, 4]);
    block.extend_from_slice(b"/big");
    block
}

pub(crate) fn preface() -> Vec<u8> {
    let mut begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    begin.extend(frame(SETTINGS, 0, 0, &[]));
    begin
}

/// How a flood ended: with an end of the connection, or because enough was sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    ByServer,
    ByClient,
}

/// Writes `piece(n)` again and again, for some seconds at most.
async fn flood(flooded: &Flooded, begin: Vec<u8>, reads: bool, piece: impl Fn(u32) -> Vec<u8>) -> Ended {
    // Who does not read has little room for answers: all of it is filled soon, however slow the machine is.
    let client = match reads {
        true => connect(flooded.address).await,
        false => narrow(flooded.address).await,
    };
    flood_over(client, begin, reads, piece).await
}

/// The same over this stream.
pub(crate) async fn flood_over<S>(client: S, begin: Vec<u8>, reads: bool, piece: impl Fn(u32) -> Vec<u8>) -> Ended
where
    S: AsyncRead + AsyncWrite,
{
    let (mut reader, mut writer) = tokio::io::split(client);
    let writing = async {
        let end = Instant::now() + Duration::from_secs(if reads { 3 } else { 30 });
        if writer.write_all(&[preface(), begin].concat()).await.is_err() {
            return Ended::ByServer;
        }
        for number in 0.. {
            match timeout(Duration::from_secs(30), writer.write_all(&piece(number))).await {
                Ok(Ok(())) if Instant::now() < end => {}
                Ok(Ok(())) | Err(_) => return Ended::ByClient,
                Ok(Err(_)) => return Ended::ByServer,
            }
        }
        Ended::ByClient
    };
    let reading = async {
        let mut piece = [0; 16 << 10];
        if !reads {
            std::future::pending::<()>().await;
        }
        while matches!(reader.read(&mut piece).await, Ok(1..)) {}
    };
    tokio::select! {
        ended = writing => ended,
        () = reading => Ended::ByServer,
    }
}

/// A request and its end at once.
pub(crate) fn given_up(number: u32) -> Vec<u8> {
    let stream = number * 2 + 1;
    let get = frame(HEADERS, END_HEADERS | END_STREAM, stream, &head());
    [get, cancel(stream)].concat()
}

/// A request that is held.
pub(crate) fn held(stream: u32) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x84, 0x41, u8::try_from(HELD.len()).unwrap()];
    block.extend_from_slice(HELD.as_bytes());
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

/// The end of a request, before its answer.
pub(crate) fn cancel(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

/// Many frames in one write.
pub(crate) fn many(from: u32, make: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    (from * 100..(from + 1) * 100).flat_map(make).collect()
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn a_rapid_reset_ends_the_connection_or_costs_nothing() {
    let flooded = Flooded::start().await;
    for _ in 0..larger(2) {
        flood(&flooded, Vec::new(), true, |number| many(number, given_up)).await;
    }
    flooded.end(32 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn a_head_without_end_ends_the_connection() {
    let flooded = Flooded::start().await;
    for payload in [&[][..], &[0x0f, 0x10, 0x01, b'x'].repeat(1000)] {
        let begin = frame(HEADERS, END_STREAM, 1, &head());
        let ended = flood(&flooded, begin, true, |_| frame(CONTINUATION, 0, 1, payload)).await;
        assert_eq!(ended, Ended::ByServer);
    }
    flooded.until("/limit/pending_resets", 2).await;
    flooded.end(24 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn a_head_whose_rest_does_not_come_is_given_up() {
    let flooded = Flooded::start().await;
    let get = frame(HEADERS, END_HEADERS | END_STREAM, 3, &head());
    let mut clients = Vec::new();
    for begun in [
        frame(HEADERS, END_STREAM, 1, &head()),
        get[..get.len() - 1].to_vec(),
        // Beside a stream that stays open.
        [held(1), frame(HEADERS, END_STREAM, 3, &[])].concat(),
    ] {
        for _ in 0..larger(10) {
            let mut client = connect(flooded.address).await;
            client.write_all(&[preface(), begun.clone()].concat()).await.unwrap();
            clients.push(client);
        }
    }
    flooded.until("/limit/head_time", clients.len()).await;
    flooded.until("/waiting", 0).await;
    for mut client in clients {
        let mut unread = Vec::new();
        let ended = timeout(Duration::from_secs(20), client.read_to_end(&mut unread)).await;
        assert!(ended.is_ok(), "the connection goes on");
    }
    flooded.end(16 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn heads_of_two_that_are_held_in_all_have_a_bound() {
    let flooded = Flooded::start().await;
    // Each byte is a field of the table that every connection has; nothing comes after them.
    let fields = [head(), vec![0x90; 4000]].concat();
    let begun = [
        preface(),
        frame(HEADERS, END_STREAM, 1, &fields),
        frame(CONTINUATION, 0, 1, &[]),
    ]
    .concat();
    let mut clients = Vec::new();
    for _ in 0..larger(300) {
        let mut client = connect(flooded.address).await;
        client.write_all(&begun).await.unwrap();
        clients.push(client);
    }
    let mut ended = 0;
    for mut client in clients {
        let mut unread = Vec::new();
        let end = timeout(Duration::from_secs(20), client.read_to_end(&mut unread)).await;
        ended += usize::from(end.is_ok());
    }
    assert_eq!(ended, larger(300));
    let limited = flooded.count("/limit/all_heads").await;
    assert!(limited > 0, "{limited} for want of room");
    flooded.end(32 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn questions_and_settings_without_end_end_the_connection() {
    let flooded = Flooded::start().await;
    const PRIORITY: u8 = 2;
    for reads in [false, true] {
        // Settings, a priority, a window update of stream 0, a frame of a kind that nobody knows.
        for (kind, payload) in [
            (PING, &[0; 8][..]),
            (SETTINGS, &[0, 4, 0, 1, 0, 0]),
            (PRIORITY, &[0; 5]),
            (WINDOW_UPDATE, &[0, 0, 0, 1]),
            (200, &[]),
        ] {
            let stream = u32::from(kind == PRIORITY);
            let ended = flood(&flooded, Vec::new(), reads, |number| {
                many(number, |_| frame(kind, 0, stream, payload))
            })
            .await;
            assert_eq!(ended, Ended::ByServer, "{kind}");
        }
    }
    flooded.until("/limit/control_frames", 10).await;
    flooded.end(32 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn empty_data_ends_the_connection() {
    let flooded = Flooded::start().await;
    let begin = frame(HEADERS, END_HEADERS, 1, &head());
    let ended = flood(&flooded, begin, true, |number| many(number, |_| frame(DATA, 0, 1, &[]))).await;
    assert_eq!(ended, Ended::ByServer);
    flooded.until("/limit/pending_resets", 1).await;
    flooded.end(24 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn a_field_named_a_thousand_times_is_no_head_of_a_hundred_megabytes() {
    let flooded = Flooded::start().await;
    // One field of 4000 bytes goes into the table; each byte 0xbe is all of it again.
    let mut block = head();
    block.extend_from_slice(&[0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
    block.extend(vec![b'y'; 4000]);
    block.extend(vec![0xbe; 10_000]);
    flood(&flooded, Vec::new(), true, |number| {
        frame(HEADERS, END_HEADERS | END_STREAM, number * 2 + 1, &block)
    })
    .await;
    flooded.end(48 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn a_window_that_stays_shut_lets_go_of_the_pod() {
    let flooded = Flooded::start().await;
    let block = head_for_big();
    let mut clients = Vec::new();
    for _ in 0..larger(20) {
        let mut client = connect(flooded.address).await;
        let mut all = preface();
        all.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block));
        client.write_all(&all).await.unwrap();
        clients.push(client);
    }
    flooded.until("/begun", clients.len()).await;
    flooded.until("/open", 0).await;
    flooded.until("/limit/write_time", clients.len()).await;
    flooded.end(32 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn an_answer_of_ours_that_is_not_read_is_given_up_and_counted() {
    let flooded = Flooded::start().await;
    // Too many fields; and the window for what is said of it has no room.
    let mut block = head();
    block.extend([0x00, 1, b'x', 1, b'y'].repeat(200));
    let begin = [
        preface(),
        frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, &block),
    ];
    let mut clients = Vec::new();
    for _ in 0..larger(10) {
        let mut client = connect(flooded.address).await;
        client.write_all(&begin.concat()).await.unwrap();
        clients.push(client);
    }
    flooded.until("/limit/write_time", clients.len()).await;
    flooded.end(16 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn a_window_without_bounds_is_not_filled_for_who_does_not_read() {
    let flooded = Flooded::start().await;
    // The largest there are, of a stream and of all.
    let (wide, wider) = ([0, 4, 0x7f, 0xff, 0xff, 0xff], [0x7f, 0xff, 0, 0]);
    let mut client = narrow(flooded.address).await;
    let mut all = preface();
    all.extend(frame(SETTINGS, 0, 0, &wide));
    all.extend(frame(WINDOW_UPDATE, 0, 0, &wider));
    let block = head_for_big();
    all.extend((0..200).flat_map(|number| frame(HEADERS, END_HEADERS | END_STREAM, number * 2 + 1, &block)));
    client.write_all(&all).await.unwrap();
    flooded.until("/begun", 200).await;
    flooded.until("/open", 0).await;
    flooded.end(40 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn streams_beyond_the_limit_are_refused_and_counted() {
    let flooded = Flooded::start().await;
    let mut client = connect(flooded.address).await;
    let mut all = preface();
    // 250 are the most; nobody answers them.
    all.extend((0..300).flat_map(|number| held(number * 2 + 1)));
    client.write_all(&all).await.unwrap();
    flooded.until("/waiting", 250).await;
    flooded.until("/limit/streams", 50).await;
    flooded.until("/limit/all_streams", 0).await;
    drop(client);
    flooded.until("/waiting", 0).await;
    flooded.end(24 << 20).await;
}

#[tokio::test]
#[ignore = "of the suite floods"]
async fn a_head_of_too_many_fields_is_refused_and_counted() {
    let flooded = Flooded::start().await;
    let (mut client, connection) = h2::client::handshake(connect(flooded.address).await).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut status = async |count: usize, value: &str| {
        let mut request = http::Request::get(format!("http://{HOST}/"));
        for _ in 0..count {
            request = request.header("x", value);
        }
        let (answer, _) = client.send_request(request.body(()).unwrap(), true).unwrap();
        let (head, mut body) = answer.await.unwrap().into_parts();
        let mut text = String::new();
        while let Some(Ok(part)) = body.data().await {
            text += &String::from_utf8_lossy(&part);
        }
        (head.status.as_u16(), text)
    };
    let is = |status, text: &str| (status, text.to_owned());
    // 100 are the most.
    assert_eq!(status(100, "y").await, is(200, "ok"));
    assert_eq!(status(200, "y").await, is(431, "too many header fields\n"));
    flooded.until("/limit/request_head", 1).await;
    // The list is longer than `request_head`.
    assert_eq!(status(90, &"y".repeat(1000)).await, is(431, "too large a head\n"));
    flooded.until("/limit/request_head", 2).await;
    // By so much that h2 answers itself.
    assert_eq!(status(90, &"y".repeat(2000)).await, is(431, ""));
    assert_eq!(status(1, "y").await, is(200, "ok"));
    flooded.until("/limit/request_head", 3).await;
    connection.abort();
    flooded.end(24 << 20).await;
}
