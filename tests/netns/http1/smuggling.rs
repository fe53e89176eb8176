// SPDX-License-Identifier: Apache-2.0
//! Shapes that parsers disagree about: whatever is counted, nothing stays in flight.

use anyhow::{Result, ensure};
use tests::client::{Http1, get};
use tests::scene::Scene;
use tests::suite::{Case, case};
use tests::truth::{Protocol, Server};

const SHAPES: &[(&str, &str)] = &[
    (
        "two_equal_lengths",
        "POST / HTTP/1.1\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\nGET ",
    ),
    (
        "two_different_lengths",
        "POST / HTTP/1.1\r\ncontent-length: 4\r\ncontent-length: 40\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ),
    (
        "a_list_of_lengths",
        "POST / HTTP/1.1\r\ncontent-length: 4, 4\r\n\r\nGET ",
    ),
    (
        "length_then_chunked",
        "POST / HTTP/1.1\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ),
    (
        "chunked_then_length",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 50\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ),
    (
        "chunked_not_last",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ),
    (
        "chunked_twice",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
    ),
    (
        "a_negative_length",
        "POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ),
    ("a_signed_length", "POST / HTTP/1.1\r\ncontent-length: +4\r\n\r\nGET "),
    (
        "a_length_beyond_64_bits",
        "POST / HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ),
    (
        "an_empty_length",
        "POST / HTTP/1.1\r\ncontent-length:\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ),
    (
        "a_chunk_size_beyond_64_bits",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffffff\r\nGET / HTTP/1.1\r\n\r\n",
    ),
    (
        "a_chunk_size_that_is_no_number",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nGET / HTTP/1.1\r\n\r\n",
    ),
    (
        "a_chunk_without_its_end",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
    ),
    (
        "a_space_before_the_colon",
        "POST / HTTP/1.1\r\ncontent-length : 4\r\n\r\nGET ",
    ),
    (
        "a_folded_length",
        "POST / HTTP/1.1\r\ncontent-length:\r\n 4\r\n\r\nGET ",
    ),
    (
        "a_nul_in_a_header",
        "POST / HTTP/1.1\r\nx: a\0b\r\ncontent-length: 4\r\n\r\nGET ",
    ),
    (
        "a_bare_cr_in_a_header",
        "POST / HTTP/1.1\r\nx: a\rcontent-length: 4\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ),
    ("no_version", "GET /\r\n\r\n"),
    ("a_get_with_a_body", "GET / HTTP/1.1\r\ncontent-length: 4\r\n\r\nGET "),
];

pub(super) fn cases() -> Vec<Case> {
    let one = |(name, bytes): &(&'static str, &'static str)| {
        let bytes = *bytes;
        case(
            format!("http1::smuggling_by_{name}_leaves_nothing_in_flight"),
            move |scene| smuggle(scene, bytes),
        )
    };
    SHAPES.iter().map(one).collect()
}

/// The shape whole and byte by byte, followed by an ordinary request; closed by the client if the server does not.
/// What was counted may differ from the application only if the connection is flagged or the refusal closed it.
fn smuggle(scene: &mut Scene<'_>, bytes: &str) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    scene.client(async |address, clock| {
        for size in [bytes.len(), 1] {
            let mut client = Http1::connect(address, clock).await?;
            for part in bytes.as_bytes().chunks(size) {
                // The server may have refused and closed already.
                if client.write(part).await.is_err() {
                    break;
                }
            }
            let _ = client.write(get("/")).await;
            let _ = client.half_close().await;
            client.rest().await;
        }
        // What follows on other connections is not disturbed.
        let mut client = Http1::connect(address, clock).await?;
        client.exchange(get("/")).await?;
        Ok(())
    })?;
    let rest = scene.balanced()?;
    let refused = rest.truth.status[4] > 0;
    let differs = rest.counted.started != rest.truth.started;
    let is_flagged = rest.counted.uncertain + rest.counted.opaque > 0;
    ensure!(!differs || refused || is_flagged, "silently different: {rest:?}");
    Ok(())
}
