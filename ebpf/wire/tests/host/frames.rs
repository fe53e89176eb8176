// SPDX-License-Identifier: Apache-2.0
//! HTTP/2 frames written by hand, for what h2's own ends would not send: padding, priority, odd order, malformed.
//!
//! Where the frames are those of a client, h2's server is asked how many streams it accepts.

use crate::machine::Connection;
use crate::pipe::{Pipe, Task};
use std::cell::Cell;
use std::rc::Rc;
use wire::Note;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// GET http://a/ without the dynamic table.
const BLOCK: &[u8] = &[0x82, 0x86, 0x84, 0x01, 0x01, b'a'];
const OK: &[u8] = &[0x88];

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const WITH_PRIORITY: u8 = 0x20;

pub fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(id.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// How many streams h2's server accepts of these frames, which follow the preface.
fn accepted(frames: &[u8]) -> u64 {
    let pipe = Pipe::default();
    pipe.feed(PREFACE);
    pipe.feed(frames);
    let count = Rc::new(Cell::new(0));
    let (counter, server) = (count.clone(), pipe.clone());
    let mut kept = Vec::new();
    let mut task = Task::new(async move {
        let mut connection = h2::server::handshake::<_>(server).await.unwrap();
        while let Some(Ok(stream)) = connection.accept().await {
            counter.set(counter.get() + 1);
            kept.push(stream);
        }
    });
    task.run();
    count.get()
}

/// Both directions in segments of a size; each list's frames in order, the client's first.
fn play(client: &[u8], server: &[u8], size: usize) -> Connection {
    let mut connection = Connection::established();
    let mut offset = 0;
    for piece in [PREFACE, client].concat().chunks(size) {
        connection.client(offset, piece);
        offset += piece.len();
        connection.stack_has(offset);
    }
    let mut answered = 0;
    for piece in server.chunks(size) {
        connection.server(answered, piece, false);
        answered += piece.len();
    }
    connection
}

/// In segments of every size: this many start and end, nothing is uncertain.
fn exact(client: &[Vec<u8>], server: &[Vec<u8>], started: u64, in_flight: u64) {
    let (client, server) = (client.concat(), server.concat());
    for size in 1..=client.len().max(server.len()) + PREFACE.len() {
        let mut connection = play(&client, &server, size);
        assert_eq!(
            (connection.host.started, connection.in_flight()),
            (started, in_flight),
            "in segments of {size}"
        );
        assert!(!connection.is_uncertain() && connection.has(Note::Http2));
        connection.assert_closed();
    }
}

fn ask(id: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, id, BLOCK)
}

fn ok(id: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, id, OK)
}

#[test]
fn padding_and_priority_change_nothing() {
    let padded: Vec<u8> = [&[9][..], BLOCK, &[0; 9]].concat();
    let both: Vec<u8> = [&[9, 0, 0, 0, 0, 16][..], BLOCK, &[0; 9]].concat();
    let client = [
        frame(SETTINGS, 0, 0, &[]),
        frame(HEADERS, END_HEADERS | PADDED, 1, &padded),
        frame(HEADERS, END_HEADERS | PADDED | WITH_PRIORITY, 3, &both),
        frame(DATA, END_STREAM | PADDED, 1, b"\x04body\0\0\0\0"),
        frame(PRIORITY, 0, 5, &[0, 0, 0, 0, 1]),
        frame(DATA, END_STREAM, 3, b""),
        ask(5),
    ];
    assert_eq!(accepted(&client.concat()), 3);
    let padded_ok: Vec<u8> = [&[3][..], OK, &[0; 3]].concat();
    let server = [
        frame(SETTINGS, 0, 0, &[]),
        frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 3, &padded_ok),
        ok(1),
    ];
    exact(&client, &server, 3, 1);
}

#[test]
fn continuations_belong_to_their_head() {
    let mut client = vec![frame(HEADERS, END_STREAM, 1, &BLOCK[..2])];
    client.extend(BLOCK[2..5].iter().map(|byte| frame(CONTINUATION, 0, 1, &[*byte])));
    client.push(frame(CONTINUATION, END_HEADERS, 1, &BLOCK[5..]));
    client.push(ask(3));
    assert_eq!(accepted(&client.concat()), 2);
    let server = [
        frame(HEADERS, 0, 1, OK),
        frame(CONTINUATION, END_HEADERS, 1, &[]),
        frame(DATA, END_STREAM, 1, b"x"),
        ok(3),
    ];
    exact(&client, &server, 2, 0);
}

#[test]
fn other_frames_start_nothing() {
    let client = [
        frame(PING, 0, 0, &[0; 8]),
        frame(WINDOW, 0, 0, &[0, 0, 1, 0]),
        frame(0xfa, 0xff, 7, b"unknown"),
        frame(0xbe, 0, 0, b""),
        ask(1),
        frame(WINDOW, 0, 1, &[0, 0, 1, 0]),
    ];
    assert_eq!(accepted(&client.concat()), 1);
    let server = [
        frame(PING, 1, 0, &[0; 8]),
        frame(0xfa, 1, 1, b"GOAWAY"),
        frame(WINDOW, 0, 1, &[0, 0, 1, 0]),
    ];
    exact(&client, &server, 1, 1);
}

#[test]
fn a_server_may_send_settings_before_the_preface() {
    let settings = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]);
    for size in 1..=settings.len() {
        for cut in 1..PREFACE.len() {
            let mut connection = Connection::established();
            for (i, piece) in settings.chunks(size).enumerate() {
                connection.server(i * size, piece, false);
            }
            let client = [PREFACE, &ask(1)].concat();
            connection.client(0, &client[..cut]);
            connection.client(cut, &client[cut..]);
            assert_eq!(connection.in_flight(), 1);
            connection.server(settings.len(), &ok(1), false);
            assert_eq!((connection.in_flight(), connection.is_uncertain()), (0, false));
            connection.assert_closed();
        }
    }
}

#[test]
fn a_goaway_ends_what_is_above_it_and_refuses_more() {
    let last = |id: u32| frame(GOAWAY, 0, 0, &[&id.to_be_bytes()[..], &[0; 4], b"why"].concat());
    let client = [ask(1), ask(3), ask(5), ask(7)];
    exact(&client, &[last(0x7fff_ffff)], 4, 4);
    exact(&client, &[last(0x7fff_ffff), ok(7), last(3)], 4, 2);
    exact(&client, &[last(3), ok(1), ok(3)], 4, 0);
    exact(&client, &[last(0)], 4, 0);
    let mut connection = play(&client.concat(), &[last(7), ok(1)].concat(), 1000);
    let offset = PREFACE.len() + client.concat().len();
    connection.client(offset, &ask(9));
    assert_eq!(
        (connection.host.started, connection.in_flight()),
        (4, 3),
        "a stream the server will not serve"
    );
    connection.assert_closed();
}

#[test]
fn pushes_and_trailers_are_no_requests() {
    let client = [
        frame(HEADERS, END_HEADERS, 1, BLOCK),
        frame(DATA, 0, 1, b"x"),
        frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0, 1, b'a', 1, b'b']),
    ];
    assert_eq!(accepted(&client.concat()), 1);
    let server = [
        frame(5, END_HEADERS, 1, &[&[0, 0, 0, 2][..], BLOCK].concat()),
        frame(HEADERS, END_HEADERS, 1, OK),
        frame(HEADERS, END_HEADERS | END_STREAM, 2, OK),
        frame(DATA, 0, 1, b"x"),
        frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0, 1, b'a', 1, b'b']),
    ];
    exact(&client, &server, 1, 0);
}

#[test]
fn a_reset_after_the_end_ends_nothing_twice() {
    let reset = |id| frame(RST, 0, id, &[0, 0, 0, 8]);
    exact(
        &[ask(1), ask(3), reset(1), reset(1)],
        &[ok(1), reset(1), reset(9), frame(DATA, END_STREAM, 1, b"")],
        2,
        1,
    );
}

#[test]
fn malformed_frames_end_with_the_connection() {
    let shapes = [
        frame(HEADERS, END_HEADERS, 0, BLOCK),
        frame(HEADERS, END_HEADERS, 2, BLOCK),
        frame(HEADERS, END_HEADERS | PADDED, 1, &[255]),
        frame(HEADERS, END_HEADERS, 1, &[0xff; 9]),
        frame(RST, 0, 1, &[0]),
        frame(DATA, END_STREAM, 7, b"idle"),
        frame(CONTINUATION, END_HEADERS, 1, BLOCK),
        frame(SETTINGS, 0, 0, &[1, 2, 3]),
        frame(WINDOW, 0, 0, &[0; 4]),
        frame(GOAWAY, 0, 0, &[0; 3]),
        [&[0xff, 0xff, 0xff][..], &[DATA, 0, 0, 0, 0, 1], &[0; 50]].concat(),
        vec![0xff; 60],
        b"GET / HTTP/1.1\r\n\r\n".repeat(4),
    ];
    for shape in &shapes {
        for server in [&[][..], &shape[..]] {
            for size in [1, 3, 9, 10, 1000] {
                let client = [ask(1), shape.clone(), ask(9), ask(5)].concat();
                let mut connection = play(&client, server, size);
                assert!(connection.host.started >= 1 && connection.host.started <= 6);
                connection.assert_closed();
            }
        }
    }
}

#[test]
fn without_memory_for_slots_streams_count_by_totals() {
    let mut connection = Connection::established();
    connection.host.has_memory = false;
    let client = [PREFACE, &[ask(1), ask(3), ask(5)].concat()].concat();
    connection.client(0, &client);
    assert!(connection.is_uncertain() && connection.has(Note::Overflow));
    assert_eq!(connection.in_flight(), 3);
    connection.server(0, &[ok(3), ok(1)].concat(), false);
    assert_eq!(connection.in_flight(), 1);
    connection.assert_closed();
}

#[test]
fn an_h2_stream_the_client_half_of_which_was_lost_starts_late() {
    let mut connection = Connection::established();
    let client = [PREFACE, &ask(1)].concat();
    connection.client(0, &client);
    // The stack has stream 3, the hook never saw it.
    connection.stack_has(client.len() + ask(3).len());
    connection.server(0, &frame(HEADERS, END_HEADERS, 3, OK), false);
    assert_eq!(connection.in_flight(), 2);
    assert!(connection.is_uncertain() && connection.has(Note::Late));
    connection.server(10, &[frame(DATA, END_STREAM, 3, b""), ok(1)].concat(), false);
    assert_eq!(connection.in_flight(), 0);
    connection.assert_closed();
}

#[test]
fn many_streams_in_turn_use_few_slots() {
    let mut connection = Connection::established();
    connection.client(0, PREFACE);
    let (mut sent, mut answered) = (PREFACE.len(), 0);
    // Stream 1 stays open all the time: later streams come round to its slot.
    for id in (1..4001).step_by(2) {
        let asked = ask(id);
        connection.client(sent, &asked);
        sent += asked.len();
        if id != 1 {
            let bytes = ok(id);
            connection.server(answered, &bytes, false);
            answered += bytes.len();
        }
        assert_eq!(connection.in_flight(), 1);
    }
    assert!(!connection.is_uncertain());
    connection.assert_closed();
}
