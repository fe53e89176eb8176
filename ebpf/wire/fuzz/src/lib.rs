// SPDX-License-Identifier: Apache-2.0
//! What the fuzz targets share: the rig of wire's host tests, not a copy of it.
//!
//! The modules are symbolic links to `tests/host`. A target takes bytes apart and calls one function of [`reference`], which panics when a property fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is how a target fails"
)]
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "the tests use more of the rig than the targets"
)]

mod live;
mod machine;
mod network;
mod oracle;
mod pipe;
pub mod reference;

/// Takes a length byte and as many bytes off the front.
pub fn split(data: &[u8]) -> (&[u8], &[u8]) {
    match data {
        [size, rest @ ..] => rest.split_at(usize::from(*size).min(rest.len())),
        [] => (&[], &[]),
    }
}

/// Two streams of about half the bytes each.
pub fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    match data {
        [share, rest @ ..] => rest.split_at(rest.len() * usize::from(*share) / 255),
        [] => (&[], &[]),
    }
}

/// Bytes from 0x80 on stand for fragments of HTTP, so that the fuzzer need not find the words by itself.
const FRAGMENTS: &[&str] = &[
    "GET / HTTP/1.1\r\n",
    "HEAD / HTTP/1.1\r\n",
    "POST / HTTP/1.1\r\n",
    "POST / HTTP/1.0\r\n",
    "CONNECT a:1 HTTP/1.1\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 204 \r\n",
    "HTTP/1.1 304 N\r\n",
    "HTTP/1.1 100 C\r\n",
    "HTTP/1.1 404 N\r\n",
    "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: a\r\n",
    "\r\n",
    "\r\n\r\n",
    "Content-Length: ",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: ",
    "Transfer-Encoding: chunked\r\n",
    "chunked",
    "gzip",
    ", ",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "hello",
    "Connection: close\r\n",
    "User-Agent: kube-probe/1\r\n",
    "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\0\0\u{1}\u{1}\u{5}\0\0\0\u{1}a",
    "HTTP/1.1",
    "\r",
];

/// Puts fragments where their bytes stand.
pub fn expand(data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for byte in data {
        match byte.checked_sub(0x80).and_then(|i| FRAGMENTS.get(usize::from(i))) {
            Some(fragment) => bytes.extend_from_slice(fragment.as_bytes()),
            None => bytes.push(*byte),
        }
    }
    bytes
}
