// SPDX-License-Identifier: Apache-2.0
//! Properties of any bytes, from fragments of HTTP put together at random.

use crate::reference;
use proptest::collection::vec;
use proptest::prelude::*;

const REQUESTS: &[&str] = &[
    "GET / HTTP/1.1\r\n",
    "HEAD / HTTP/1.1\r\n",
    "POST /n/20 HTTP/1.1\r\n",
    "POST /204 HTTP/1.0\r\n",
    "GET /\r\n",
    "CONNECT a:1 HTTP/1.1\r\n",
    "\r\n",
    "\r\n",
    "\r\n",
    "\n",
    "\r",
    "Host: a\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 05\r\n",
    "content-length:31\r\n",
    "Content-Length: 0\r\n",
    "Content-Length : 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "TRANSFER-ENCODING:chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "5\r\nhello\r\n",
    "5;a=b\r\nhello\r\n",
    "0\r\n\r\n",
    "0\r\nA: b\r\n\r\n",
    "hello",
    " folded\r\n",
    "User-Agent: curl/8\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Expect: 100-continue\r\n",
    "x",
    "\0",
    "5\r\n",
    "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n",
];

const RESPONSES: &[&str] = &[
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 204 No\r\n",
    "HTTP/1.1 304 No\r\n",
    "HTTP/1.1 100 Go\r\n",
    "HTTP/1.1 103 Hints\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 404 Not Found\r\n",
    "HTTP/1.1 500\r\n",
    "HTTP/1.1 200\r\n",
    "HTTP/1.1 200 \r\n",
    "\r\n",
    "\r\n",
    "\r\n",
    "\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 5, 5\r\n",
    "content-length:5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Transfer-Encoding: x chunked\r\n",
    "5\r\nhello\r\n",
    "5 \r\nhello\r\n",
    "0\r\n\r\n",
    "0\r\nA: b\r\n\r\n",
    "hello",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    " folded\r\n",
    "x",
];

fn text(fragments: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    vec(proptest::sample::select(fragments), 0..most).prop_map(|parts| parts.concat())
}

/// Messages that are mostly well formed.
fn message(lines: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    vec((proptest::sample::select(&lines[..5]), text(lines, 4)), 1..most).prop_map(|messages| {
        messages
            .into_iter()
            .map(|(first, rest)| first.to_owned() + &rest + "\r\n")
            .collect()
    })
}

/// Frames of likely kinds and few streams, then anything.
fn frame_bytes() -> impl Strategy<Value = Vec<u8>> {
    let kind = proptest::sample::select(&[0_u8, 0, 1, 1, 1, 3, 4, 7, 8, 9, 200][..]);
    let one = (kind, any::<u8>(), 0_u32..12, vec(any::<u8>(), 0..20))
        .prop_map(|(kind, flags, id, payload)| crate::frames::frame(kind, flags, id, &payload));
    (vec(one, 0..20), vec(any::<u8>(), 0..12)).prop_map(|(frames, tail)| [frames.concat(), tail].concat())
}

fn cuts() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(0_u8..4, 1..10), vec(any::<u8>(), 1..10)]
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn any_segmentation_tells_the_same(client in text(REQUESTS, 12), server in text(RESPONSES, 12), cuts in cuts()) {
        reference::segmentation(client.as_bytes(), server.as_bytes(), &cuts);
    }

    #[test]
    fn any_segmentation_of_messages_tells_the_same(client in message(REQUESTS, 5), server in message(RESPONSES, 5), cuts in cuts()) {
        reference::segmentation(client.as_bytes(), server.as_bytes(), &cuts);
    }

    #[test]
    fn any_segmentation_of_frames_tells_the_same(client in frame_bytes(), server in frame_bytes(), cuts in cuts()) {
        let client = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &client[..]].concat();
        reference::segmentation(&client, &server, &cuts);
    }

    #[test]
    fn frames_count_as_a_slow_reader_counts_them(client in frame_bytes(), server in frame_bytes(), cuts in cuts()) {
        reference::frames(&client, &server, &cuts);
    }

    #[test]
    fn any_order_of_anything_closes_at_zero(data in vec(any::<u8>(), 0..600)) {
        reference::chaos(&data);
    }

    #[test]
    fn heads_are_those_of_httparse(client in text(REQUESTS, 12)) {
        reference::heads(client.as_bytes());
    }
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn requests_are_those_of_hyper(client in text(REQUESTS, 12), cuts in cuts()) {
        reference::requests(client.as_bytes(), &cuts);
    }

    #[test]
    fn request_messages_are_those_of_hyper(client in message(REQUESTS, 5), cuts in cuts()) {
        reference::requests(client.as_bytes(), &cuts);
    }

    #[test]
    fn responses_end_where_those_of_hyper_do(server in text(RESPONSES, 12), heads in any::<u8>(), cuts in cuts()) {
        reference::responses(server.as_bytes(), heads, &cuts);
    }

    #[test]
    fn response_messages_end_where_those_of_hyper_do(server in message(RESPONSES, 5), heads in any::<u8>(), cuts in cuts()) {
        reference::responses(server.as_bytes(), heads, &cuts);
    }
}
