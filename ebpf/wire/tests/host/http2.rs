// SPDX-License-Identifier: Apache-2.0
//! HTTP/2 as h2's client and server speak it, and the count of active streams of h2 as the truth.

use crate::network::{Cut, Network, Truth, check};
use crate::session::{Session, ok, trailers};
use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, HeaderValue, Response};
use wire::Note;

#[test]
fn requests_one_after_another_are_exact() {
    let mut session = Session::new();
    for i in 0..20 {
        let asked = session.ask(true);
        let mut served = session.take_served();
        let mut body = served.response.send_response(ok(), i % 2 == 0).unwrap();
        session.settle();
        if i % 2 == 1 {
            body.send_data(Bytes::from_static(b"hello"), true).unwrap();
        }
        session.settle();
        drop(asked);
        session.settle();
    }
    assert_eq!(session.at_rest(), (20, 0));
    session.assert_exact();
    assert!(session.replay(1).has(Note::Http2));
}

#[test]
fn streams_side_by_side_are_exact() {
    for count in [2, 17, 100, 128] {
        let mut session = Session::new();
        let asked: Vec<_> = (0..count).map(|_| session.ask(true)).collect();
        session.settle();
        assert_eq!(session.waiting(), count);
        let mut bodies = Vec::new();
        for _ in 0..count {
            let mut served = session.take_served();
            bodies.push(served.response.send_response(ok(), false).unwrap());
        }
        session.settle();
        for body in bodies.iter_mut().rev() {
            body.send_data(Bytes::from_static(b"hello"), true).unwrap();
            session.settle();
        }
        drop(asked);
        assert_eq!(session.at_rest(), (count as u64, 0));
        session.assert_exact();
    }
}

#[test]
fn an_end_on_data_or_trailers_counts_as_the_end_of_its_half() {
    let mut session = Session::new();
    for (client_trailers, server_trailers) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut asked = session.ask(false);
        let mut served = session.take_served();
        asked.body.send_data(Bytes::from_static(b"abc"), false).unwrap();
        session.settle();
        let mut body = served.response.send_response(ok(), false).unwrap();
        session.settle();
        if client_trailers {
            asked.body.send_trailers(trailers()).unwrap();
        } else {
            asked.body.send_data(Bytes::new(), true).unwrap();
        }
        session.settle();
        body.send_data(Bytes::from(vec![1; 3000]), false).unwrap();
        session.settle();
        if server_trailers {
            body.send_trailers(trailers()).unwrap();
        } else {
            body.send_data(Bytes::from_static(b"x"), true).unwrap();
        }
        session.settle();
    }
    assert_eq!(session.at_rest(), (4, 0));
    session.assert_exact();
}

#[test]
fn a_server_that_ends_first_leaves_the_stream_open() {
    let mut session = Session::new();
    let mut asked = session.ask(false);
    let mut served = session.take_served();
    served.response.send_response(ok(), true).unwrap();
    session.settle();
    assert_eq!(session.at_rest(), (1, 1));
    asked.body.send_data(Bytes::from_static(b"late"), true).unwrap();
    session.settle();
    assert_eq!(session.at_rest(), (1, 0));
    session.assert_exact();
}

#[test]
fn resets_of_either_side_end_a_stream() {
    let mut session = Session::new();
    for by_client in [true, false] {
        for answered in [false, true] {
            let mut asked = session.ask(false);
            let other = session.ask(true);
            let mut served = session.take_served();
            let mut other_served = session.take_served();
            let mut body = answered.then(|| served.response.send_response(ok(), false).unwrap());
            session.settle();
            match (by_client, &mut body) {
                (true, _) => asked.body.send_reset(Reason::CANCEL),
                (false, Some(body)) => body.send_reset(Reason::INTERNAL_ERROR),
                (false, None) => served.response.send_reset(Reason::REFUSED_STREAM),
            }
            session.settle();
            other_served.response.send_response(ok(), true).unwrap();
            session.settle();
            drop((asked, other));
            session.settle();
        }
    }
    assert_eq!(session.at_rest(), (8, 0));
    session.assert_exact();
}

#[test]
fn an_early_answer_and_its_reset_end_a_stream() {
    let mut session = Session::new();
    let mut asked = session.ask(false);
    let mut served = session.take_served();
    asked.body.send_data(Bytes::from(vec![0; 500]), false).unwrap();
    served.response.send_response(ok(), true).unwrap();
    // Dropping the request makes h2 send RST_STREAM(NO_ERROR) or CANCEL.
    drop(served);
    session.settle();
    drop(asked);
    session.settle();
    assert_eq!(session.at_rest(), (1, 0));
    session.assert_exact();
}

#[test]
fn interim_responses_end_nothing() {
    let mut session = Session::new();
    let asked = session.ask(true);
    let mut served = session.take_served();
    for _ in 0..3 {
        served
            .response
            .send_informational(Response::builder().status(103).body(()).unwrap())
            .unwrap();
        session.settle();
    }
    assert_eq!(session.at_rest(), (1, 1));
    served.response.send_response(ok(), true).unwrap();
    session.settle();
    drop(asked);
    assert_eq!(session.at_rest(), (1, 0));
    session.assert_exact();
}

#[test]
fn heads_of_many_frames_are_one_start() {
    let mut fields = HeaderMap::new();
    for i in 0..4 {
        let name = http::HeaderName::from_bytes(format!("x-{i}").as_bytes()).unwrap();
        fields.insert(name, HeaderValue::from_bytes(&vec![b'z' - i; 14_000]).unwrap());
    }
    let mut session = Session::new();
    let asked = session.ask_with(fields, true);
    let mut served = session.take_served();
    assert_eq!(served.request.headers().len(), 4);
    served.response.send_response(ok(), true).unwrap();
    session.settle();
    drop(asked);
    assert_eq!(session.at_rest(), (1, 0));
    session.assert_exact();
}

#[test]
fn a_graceful_goaway_lets_streams_end() {
    let mut session = Session::new();
    let asked = [session.ask(true), session.ask(true)];
    let mut served = [session.take_served(), session.take_served()];
    session.shut(true);
    for served in &mut served {
        served.response.send_response(ok(), true).unwrap();
        session.settle();
    }
    drop(asked);
    session.settle();
    assert_eq!(session.at_rest(), (2, 0));
    session.assert_exact();
}

#[test]
fn an_abrupt_goaway_leaves_nothing_after_close() {
    let mut session = Session::new();
    let asked = [session.ask(false), session.ask(true)];
    session.settle();
    session.shut(false);
    drop(asked);
    for size in 1..40 {
        // h2 gives every stream up at once; on the wire they end with the connection.
        let mut connection = crate::machine::Connection::established();
        crate::network::feed_all(&mut connection, &session.dialogue(), size);
        connection.assert_closed();
        assert_eq!(connection.host.started, 2);
    }
}

#[test]
fn more_streams_than_slots_are_flagged_and_end() {
    let mut session = Session::new();
    let asked: Vec<_> = (0..300).map(|_| session.ask(true)).collect();
    session.settle();
    for _ in 0..300 {
        session.take_served().response.send_response(ok(), true).unwrap();
    }
    session.settle();
    drop(asked);
    let mut connection = session.replay(1000);
    assert!(connection.is_uncertain() && connection.has(Note::Overflow));
    assert_eq!((connection.host.started, connection.in_flight()), (300, 0), "by totals");
    connection.assert_closed();
}

/// Uploads, downloads, resets, side by side.
fn busy() -> Session {
    let mut session = Session::new();
    for round in 0..6_usize {
        let mut asked: Vec<_> = (0..4).map(|i| session.ask(i % 2 == 0)).collect();
        for i in [1, 3] {
            asked[i].body.reserve_capacity(3000);
            asked[i]
                .body
                .send_data(Bytes::from(vec![b'a'; 700 * (round + 1)]), true)
                .unwrap();
        }
        for i in 0..4 {
            let mut served = session.take_served();
            let mut body = served.response.send_response(ok(), false).unwrap();
            if i == round % 4 {
                body.send_reset(Reason::CANCEL);
            } else {
                body.send_data(Bytes::from(vec![b'b'; 900 * i]), true).unwrap();
            }
            drop(served);
        }
        session.settle();
        drop(asked);
        session.settle();
    }
    assert_eq!(session.at_rest(), (24, 0));
    session
}

#[test]
fn a_busy_session_is_exact() {
    busy().assert_exact();
}

#[test]
fn http2_under_loss_is_never_silent() {
    let session = busy();
    let dialogue = session.dialogue();
    let (started, _) = session.at_rest();
    let truth = Truth {
        heads: vec![0; started as usize],
        ends: vec![0; started as usize],
    };
    let mut uncertain = 0;
    for (cut, p) in [(Cut::Upto(1400), 0.02), (Cut::Upto(300), 0.05), (Cut::Upto(60), 0.3)] {
        for seed in 0..60 {
            for network in [
                Network::bad(cut, p),
                Network {
                    unseen: p,
                    ..Network::clean(cut)
                },
                Network {
                    egress_loss: p,
                    ..Network::clean(cut)
                },
                Network {
                    egress_loss: p,
                    unseen: p,
                    ..Network::bad(cut, p)
                },
            ] {
                uncertain += usize::from(check(&dialogue, &truth, network, seed).is_uncertain());
            }
        }
    }
    println!("{uncertain} of 720 uncertain");
    assert!(uncertain < 720);
}

#[test]
fn repeated_segments_change_nothing() {
    let session = busy();
    let truth = Truth {
        heads: vec![0; 24],
        ends: vec![0; 24],
    };
    for seed in 0..30 {
        let network = Network {
            twice: 0.5,
            ..Network::clean(Cut::Upto(200))
        };
        assert!(!check(&session.dialogue(), &truth, network, seed).is_uncertain());
    }
}

#[test]
fn a_server_that_began_a_line_before_the_preface_is_flagged() {
    for count in 1..20 {
        let mut connection = crate::machine::Connection::established();
        connection.server(0, &b"HTTP/1.1 200 OK Sure"[..count], false);
        connection.client(0, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        connection.server(count, &crate::frames::frame(4, 0, 0, &[]), false);
        assert!(connection.is_uncertain(), "{count} bytes of a line");
        connection.assert_closed();
    }
}
