// SPDX-License-Identifier: Apache-2.0
//! What is counted otherwise: probes, answers before a head is complete, answers nobody asked for, bytes of no HTTP.

use crate::machine::{Connection, Event};
use crate::network::{Cut, Dialogue, Network, Truth, check};
use wire::Note;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const PROBE: &str = "GET /ready HTTP/1.1\r\nHost: a\r\nUser-Agent: kube-probe/1.34\r\n\r\n";

fn statuses(connection: &Connection) -> usize {
    connection
        .host
        .events
        .iter()
        .filter(|event| matches!(event, Event::Status(_)))
        .count()
}

#[test]
fn probes_are_noted_and_not_counted() {
    let dialogue = Dialogue::new()
        .client(PROBE)
        .server(OK)
        .client(GET)
        .server(OK)
        .client(PROBE)
        .server(OK);
    let truth = Truth {
        heads: vec![PROBE.len() + GET.len()],
        ends: vec![2 * OK.len()],
    };
    for seed in 0..50 {
        let connection = check(&dialogue, &truth, Network::clean(Cut::Upto(40)), seed);
        assert_eq!(
            connection
                .host
                .events
                .iter()
                .filter(|event| **event == Event::Note(Note::Probe))
                .count(),
            2
        );
        assert_eq!(statuses(&connection), 1);
    }
    let lower = PROBE.replace("User-Agent: ", "user-agent:\t");
    let connection = check(
        &Dialogue::new().client(&lower).server(OK),
        &Truth::default(),
        Network::clean(Cut::Whole),
        0,
    );
    assert!(connection.has(Note::Probe));
}

#[test]
fn agents_that_only_look_like_probes_are_counted() {
    for agent in ["kube-prob/1", "akube-probe/1", "kube-probe", "Kube prober/"] {
        let request = format!("GET / HTTP/1.1\r\nUser-Agent: {agent}\r\n\r\n");
        let dialogue = Dialogue::new().client(request).server(OK);
        check(&dialogue, &Truth::of(&dialogue), Network::clean(Cut::Whole), 0);
    }
}

/// Every order of plain requests and probes that a close can meet.
#[test]
fn pipelined_probes_leave_no_drift() {
    for depth in 1..=70_usize {
        for pattern in 0..8_usize {
            let probes = |i: usize| (pattern >> (i % 3)) & 1 == 1;
            let requests: String = (0..depth).map(|i| if probes(i) { PROBE } else { GET }).collect();
            for answered in [0, 1, depth / 2, depth] {
                let mut connection = Connection::established();
                connection.client(0, requests.as_bytes());
                let answers = OK.repeat(answered);
                connection.server(0, answers.as_bytes(), false);
                if !connection.is_uncertain() {
                    let plain = |from: usize| (from..depth).filter(|i| !probes(*i)).count() as u64;
                    assert_eq!(
                        connection.in_flight(),
                        plain(answered),
                        "{depth} requests, {answered} answers, pattern {pattern}"
                    );
                }
                connection.assert_closed();
            }
        }
    }
}

#[test]
fn an_answer_before_the_head_is_complete_counts_once() {
    for split in 1..GET.len() {
        for status in [
            "400 Bad Request",
            "408 Request Timeout",
            "431 Too Large",
            "200 OK",
            "503 Busy",
        ] {
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno");
            let mut connection = Connection::established();
            connection.client(0, &GET.as_bytes()[..split]);
            connection.stack_has(split);
            connection.server(0, answer.as_bytes(), false);
            assert_eq!(
                (connection.host.started, connection.host.ended),
                (1, 1),
                "answered after {split}"
            );
            assert!(connection.has(Note::Late));
            connection.client(split, &GET.as_bytes()[split..]);
            connection.stack_has(GET.len());
            assert_eq!(
                (connection.host.started, connection.host.ended),
                (1, 1),
                "completed after {split}"
            );
            connection.client(GET.len(), GET.as_bytes());
            assert_eq!(
                (connection.host.started, connection.host.ended),
                (2, 1),
                "the next request"
            );
            connection.server(answer.len(), OK.as_bytes(), false);
            assert_eq!(connection.in_flight(), 0);
            assert!(!connection.is_uncertain());
            connection.assert_closed();
        }
    }
}

#[test]
fn an_early_answer_with_the_body_still_coming_ends_its_request() {
    let head = "POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n";
    let large = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
    let dialogue = Dialogue::new()
        .client(head)
        .server(large)
        .client(GET.repeat(178) + &"x".repeat(5000 - 178 * GET.len()))
        .client(GET)
        .server(OK);
    let truth = Truth::of(&dialogue);
    assert_eq!(truth.heads.len(), 2);
    for seed in 0..30 {
        check(&dialogue, &truth, Network::clean(Cut::Upto(700)), seed);
    }
}

#[test]
fn an_answer_nobody_asked_for_is_not_counted() {
    let timeout = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbye";
    for dialogue in [
        Dialogue::new().server(timeout),
        Dialogue::new().client(GET).server(OK).server(timeout),
    ] {
        let heads: Vec<usize> = if dialogue.client_stream().is_empty() {
            vec![]
        } else {
            vec![GET.len()]
        };
        let ends = heads.iter().map(|_| OK.len()).collect();
        for size in 1..30 {
            let connection = check(
                &dialogue.clone().fin(),
                &Truth {
                    heads: heads.clone(),
                    ends: Vec::clone(&ends),
                },
                Network::clean(Cut::Every(size)),
                0,
            );
            assert!(!connection.is_uncertain());
            assert_eq!(
                statuses(&connection),
                heads.len(),
                "a status nobody asked for was counted"
            );
        }
    }
}

#[test]
fn bytes_of_no_http_count_as_one_until_close() {
    let shapes: [(&[u8], &[u8]); 8] = [
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\x16\x03\x03\x00\x7a\x02",
        ),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", b"SSH-2.0-OpenSSH_9.2p1\r\n"),
        (b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"),
        (b"\x00\x00\x00\x4b\x03", b"\x00\x00\x00\x02"),
        (b"GET /old\r\n", b"<html>HTTP/0.9</html>"),
        (b"\n\n\x80binary", b"\x80"),
        (b"PRI * HTTP/1.9\r\n\r\n", b"what"),
        (b"GET / SPDY/1.0\r\n\r\n", b"SPDY"),
    ];
    for (client, server) in shapes {
        for size in 1..=client.len() {
            let mut connection = Connection::established();
            let mut offset = 0;
            for piece in client.chunks(size) {
                connection.client(offset, piece);
                offset += piece.len();
                connection.stack_has(offset);
                assert!(connection.in_flight() <= 1);
            }
            assert_eq!(connection.in_flight(), 1, "{client:?} by {size}");
            connection.server(0, server, false);
            connection.client(offset, GET.as_bytes());
            connection.server(server.len(), OK.as_bytes(), false);
            assert_eq!(connection.in_flight(), 1, "{client:?} by {size}");
            assert!(connection.has(Note::Opaque));
            connection.assert_closed();
            assert_eq!(connection.host.started, 1);
        }
    }
}

#[test]
fn a_server_that_speaks_first_counts_as_one_until_close() {
    for banner in ["220 mail.example ESMTP\r\n", "SSH-2.0-x\r\n", "J\0\0\0\n8.0.33\0"] {
        let mut connection = Connection::established();
        connection.server(0, banner.as_bytes(), false);
        connection.client(0, b"EHLO a\r\n");
        assert_eq!(connection.in_flight(), 1);
        connection.server(banner.len(), b"bye", true);
        assert_eq!(connection.in_flight(), 0);
        connection.assert_closed();
    }
}

#[test]
fn requests_open_at_close_end_as_aborted() {
    let mut connection = Connection::established();
    connection.client(0, GET.repeat(3).as_bytes());
    connection.server(0, &OK.as_bytes()[..20], false);
    connection.assert_closed();
    assert!(connection.has(Note::Aborted(3)));
    let before = connection.host.started;
    connection.client(3 * GET.len(), GET.as_bytes());
    assert_eq!(connection.host.started, before, "a start after the close");
}

#[test]
fn a_half_closed_client_still_gets_its_answer() {
    let mut connection = Connection::established();
    connection.client(0, GET.as_bytes());
    // The client's FIN carries no bytes.
    connection.client(GET.len(), &[]);
    assert_eq!(connection.in_flight(), 1);
    connection.server(0, OK.as_bytes(), true);
    assert_eq!((connection.host.started, connection.host.ended), (1, 1));
    assert!(!connection.has(Note::Aborted(1)));
    connection.assert_closed();
}

#[test]
fn latencies_are_measured_for_eight_pending_and_noted_beyond() {
    for depth in [1, 7, 8, 9, 20] {
        let mut connection = Connection::established();
        connection.client(0, GET.repeat(depth).as_bytes());
        connection.server(0, OK.repeat(depth).as_bytes(), false);
        let beyond = connection
            .host
            .events
            .iter()
            .filter(|event| **event == Event::Note(Note::Unmeasured))
            .count();
        assert_eq!(connection.host.measured, depth.min(8) as u64);
        assert_eq!(beyond, depth - depth.min(8));
    }
}
