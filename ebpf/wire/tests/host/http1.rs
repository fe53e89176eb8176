// SPDX-License-Identifier: Apache-2.0
//! HTTP/1.1 shapes, each against hyper, cut at every byte and at random.

use crate::network::{Cut, Dialogue, Network, Truth, check};
use wire::Note;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Every cut the shape must not notice; `count` is how many requests it has.
fn exact(count: usize, dialogue: &Dialogue) {
    let truth = Truth::of(dialogue);
    assert_eq!(truth.heads.len(), count, "hyper sees other requests");
    exact_by(dialogue, &truth);
}

fn exact_by(dialogue: &Dialogue, truth: &Truth) {
    check(dialogue, truth, Network::clean(Cut::Whole), 0);
    for size in 1..9 {
        check(dialogue, truth, Network::clean(Cut::Every(size)), 0);
    }
    for seed in 0..40 {
        for most in [3, 20, 70, 200, 2000] {
            check(dialogue, truth, Network::clean(Cut::Upto(most)), seed);
        }
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn keep_alive_counts_each_request_while_it_is_open() {
    let dialogue = (0..5).fold(Dialogue::new(), |d, i| d.client(get(&format!("/{i}"))).server(OK));
    exact(5, &dialogue);
}

#[test]
fn a_pipeline_is_as_deep_as_its_requests() {
    for depth in [2, 8, 9, 31, 32, 33, 70] {
        let requests: String = (0..depth).map(|i| get(&format!("/{i}"))).collect();
        exact(depth, &Dialogue::new().client(requests).server(OK.repeat(depth)));
    }
}

#[test]
fn request_bodies_of_known_length_are_skipped() {
    let post = "POST / HTTP/1.1\r\nContent-Length: 40\r\n\r\n0123456789GET / HTTP/1.1\r\n\r\n\r\n\r\n0123456789";
    exact(
        3,
        &Dialogue::new()
            .client(post)
            .server(OK)
            .client(post)
            .eager(get("/"))
            .server(OK)
            .server(OK),
    );
}

#[test]
fn chunks_extensions_and_trailers_are_read_through() {
    let post = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b;c=\"d\"\r\nhello\r\n1A\r\nGET / HTTP/1.1\r\n\r\n01234567\r\n0005\r\nhello\r\n\
                0;x\r\nA: b\r\nTransfer-Encoding: gzip\r\nContent-Length: 77\r\n\r\n";
    let ok = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n11;a=b\r\nHTTP/1.1 200 OK\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n";
    exact(
        4,
        &Dialogue::new()
            .client(post.repeat(2))
            .server(ok.repeat(2))
            .client(post)
            .server(ok)
            .client(get("/"))
            .server(ok),
    );
}

#[test]
fn interim_responses_end_nothing() {
    let post = "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let dialogue = Dialogue::new()
        .client(post)
        .server("HTTP/1.1 100 Continue\r\n\r\n")
        .client("hello")
        .server(OK)
        .client(get("/"))
        .server(hints.repeat(3))
        .server(OK);
    exact(2, &dialogue);
}

#[test]
fn responses_without_a_body_end_with_their_head() {
    let head = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
    let dialogue = Dialogue::new()
        .client(head)
        .server("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
        .client(get("/"))
        .server("HTTP/1.1 204 No Content\r\n\r\n")
        .client(get("/"))
        .server("HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n")
        .client(head)
        .server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .client(get("/"))
        .server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .client(head.to_owned() + &get("/") + head)
        .server(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_owned()
                + OK
                + "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n",
        );
    exact(8, &dialogue);
}

#[test]
fn a_body_until_close_is_open_until_fin() {
    for head in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n",
    ] {
        let body = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        exact(
            2,
            &Dialogue::new()
                .client(get("/"))
                .server(OK)
                .client(get("/"))
                .server(head.to_owned() + body)
                .fin(),
        );
    }
}

#[test]
fn an_upgrade_is_one_request_until_close() {
    let upgrade = "GET /chat HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n";
    let switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n";
    let dialogue = Dialogue::new()
        .client(get("/"))
        .server(OK)
        .client(upgrade)
        .server(switching)
        .client(get("/"))
        .server(OK)
        .client("\0\x01")
        .fin();
    exact(2, &dialogue);
    let truth = Truth::of(&dialogue);
    let connection = check(&dialogue, &truth, Network::clean(Cut::Whole), 1);
    assert!(connection.has(Note::Tunnel));
}

#[test]
fn an_upgrade_that_is_refused_goes_on_as_http() {
    let upgrade = "GET /chat HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n";
    let dialogue = Dialogue::new().client(upgrade).server(OK).client(get("/")).server(OK);
    let (first, second) = (upgrade.len(), upgrade.len() + get("/").len());
    // hyper's own server would switch here: the offsets are plain.
    exact_by(
        &dialogue,
        &Truth {
            heads: vec![first, second],
            ends: vec![OK.len(), 2 * OK.len()],
        },
    );
}

#[test]
fn connect_is_a_tunnel_once_it_succeeds() {
    let connect = "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n";
    let refused = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    let open = "HTTP/1.1 200 Connection established\r\n\r\n";
    let dialogue = Dialogue::new()
        .client(connect)
        .server(open)
        .client(get("/"))
        .server(OK)
        .fin();
    exact_by(
        &dialogue,
        &Truth {
            heads: vec![connect.len()],
            ends: vec![],
        },
    );
    let dialogue = Dialogue::new()
        .client(connect)
        .server(refused)
        .client(get("/"))
        .server(OK);
    let heads = vec![connect.len(), connect.len() + get("/").len()];
    exact_by(
        &dialogue,
        &Truth {
            heads,
            ends: vec![refused.len(), refused.len() + OK.len()],
        },
    );
}

#[test]
fn lines_of_any_length_are_read() {
    for length in (0..300).chain([1000, 4096, 16_000]) {
        let request = format!(
            "GET /{} HTTP/1.1\r\nA: {}\r\nContent-Length: 3\r\n\r\nabc",
            "x".repeat(length),
            "y".repeat(length)
        );
        let response = format!(
            "HTTP/1.1 200 {}\r\nA: {}\r\nContent-Length: 5\r\n\r\nhello",
            "x".repeat(length),
            "y".repeat(length)
        );
        let truth = Truth {
            heads: vec![request.len() - 3, 2 * request.len() - 3],
            ends: vec![response.len(), 2 * response.len()],
        };
        let dialogue = Dialogue::new()
            .client(&request)
            .server(&response)
            .client(&request)
            .server(&response);
        check(&dialogue, &truth, Network::clean(Cut::Whole), 0);
        check(&dialogue, &truth, Network::clean(Cut::Every(1)), 0);
        for seed in 0..8 {
            check(&dialogue, &truth, Network::clean(Cut::Upto(100)), seed);
        }
    }
}

/// Lines of the longest kind that servers take, beyond any segment: targets, fields, chunk extensions.
#[test]
fn a_single_line_above_64_kib_is_one_line() {
    let long = "GET-".repeat(20_000);
    let dialogue = Dialogue::new()
        .client(get(&format!("/{}", &long[..60_000])))
        .server(OK)
        .client(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"))
        .server(format!(
            "HTTP/1.1 200 OK\r\nX: {long}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        ))
        .client(get("/after"))
        .server(OK);
    let truth = Truth::of(&dialogue);
    assert_eq!(truth.heads.len(), 3, "hyper sees other requests");
    for cut in [
        Cut::Whole,
        Cut::Every(1448),
        Cut::Every(65_536),
        Cut::Every(7),
        Cut::Upto(200),
        Cut::Upto(100_000),
    ] {
        for seed in 0..3 {
            check(&dialogue, &truth, Network::clean(cut), seed);
        }
    }
}
