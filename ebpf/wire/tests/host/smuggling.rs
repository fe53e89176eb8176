// SPDX-License-Identifier: Apache-2.0
//! Requests that can be read in two ways: hyper's own server reads and answers the very bytes, and the machine may
//! not be wrong about what is in flight without saying so.

use crate::live::{Live, check};
use crate::network::Cut;

fn check_all_cuts(request: &str) {
    let bytes = format!("{request}GET /next HTTP/1.1\r\nHost: a\r\n\r\nGET /last HTTP/1.1\r\n\r\n");
    let whole = std::panic::catch_unwind(|| {
        check(bytes.as_bytes(), Cut::Whole);
        for size in 1..20 {
            check(bytes.as_bytes(), Cut::Every(size));
        }
        for at in 1..bytes.len() {
            let mut live = Live::new();
            live.feed(&bytes.as_bytes()[..at]);
            live.feed(&bytes.as_bytes()[at..]);
            live.connection.assert_closed();
        }
    });
    assert!(whole.is_ok(), "the request was {request:?}");
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nX: y\r\n\r\n";

#[test]
fn two_lengths_are_never_silently_wrong() {
    for fields in [
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 33",
        "Content-Length: 33\r\nContent-Length: 0",
        "Content-Length: 5, 5",
        "Content-Length: 5,33",
        "Content-Length: 5\r\nX: y\r\ncontent-length: 33",
    ] {
        check_all_cuts(&format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n{SMUGGLED}"));
    }
}

#[test]
fn odd_lengths_are_never_silently_wrong() {
    for value in [
        "+5",
        "-5",
        "0x5",
        "5 5",
        "5;",
        "\"5\"",
        "",
        " ",
        "00005",
        "0000000000000000000000000000005",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999",
        "1e1",
        "5.",
        "\t5",
        "    5",
        "       5",
        "5\t",
        "5  ",
        "５",
        "5\0",
        "\x0b5",
        "31",
        "٣",
        "5\r",
        "0000000000000031",
        "00000000000000031",
        "000000031",
    ] {
        check_all_cuts(&format!("POST / HTTP/1.1\r\nContent-Length: {value}\r\n\r\n{SMUGGLED}"));
        check_all_cuts(&format!("POST / HTTP/1.1\r\nContent-Length:{value}\r\n\r\n{SMUGGLED}"));
    }
}

#[test]
fn a_length_beside_a_coding_is_never_silently_wrong() {
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nTransfer-Encoding: identity",
        "Content-Length: 5\r\nTransfer-Encoding : chunked",
        "Content-Length: 5\r\n Transfer-Encoding: chunked",
        "Content-Length: 5\r\nX: y\r\n Transfer-Encoding: chunked",
    ] {
        check_all_cuts(&format!(
            "POST / HTTP/1.1\r\n{fields}\r\n\r\n5\r\nhello\r\n0\r\n\r\n{SMUGGLED}"
        ));
    }
}

#[test]
fn odd_codings_are_never_silently_wrong() {
    for value in [
        "chunked\r\nTransfer-Encoding: chunked",
        "chunked\r\nTransfer-Encoding: gzip",
        "gzip\r\nTransfer-Encoding: chunked",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "xchunked",
        "x chunked",
        "chunkedx",
        "chunked ",
        "chunked;q=1",
        "CHUNKED",
        "gzip,chunked",
        "identity",
        "",
        "\"chunked\"",
        "\tchunked",
        "chunked\r\n , gzip",
        "gzip\r\n , chunked",
        ",chunked",
        "chunked,",
        "chun\r\n ked",
        "\x0bchunked",
        "chunked\t",
        "gzip;chunked",
        "gzip;a=\"b, chunked",
        "      chunked",
    ] {
        check_all_cuts(&format!(
            "POST / HTTP/1.1\r\nTransfer-Encoding: {value}\r\n\r\n5\r\nhello\r\n0\r\n\r\n{SMUGGLED}"
        ));
        check_all_cuts(&format!(
            "POST / HTTP/1.0\r\nTransfer-Encoding: {value}\r\n\r\n5\r\nhello\r\n0\r\n\r\n{SMUGGLED}"
        ));
    }
}

#[test]
fn odd_chunk_sizes_are_never_silently_wrong() {
    for line in [
        "0x5",
        "-1",
        "+5",
        "",
        " 5",
        "5 ",
        "5\t",
        "5 ;a",
        "5;",
        "5;a=\"\r\n0\r\n",
        "00000000000000005",
        "000000000000000000005",
        "10000000000000005",
        "ffffffffffffffff",
        "fffffffffffffffff",
        "8000000000000000",
        "5g",
        "5,5",
        "5\0",
        "5 5",
        "5\r",
        "5\n",
        "5;\n",
        "0x0",
        "05",
        "5;a\rb",
    ] {
        check_all_cuts(&format!(
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{line}\r\nhello\r\n0\r\n\r\n{SMUGGLED}"
        ));
    }
    for body in [
        "5\nhello\n0\n\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5\r\nhello\r\n0\r\nA: b\n\r\n",
        "0\r\n A: b\r\n\r\n",
    ] {
        check_all_cuts(&format!(
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}{SMUGGLED}"
        ));
    }
}

#[test]
fn odd_lines_are_never_silently_wrong() {
    for request in [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length : 33\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length\t: 33\r\n\r\n",
        "GET / HTTP/1.1\r\n Content-Length: 33\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 33\r\n 0\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length:\r\n 33\r\n\r\n",
        "POST / HTTP/1.1\r\nX: y\r\n\tfolded\r\nContent-Length: 33\r\n\r\n",
        "GET / HTTP/1.1\r\nX: \0\r\n\r\n",
        "GET / HTTP/1.1\r\nX\0: a\r\n\r\n",
        "GET /\0 HTTP/1.1\r\n\r\n",
        "GET /\r\n",
        "GET / HTTP/0.9\r\n\r\n",
        "GET / HTTP/1.2\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / http/1.1\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET\t/\tHTTP/1.1\r\n\r\n",
        " GET / HTTP/1.1\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "\n\nGET / HTTP/1.1\r\n\r\n",
        "\rGET / HTTP/1.1\r\n\r\n",
        "get / HTTP/1.1\r\n\r\n",
        "G@T / HTTP/1.1\r\n\r\n",
        "HEAD /n/40 HTTP/1.1\r\n\r\n",
        "head /n/40 HTTP/1.1\r\n\r\n",
        "HEAD\t/n/40 HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\n: no name\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\n\rContent-Length: 33\r\n\r\n",
        "GET / HTTP/1.1\r\nX: a\rContent-Length: 33\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        "PRI * HTTP/1.1\r\n\r\n",
    ] {
        check_all_cuts(&format!("{request}{SMUGGLED}"));
    }
}

#[test]
fn bodies_that_look_like_requests_at_all_alignments() {
    for pad in 0..130 {
        let field = format!("X: {}\r\n", "p".repeat(pad));
        for body in [
            SMUGGLED.to_owned(),
            "\r\n\r\n".to_owned() + SMUGGLED,
            SMUGGLED.repeat(3),
        ] {
            let sized = format!("POST / HTTP/1.1\r\n{field}Content-Length: {}\r\n\r\n{body}", body.len());
            let chunked = format!(
                "POST / HTTP/1.1\r\n{field}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                body.len()
            );
            for cut in [Cut::Whole, Cut::Every(61), Cut::Every(128)] {
                for request in [&sized, &chunked] {
                    let (calls, uncertain) = check(request.repeat(2).as_bytes(), cut);
                    assert_eq!((calls, uncertain), (2, false), "{request:?}");
                }
            }
        }
    }
}
