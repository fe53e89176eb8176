// SPDX-License-Identifier: Apache-2.0
//! Requests that do not wait for answers, and bytes that arrive in any pieces.

use anyhow::Result;
use tests::client::{Http1, get};
use tests::scene::Scene;
use tests::suite::{Case, case, is_long};
use tests::truth::{Protocol, Server};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("http1::pipelined_gets_are_counted_from_their_arrival", |scene| {
            pipelined(scene, &vec![get("/sleep/5"); 50], 0)
        }),
        case("http1::pipelined_mixed_methods_keep_their_order", mixed),
        case("http1::deep_pipelines_stay_exact", |scene| {
            pipelined(scene, &vec![get("/"); 1000], 0)
        }),
        case("http1::answers_split_at_every_size_are_one_each", split_answers),
    ];
    for size in [1, 2, 3, 7, 16, 64, 100, 1000] {
        let name = format!("http1::requests_in_segments_of_{size}_bytes_are_counted_once");
        cases.push(case(name, move |scene| split_requests(scene, size)));
    }
    for size in [1, 5, 64] {
        let name = format!("http1::pipelines_in_segments_of_{size}_bytes_are_exact");
        cases.push(case(name, move |scene| pipelined(scene, &mix(), size)));
    }
    cases.push(case(
        "http1::a_head_split_at_every_single_place_is_one_request",
        every_place,
    ));
    cases
}

fn mix() -> Vec<String> {
    let mut requests = Vec::new();
    for _ in 0..if is_long() { 20 } else { 4 } {
        requests.push(get("/bytes/100"));
        requests.push("POST / HTTP/1.1\r\nhost: pod\r\ncontent-length: 17\r\n\r\nGET / HTTP/1.1\r\n\r".into());
        requests.push("HEAD /bytes/5000 HTTP/1.1\r\nhost: pod\r\n\r\n".into());
        requests.push(
            "POST /chunked/300/10 HTTP/1.1\r\nhost: pod\r\ntransfer-encoding: chunked\r\n\r\nA\r\n0\r\n\r\nGET /\r\n0\r\n\r\n"
                .into(),
        );
        requests.push(get("/status/304"));
        requests.push(get("/trailers/50"));
    }
    requests
}

fn mixed(scene: &mut Scene<'_>) -> Result<()> {
    pipelined(scene, &mix(), 0)
}

/// All at once (or in segments of a size), then all answers.
fn pipelined(scene: &mut Scene<'_>, requests: &[String], size: usize) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    scene.client(async |address, clock| {
        let mut client = Http1::connect(address, clock).await?;
        let all = requests.concat();
        for _ in requests {
            client.begins();
        }
        for part in all.as_bytes().chunks(if size == 0 { all.len() } else { size }) {
            client.write(part).await?;
        }
        for request in requests {
            client.reply(request.starts_with("HEAD ")).await?;
        }
        Ok(())
    })?;
    scene.exact(requests.len() as u64)
}

fn split_requests(scene: &mut Scene<'_>, size: usize) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    let requests = mix();
    scene.client(async |address, clock| {
        let mut client = Http1::connect(address, clock).await?;
        for request in &requests {
            client.send_split(request, size).await?;
            client.reply(request.starts_with("HEAD ")).await?;
        }
        Ok(())
    })?;
    scene.exact(requests.len() as u64)
}

fn every_place(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    let request =
        "POST /bytes/3 HTTP/1.1\r\nhost: pod\r\ntransfer-encoding: chunked\r\n\r\n2;x\r\nab\r\n0\r\na: b\r\n\r\n";
    scene.client(async |address, clock| {
        let mut client = Http1::connect(address, clock).await?;
        for place in 1..request.len() {
            let (first, second) = request.split_at(place);
            client.send(first).await?;
            tokio::task::yield_now().await;
            client.write(second).await?;
            client.reply(false).await?;
        }
        Ok(())
    })?;
    scene.exact(request.len() as u64 - 1)
}

fn split_answers(scene: &mut Scene<'_>) -> Result<()> {
    let paths = [
        "/",
        "/chunked/40/9",
        "/extended/20/6",
        "/trailers/30",
        "/hints/2",
        "/status/204",
        "/folded",
        "/lf",
    ];
    let sizes = if is_long() { 1..70 } else { 1..12 };
    let split = |path: &str, size: usize| format!("GET {path} HTTP/1.1\r\nhost: pod\r\nx-split: {size}\r\n\r\n");
    let requests = sizes.flat_map(|size| paths.map(|path| split(path, size))).collect();
    super::exchange_all(scene, requests)
}
