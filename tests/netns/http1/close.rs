// SPDX-License-Identifier: Apache-2.0
//! Ends of connections: from either side, polite or not, in the middle of anything.

use std::time::Duration;

use anyhow::Result;
use tests::client::{Http1, get};
use tests::scene::Scene;
use tests::suite::{Case, case};
use tests::truth::{Protocol, Server};

pub(super) fn cases() -> Vec<Case> {
    let get_each = |name: &'static str, paths: &'static [&'static str]| {
        case(format!("http1::{name}"), move |scene| one_each(scene, paths))
    };
    vec![
        get_each(
            "answers_until_close_end_with_the_servers_fin",
            &["/until-close/0", "/until-close/10", "/until-close/100000"],
        ),
        get_each(
            "http_1_0_answers_end_with_the_servers_fin",
            &["/http10/0", "/http10/5000"],
        ),
        get_each(
            "connection_close_ends_after_the_answer",
            &["/close", "/close", "/close"],
        ),
        get_each(
            "a_server_reset_in_an_answer_ends_the_request",
            &["/rst/0", "/rst/100", "/rst/100000"],
        ),
        get_each(
            "a_server_fin_in_an_answer_ends_the_request",
            &["/cut/0", "/cut/100", "/cut/100000"],
        ),
        get_each("a_server_half_close_after_the_answer_is_exact", &["/half", "/half"]),
        case("http1::a_client_reset_ends_the_request_at_once", client_reset),
        case("http1::a_client_reset_with_a_full_pipeline_ends_all", pipeline_reset),
        case(
            "http1::a_client_reset_inside_a_request_body_ends_the_request",
            body_reset,
        ),
        case("http1::a_client_close_before_the_answer_ends_the_request", client_close),
        case("http1::a_client_half_close_still_gets_its_answer", half_close),
        case(
            "http1::a_client_half_close_with_a_pipeline_gets_all_answers",
            half_close_pipeline,
        ),
        case("http1::a_killed_server_leaves_nothing_in_flight", killed),
    ]
}

/// One connection for each, read to its end.
fn one_each(scene: &mut Scene<'_>, paths: &[&str]) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    scene.client(async |address, clock| {
        for path in paths {
            let mut client = Http1::connect(address, clock).await?;
            client.write(get(path)).await?;
            client.rest().await;
        }
        Ok(())
    })?;
    scene.exact(paths.len() as u64)
}

fn client_reset(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    scene.client(async |address, clock| {
        for number in 1..=10 {
            let mut client = Http1::connect(address, clock).await?;
            client.write(get("/sleep/60000")).await?;
            scene.started(number)?;
            tokio::time::sleep(Duration::from_millis(10)).await;
            client.reset()?;
        }
        Ok(())
    })?;
    scene.exact(10)
}

fn pipeline_reset(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    scene.client(async |address, clock| {
        let mut client = Http1::connect(address, clock).await?;
        client.write(get("/sleep/60000").repeat(30)).await?;
        scene.started(30)?;
        client.reset()
    })?;
    scene.exact(30)
}

fn body_reset(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    scene.client(async |address, clock| {
        for number in 1..=5 {
            let mut client = Http1::connect(address, clock).await?;
            client
                .write("POST / HTTP/1.1\r\ncontent-length: 1000000\r\n\r\nGET / HTTP/1.1\r\n\r\n")
                .await?;
            scene.started(number)?;
            client.reset()?;
        }
        Ok(())
    })?;
    scene.exact(5)
}

fn client_close(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    scene.client(async |address, clock| {
        for number in 1..=5 {
            let mut client = Http1::connect(address, clock).await?;
            client.write(get("/sleep/100")).await?;
            scene.started(number)?;
        }
        Ok(())
    })?;
    scene.exact(5)
}

fn half_close(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    scene.client(async |address, clock| {
        for path in ["/", "/sleep/50", "/bytes/100000", "/chunked/1000/10"] {
            let mut client = Http1::connect(address, clock).await?;
            client.send(get(path)).await?;
            client.half_close().await?;
            client.reply(false).await?;
            client.rest().await;
        }
        Ok(())
    })?;
    scene.exact(4)
}

fn half_close_pipeline(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    scene.client(async |address, clock| {
        let mut client = Http1::connect(address, clock).await?;
        for _ in 0..20 {
            client.begins();
        }
        client.write(get("/sleep/5").repeat(20)).await?;
        client.half_close().await?;
        for _ in 0..20 {
            client.reply(false).await?;
        }
        client.rest().await;
        Ok(())
    })?;
    scene.exact(20)
}

/// The truth dies with the server, so only the invariants can be judged, and the number the client knows.
fn killed(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    let (address, clock) = (scene.address(), scene.clock().clone());
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(scene.field.client.enter(|| std::net::TcpStream::connect(address))??);
    }
    for client in &mut clients {
        std::io::Write::write_all(client, get("/sleep/60000").as_bytes())?;
    }
    scene.started(5)?;
    drop(clock);
    scene.kill_servers()?;
    scene.kernel_rests_after(5)
}
