// SPDX-License-Identifier: Apache-2.0
//! Frames that libraries do not write: any segmentation, padding, CONTINUATION, nonsense.

use anyhow::{Result, ensure};
use tests::client::{Frames, frames};
use tests::scene::Scene;
use tests::suite::{Case, case};
use tests::truth::{Protocol, Server};

use frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PRIORITY, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, block, filler, frame, get, padded, post,
};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for split in [1, 2, 3, 5, 8, 9, 10, 17, 64] {
        let name = format!("http2::streams_in_segments_of_{split}_bytes_are_counted_once");
        cases.push(case(name, move |scene| answered(scene, split, &variety(), STREAMS)));
    }
    cases.extend([
        case("http2::many_connections_in_segments_of_3_bytes_are_exact", many),
        case("http2::continuation_frames_belong_to_their_stream", continuation),
        case("http2::padding_is_not_frames", padding),
        case("http2::unknown_frames_and_flags_are_skipped", unknown),
        case(
            "http2::a_stream_reset_right_after_its_headers_leaves_nothing",
            reset_at_once,
        ),
        case("http2::data_that_looks_like_frames_is_data", lookalikes),
    ]);
    for (name, bytes) in MALFORMED {
        cases.push(case(format!("http2::{name}_leaves_nothing_in_flight"), move |scene| {
            malformed(scene, bytes)
        }));
    }
    cases
}

const STREAMS: u64 = 7;

/// Every way a stream may be begun and ended, in one flight.
fn variety() -> Vec<u8> {
    let mut bytes = get(1, "/");
    bytes.extend(post(3, "/"));
    bytes.extend(get(5, "/bytes/3000"));
    bytes.extend(frame(DATA, 0, 3, b"first"));
    bytes.extend(frame(PING, 0, 0, b"12345678"));
    bytes.extend(frame(DATA, END_STREAM, 3, b"last"));
    // END_STREAM on trailers.
    bytes.extend(post(7, "/trailers/10"));
    bytes.extend(frame(DATA, 0, 7, b"body"));
    bytes.extend(frame(HEADERS, END_STREAM | END_HEADERS, 7, &filler(20)));
    // END_STREAM on an empty DATA frame.
    bytes.extend(post(9, "/"));
    bytes.extend(frame(DATA, END_STREAM, 9, b""));
    // END_STREAM on HEADERS, the block ends in CONTINUATION.
    bytes.extend(frame(HEADERS, END_STREAM, 11, &block("GET", "/")));
    bytes.extend(frame(CONTINUATION, 0, 11, &filler(90)));
    bytes.extend(frame(CONTINUATION, END_HEADERS, 11, &filler(90)));
    bytes.extend(frame(
        HEADERS,
        END_STREAM | END_HEADERS | PADDED,
        13,
        &padded(&block("GET", "/"), 30),
    ));
    bytes.extend(frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0]));
    bytes
}

/// All of it, then all answers, then a polite end.
fn answered(scene: &mut Scene<'_>, split: usize, bytes: &[u8], streams: u64) -> Result<()> {
    scene.serve(Server::of(Protocol::H2))?;
    scene.client(async |address, _| {
        let mut client = Frames::connect(address, split).await?;
        client.write(bytes).await?;
        client.ended(streams as usize).await?;
        client.write(&frame(GOAWAY, 0, 0, &[0; 8])).await?;
        client.rest().await;
        Ok(())
    })?;
    scene.exact(streams)
}

/// Often enough for the rare moments in which two CPUs hold segments of one connection.
fn many(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::H2))?;
    let bytes = variety();
    scene.client(async |address, _| {
        for _ in 0..60 {
            let mut client = Frames::connect(address, 3).await?;
            client.write(&bytes).await?;
            client.ended(STREAMS as usize).await?;
            client.write(&frame(GOAWAY, 0, 0, &[0; 8])).await?;
            client.rest().await;
        }
        Ok(())
    })?;
    scene.exact(60 * STREAMS)
}

fn continuation(scene: &mut Scene<'_>) -> Result<()> {
    let mut bytes = Vec::new();
    for number in 0..50 {
        let stream = 2 * number + 1;
        let head = block("GET", "/");
        bytes.extend(frame(HEADERS, END_STREAM, stream, &head[..1]));
        for byte in &head[1..] {
            bytes.extend(frame(CONTINUATION, 0, stream, &[*byte]));
        }
        bytes.extend(frame(CONTINUATION, END_HEADERS, stream, b""));
    }
    answered(scene, 0, &bytes, 50)
}

fn padding(scene: &mut Scene<'_>) -> Result<()> {
    let mut bytes = Vec::new();
    for number in 0..20_u8 {
        let stream = u32::from(number) * 2 + 1;
        let mut head = vec![0, 0, 0, 0, 200];
        head.extend(block("POST", "/"));
        let pad = number * 12;
        let mut payload = vec![pad];
        payload.extend(head);
        payload.extend(vec![0; usize::from(pad)]);
        bytes.extend(frame(HEADERS, END_HEADERS | PADDED | PRIORITY, stream, &payload));
        bytes.extend(frame(DATA, PADDED, stream, &padded(b"", pad)));
        bytes.extend(frame(DATA, END_STREAM | PADDED, stream, &padded(b"body", 255 - pad)));
    }
    answered(scene, 0, &bytes, 20)
}

fn unknown(scene: &mut Scene<'_>) -> Result<()> {
    let mut bytes = Vec::new();
    for number in 0..10 {
        let stream = number * 2 + 1;
        bytes.extend(frame(0x42, 0xff, stream, b"anything at all"));
        bytes.extend(frame(0xfe, 0, 0, b""));
        bytes.extend(get(stream, "/"));
        bytes.extend(frame(SETTINGS, 0, 0, b""));
        // PRIORITY.
        bytes.extend(frame(2, 0, stream + 100, &[0, 0, 0, 0, 16]));
    }
    answered(scene, 0, &bytes, 10)
}

/// The application may or may not have seen such a stream; nothing may stay.
fn reset_at_once(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::H2))?;
    scene.client(async |address, _| {
        let mut client = Frames::connect(address, 0).await?;
        for number in 0..30 {
            let stream = number * 2 + 1;
            let mut bytes = get(stream, "/sleep/1000");
            bytes.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
            client.write(&bytes).await?;
        }
        client.write(&get(61, "/")).await?;
        client.ended(1).await?;
        client.write(&frame(GOAWAY, 0, 0, &[0; 8])).await?;
        client.rest().await;
        Ok(())
    })?;
    let rest = scene.balanced()?;
    ensure!(rest.counted.started == 31, "31 streams were begun: {rest:?}");
    ensure!(rest.counted.uncertain == 0, "nothing was lost: {rest:?}");
    Ok(())
}

fn lookalikes(scene: &mut Scene<'_>) -> Result<()> {
    let inner = [
        get(99, "/"),
        frames::PREFACE.to_vec(),
        frame(DATA, END_STREAM, 1, b""),
        get(101, "/evil"),
    ]
    .concat();
    let mut bytes = Vec::new();
    for number in 0..20 {
        let stream = number * 2 + 1;
        bytes.extend(post(stream, "/"));
        bytes.extend(frame(DATA, 0, stream, &inner[number as usize..]));
        bytes.extend(frame(DATA, END_STREAM, stream, &inner));
    }
    answered(scene, 0, &bytes, 20)
}

/// After an ordinary stream comes nonsense; the server ends the connection.
const MALFORMED: &[(&str, &[u8])] = &[
    ("a_frame_larger_than_allowed", &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 3]),
    ("data_on_stream_zero", &[0, 0, 1, 0, 0, 0, 0, 0, 0, b'x']),
    ("headers_on_an_even_stream", &[0, 0, 1, 1, 5, 0, 0, 0, 2, 0x82]),
    ("a_reset_of_an_idle_stream", &[0, 0, 4, 3, 0, 0, 0, 0, 99, 0, 0, 0, 8]),
    ("a_continuation_out_of_place", &[0, 0, 1, 9, 4, 0, 0, 0, 3, 0x82]),
    ("padding_longer_than_its_frame", &[0, 0, 2, 0, 8, 0, 0, 0, 1, 200, 0]),
    (
        "a_settings_frame_of_a_wrong_size",
        &[0, 0, 5, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ),
    ("http_1_after_the_preface", b"GET / HTTP/1.1\r\nhost: pod\r\n\r\n"),
];

fn malformed(scene: &mut Scene<'_>, bytes: &[u8]) -> Result<()> {
    scene.serve(Server::of(Protocol::H2))?;
    scene.client(async |address, _| {
        for split in [0, 1] {
            let mut client = Frames::connect(address, split).await?;
            client.write(&get(1, "/sleep/100")).await?;
            // Refusals are answered by the end of the connection.
            let _ = client.write(bytes).await;
            let _ = client.write(&get(5, "/")).await;
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
            let _ = client.reset();
        }
        Ok(())
    })?;
    let rest = scene.balanced()?;
    ensure!(rest.truth.connections == 2, "the case itself: {:?}", rest.truth);
    Ok(())
}
