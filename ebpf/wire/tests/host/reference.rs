// SPDX-License-Identifier: Apache-2.0
//! What the property tests and the fuzz targets hold the machine to, given any bytes.
//!
//! Each function takes bytes and panics when a property fails. [`frames`] is a slow and obvious reader of whole byte
//! strings; hyper is asked through [`crate::oracle`] and [`crate::live`].

use crate::machine::{Connection, Event};
use crate::network::Cut;
use crate::oracle::{self, End};
use hyper::Method;
use std::collections::BTreeMap;
use wire::Note;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Lengths from `cuts`, round and round.
fn pieces<'a>(bytes: &'a [u8], cuts: &'a [u8]) -> impl Iterator<Item = (usize, &'a [u8])> {
    let mut cuts = cuts.iter().cycle();
    let mut offset = 0;
    std::iter::from_fn(move || {
        let size = cuts.next().map_or(bytes.len(), |cut| usize::from(*cut) + 1);
        let from = offset;
        offset = bytes.len().min(from + size);
        (from < offset).then(|| (from, &bytes[from..offset]))
    })
}

fn give(client: &[u8], server: &[u8], cuts: &[u8]) -> Connection {
    let mut connection = Connection::established();
    for (offset, piece) in pieces(client, cuts) {
        connection.client(offset, piece);
        connection.stack_has(offset + piece.len());
    }
    for (offset, piece) in pieces(server, cuts) {
        connection.server(offset, piece, false);
    }
    connection
}

fn told(connection: &Connection) -> Vec<Event> {
    let http2 = connection.has(Note::Http2);
    // A frame header alone in its segment does not show the status behind it.
    let events = connection
        .host
        .events
        .iter()
        .filter(|event| !http2 || !matches!(event, Event::Status(_)));
    events.copied().collect()
}

/// A framing field too long to be kept whole is flagged when a segment ends inside it.
fn has_long_framing(bytes: &[u8]) -> bool {
    let framing = |line: &[u8]| line.len() > 64 && matches!(line[0] | 0x20, b'c' | b't');
    bytes.split(|byte| *byte == b'\n').any(framing)
}

/// Any segmentation tells the same events as one segment, unless the connection is flagged.
pub fn segmentation(client: &[u8], server: &[u8], cuts: &[u8]) {
    let mut whole = give(client, server, &[]);
    let mut cut = give(client, server, cuts);
    let both = whole.is_uncertain() && cut.is_uncertain();
    let one = whole.is_uncertain() || cut.is_uncertain();
    if !both && !(one && (has_long_framing(client) || has_long_framing(server))) {
        assert_eq!(
            told(&whole),
            told(&cut),
            "{:?} and {:?}",
            String::from_utf8_lossy(client),
            String::from_utf8_lossy(server)
        );
        assert_eq!(whole.host.measured, cut.host.measured);
    }
    whole.assert_closed();
    cut.assert_closed();
}

/// Whatever passes in whatever order: ended ≤ started, equal after close.
pub fn chaos(data: &[u8]) {
    let mut connection = Connection::established();
    let (mut client, mut server) = (0_usize, 0_usize);
    let mut rest = data;
    while let [how, size, tail @ ..] = rest {
        let size = usize::from(*size).min(tail.len());
        let (bytes, tail) = tail.split_at(size);
        // Mostly in order; sometimes late, early, repeated or seen by the stack only.
        let jump = match how >> 4 {
            0 => 40_isize,
            1 => -40,
            2 => size as isize,
            3 => 3,
            _ => 0,
        };
        let stream = if how & 1 == 0 { &mut client } else { &mut server };
        let offset = stream.saturating_add_signed(jump);
        *stream = (*stream).max(offset + size);
        match how & 7 {
            0 | 2 | 4 => connection.client(offset, bytes),
            6 => connection.stack_has(client),
            7 => connection.close(),
            _ => connection.server(offset, bytes, how & 8 != 0 && how & 1 == 1 && how & 4 != 0),
        }
        assert!(
            wire::pending(&connection.host) >= connection.in_flight() as u32,
            "more in flight than pending"
        );
        rest = tail;
    }
    connection.assert_closed();
}

/// A client's bytes: hyper's server reads and answers them.
pub fn requests(bytes: &[u8], cuts: &[u8]) {
    crate::live::check(bytes, Cut::Whole);
    crate::live::check(bytes, Cut::Every(usize::from(cuts.first().copied().unwrap_or(0)) + 1));
}

/// Heads as httparse sees them, while requests have no body.
pub fn heads(bytes: &[u8]) {
    let mut connection = Connection::established();
    connection.client(0, bytes);
    let (mut at, mut count) = (0, 0);
    loop {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut fields);
        let Ok(httparse::Status::Complete(length)) = request.parse(&bytes[at..]) else {
            break;
        };
        let framed =
            |name: &str| name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding");
        let probe = |value: &[u8]| value.starts_with(b"kube-probe/");
        let version = request.version.unwrap_or(9);
        if version > 1
            || request
                .headers
                .iter()
                .any(|field| framed(field.name) || probe(field.value))
        {
            break;
        }
        at += length;
        count += 1;
    }
    if !connection.is_uncertain() && !connection.has(Note::Http2) {
        assert!(
            connection.host.started >= count,
            "{} heads of {count}: {:?}",
            connection.host.started,
            String::from_utf8_lossy(bytes)
        );
    }
    connection.assert_closed();
}

/// A server's bytes, answering GET and HEAD as the bits of `heads` say: hyper's client says where responses end.
pub fn responses(bytes: &[u8], heads: u8, cuts: &[u8]) {
    let methods: Vec<Method> = (0..6)
        .map(|i| if heads >> i & 1 == 1 { Method::HEAD } else { Method::GET })
        .collect();
    let ends = oracle::ends(bytes, &methods);
    let offsets: Vec<usize> = ends
        .iter()
        .filter_map(|end| if let End::At(offset) = end { Some(*offset) } else { None })
        .collect();
    let requests: String = methods
        .iter()
        .map(|method| format!("{method} / HTTP/1.1\r\n\r\n"))
        .collect();
    for cuts in [&[0][..], &[], cuts] {
        let mut connection = Connection::established();
        connection.client(0, requests.as_bytes());
        connection.stack_has(requests.len());
        for (offset, piece) in pieces(bytes, cuts) {
            connection.server(offset, piece, false);
            let now = offset + piece.len();
            let known = ends.len() == offsets.len() && ends.len() < methods.len()
                || offsets.last().is_some_and(|last| now <= *last);
            if known && !connection.is_uncertain() {
                let ended = offsets.iter().filter(|end| **end <= now).count() as u64;
                assert_eq!(
                    connection.host.ended,
                    ended,
                    "after {now} of {:?}; hyper: {ends:?}",
                    String::from_utf8_lossy(bytes)
                );
            }
        }
        connection.assert_closed();
    }
}

/// Streams that began and that are in flight, by reading whole frames.
fn read_frames(client: &[u8], server: &[u8]) -> (u64, u64) {
    let (mut open, mut started, mut highest) = (BTreeMap::new(), 0, 0);
    let mut limit = u32::MAX;
    for (is_client, mut bytes) in [(true, client), (false, server)] {
        // A frame is known by its header; a GOAWAY by its last stream id.
        while bytes.len() >= 9 {
            let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
            let (kind, flags) = (bytes[3], bytes[4]);
            let id = u32::from_be_bytes([bytes[5] & 0x7f, bytes[6], bytes[7], bytes[8]]);
            let payload = &bytes[9..bytes.len().min(9 + length)];
            if kind == 7 && id == 0 && !is_client && length >= 8 && payload.len() >= 4 {
                limit = u32::from_be_bytes([payload[0] & 0x7f, payload[1], payload[2], payload[3]]);
                open.retain(|id, _| *id <= limit);
            }
            if id % 2 == 1 {
                if kind == 1 && is_client && id > highest {
                    highest = id;
                    started += 1;
                    open.insert(id, (false, false));
                }
                let ends = flags & 1 == 1 && kind <= 1;
                if let Some((client_done, server_done)) = open.get_mut(&id) {
                    *client_done |= kind == 3 || (ends && is_client);
                    *server_done |= kind == 3 || (ends && !is_client);
                    if *client_done && *server_done {
                        open.remove(&id);
                    }
                }
            }
            bytes = bytes.get(9 + length..).unwrap_or(&[]);
        }
    }
    let _ = limit;
    (started, open.len() as u64)
}

/// Frames of both ends, the client's first.
pub fn frames(client: &[u8], server: &[u8], cuts: &[u8]) {
    let client_bytes = [PREFACE, client].concat();
    let expected = read_frames(client, server);
    for cuts in [&[][..], &[0], cuts] {
        let mut connection = give(&client_bytes, server, cuts);
        if !connection.is_uncertain() {
            assert_eq!(
                (connection.host.started, connection.in_flight()),
                expected,
                "{client:02x?} {server:02x?} cut {cuts:?}"
            );
        }
        connection.assert_closed();
    }
}
