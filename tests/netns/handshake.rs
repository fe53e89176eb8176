// SPDX-License-Identifier: Apache-2.0
//! Data that meets its new socket before the handshake's last step is done on another CPU.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::client::{Frames, Http1, frames, get};
use tests::counter::Counter;
use tests::fault::{Overtaking, hold};
use tests::rig::Rig;
use tests::scene::Scene;
use tests::suite::{Case, case_on_rig};
use tests::truth::{Protocol, Server};

/// Connections of a case; each is held up for milliseconds.
const CONNECTIONS: u64 = 30;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case_on_rig("handshake::a_request_that_overtakes_it_is_exact", |rig| {
            overtaken(rig, "request", Protocol::Raw, requests)
        }),
        case_on_rig(
            "handshake::a_request_in_small_segments_that_overtake_it_is_exact",
            |rig| overtaken(rig, "pieces", Protocol::Raw, pieces),
        ),
        case_on_rig("handshake::a_body_that_overtakes_it_is_exact", |rig| {
            overtaken(rig, "body", Protocol::Raw, bodies)
        }),
        case_on_rig("handshake::streams_that_overtake_it_are_exact", |rig| {
            overtaken(rig, "streams", Protocol::H2, streams)
        }),
    ]
}

/// How long connections are made until enough data overtook.
const LIMIT: Duration = Duration::from_secs(90);

/// A case of which the relay can say that it showed what it is about; on a busy machine data often comes too late, and
/// then there are more connections.
fn overtaken(rig: &Rig, name: &str, protocol: Protocol, client: impl Fn(&Scene<'_>) -> Result<u64>) -> Result<()> {
    if std::thread::available_parallelism()?.get() < 2 {
        println!("skipped: one CPU alone cannot overtake itself");
        return Ok(());
    }
    let mut held = None;
    let mut scene = Scene::with_counter(rig, &format!("overtaking-{name}"), |rig, field| {
        // Before ours.
        held = Some(hold(field.cgroup.path())?);
        Counter::open(rig, field)
    })?;
    scene.serve(Server::of(protocol))?;
    let relay = Overtaking::start(&scene.field)?;
    let (mut count, begun) = (0, Instant::now());
    loop {
        count += client(&scene)?;
        let overtaken = relay.overtaken();
        if overtaken >= 3 {
            break;
        }
        ensure!(
            begun.elapsed() < LIMIT,
            "the case itself: {overtaken} segments overtook in {count} requests"
        );
    }
    scene.exact(count)
}

fn requests(scene: &Scene<'_>) -> Result<u64> {
    scene.client(async |address, clock| {
        for _ in 0..CONNECTIONS {
            let mut client = Http1::connect(address, clock).await?;
            client.exchange(get("/")).await?;
            client.exchange(get("/bytes/10")).await?;
        }
        Ok(())
    })?;
    Ok(2 * CONNECTIONS)
}

fn pieces(scene: &Scene<'_>) -> Result<u64> {
    scene.client(async |address, clock| {
        for _ in 0..CONNECTIONS {
            let mut client = Http1::connect(address, clock).await?;
            client.send_split(get("/"), 3).await?;
            client.reply(false).await?;
        }
        Ok(())
    })?;
    Ok(CONNECTIONS)
}

/// More than is kept: what is missing lies inside a body of known length.
fn bodies(scene: &Scene<'_>) -> Result<u64> {
    let body = "GET / HTTP/1.1\r\n\r\n".repeat(4000);
    scene.client(async |address, clock| {
        for _ in 0..CONNECTIONS {
            let mut client = Http1::connect(address, clock).await?;
            let head = format!("POST / HTTP/1.1\r\nhost: pod\r\ncontent-length: {}\r\n\r\n", body.len());
            client.exchange(head + &body).await?;
            client.exchange(get("/")).await?;
        }
        Ok(())
    })?;
    Ok(2 * CONNECTIONS)
}

fn streams(scene: &Scene<'_>) -> Result<u64> {
    scene.client(async |address, _| {
        for _ in 0..CONNECTIONS {
            let mut client = Frames::connect(address, 11).await?;
            client.write(&frames::get(1, "/")).await?;
            client.ended(1).await?;
            client.write(&frames::get(3, "/")).await?;
            client.ended(1).await?;
            client.write(&frames::frame(frames::GOAWAY, 0, 0, &[0; 8])).await?;
            client.rest().await;
        }
        Ok(())
    })?;
    Ok(2 * CONNECTIONS)
}
