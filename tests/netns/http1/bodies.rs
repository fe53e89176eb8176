// SPDX-License-Identifier: Apache-2.0
//! Where messages end: every kind of body, both ways.

use anyhow::{Result, ensure};
use tests::client::{Http1, get};
use tests::scene::Scene;
use tests::suite::{Case, case, is_long};
use tests::truth::{Protocol, Server};

use super::exchange_all;

pub(super) fn cases() -> Vec<Case> {
    let get_each = |name: &'static str, paths: &'static [&'static str]| {
        case(format!("http1::{name}"), move |scene| {
            exchange_all(scene, paths.iter().map(|path| get(path)).collect())
        })
    };
    vec![
        get_each(
            "bodies_of_known_length_end_at_their_last_byte",
            &["/bytes/0", "/bytes/1", "/bytes/1460", "/bytes/70000", "/"],
        ),
        get_each(
            "chunked_answers_end_at_their_last_chunk",
            &["/chunked/1/1", "/chunked/5000/7", "/chunked/100000/1000", "/"],
        ),
        get_each(
            "chunk_extensions_are_not_sizes",
            &["/extended/100/10", "/extended/5000/999", "/"],
        ),
        get_each(
            "trailers_belong_to_the_answer",
            &["/trailers/0", "/trailers/10", "/trailers/5000", "/"],
        ),
        get_each(
            "interim_answers_are_not_final",
            &["/hints/1", "/hints/10", "/continue", "/"],
        ),
        get_each(
            "answers_without_body_by_status_end_at_their_head",
            &[
                "/status/204",
                "/status/304",
                "/length-only/304/5000",
                "/length-only/204/0",
                "/",
            ],
        ),
        get_each(
            "every_status_class_is_counted",
            &[
                "/status/200",
                "/status/301",
                "/status/404",
                "/status/503",
                "/status/999",
            ],
        ),
        case("http1::answers_to_head_have_no_body", head),
        case(
            "http1::request_bodies_are_skipped_even_if_they_look_like_requests",
            lookalikes,
        ),
        case("http1::chunked_requests_end_at_their_trailers", chunked_requests),
        case("http1::expect_100_continue_is_one_request", expect),
        case("http1::an_early_answer_does_not_make_a_request_of_the_body", early),
        case("http1::a_slow_answer_is_one_request", |scene| {
            exchange_all(scene, vec![get("/drip/30/5"), get("/")])
        }),
        case("http1::a_64_mb_answer_is_one_request", |scene| {
            exchange_all(scene, vec![get("/bytes/67108864"), get("/")])
        }),
        case("http1::a_64_mb_chunked_answer_is_one_request", |scene| {
            exchange_all(scene, vec![get("/chunked/67108864/65000"), get("/")])
        }),
        case("http1::a_64_mb_request_is_one_request", upload),
        case("http1::a_64_mb_chunked_request_is_one_request", chunked_upload),
    ]
}

fn head(scene: &mut Scene<'_>) -> Result<()> {
    let paths = ["/", "/bytes/5000", "/chunked/100/10", "/status/204", "/sleep/5"];
    let head = |path: &&str| format!("HEAD {path} HTTP/1.1\r\nhost: pod\r\n\r\n");
    let requests = paths.iter().flat_map(|path| [head(path), get(path)]).collect();
    exchange_all(scene, requests)
}

fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: pod\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Bodies that look like requests and answers, behind heads of every alignment.
fn lookalikes(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    let bodies = [
        "GET /evil HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "\r\n\r\nPOST / HTTP/1.1\r\ncontent-length: 99999\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    let alignments = if is_long() { 260 } else { 70 };
    scene.client(async |address, clock| {
        let mut client = Http1::connect(address, clock).await?;
        for alignment in 0..alignments {
            let filler = "a".repeat(alignment);
            for body in bodies {
                let length = body.len();
                let request = format!("POST / HTTP/1.1\r\nx: {filler}\r\ncontent-length: {length}\r\n\r\n{body}");
                client.exchange(request).await?;
            }
        }
        Ok(())
    })?;
    scene.exact(alignments as u64 * 3)
}

fn chunked_requests(scene: &mut Scene<'_>) -> Result<()> {
    let chunked = |chunks: &str| format!("POST / HTTP/1.1\r\nhost: pod\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
    let long = format!("{:x}\r\n{}\r\n0\r\n\r\n", 5000, "b".repeat(5000));
    let requests = vec![
        chunked("0\r\n\r\n"),
        chunked("1\r\na\r\n0\r\n\r\n"),
        chunked("0005;name=value\r\nGET /\r\n0\r\n\r\n"),
        chunked("5;q=\"0\\\"\"\r\nhello\r\n00\r\nx-trailer: GET / HTTP/1.1\r\nx-more: 0\r\n\r\n"),
        chunked(&long),
        get("/"),
    ];
    exchange_all(scene, requests)
}

fn expect(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    scene.client(async |address, clock| {
        let mut client = Http1::connect(address, clock).await?;
        for _ in 0..5 {
            client
                .send("PUT / HTTP/1.1\r\nhost: pod\r\nexpect: 100-continue\r\ncontent-length: 6\r\n\r\n")
                .await?;
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            client.write("GET / ").await?;
            let reply = client.reply(false).await?;
            ensure!(reply.interim == 1 && reply.status == 200, "{reply:?}");
        }
        Ok(())
    })?;
    scene.exact(5)
}

fn early(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    let body = "GET / HTTP/1.1\r\n\r\n".repeat(50);
    scene.client(async |address, clock| {
        let mut client = Http1::connect(address, clock).await?;
        for _ in 0..5 {
            let length = body.len();
            client
                .send(format!(
                    "POST /early/413 HTTP/1.1\r\nhost: pod\r\ncontent-length: {length}\r\n\r\n"
                ))
                .await?;
            let reply = client.reply(false).await?;
            ensure!(reply.status == 413, "{reply:?}");
            client.write(&body).await?;
        }
        client.exchange(get("/")).await?;
        Ok(())
    })?;
    scene.exact(6)
}

fn upload(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    scene.client(async |address, clock| {
        let mut client = Http1::connect(address, clock).await?;
        client
            .send("POST / HTTP/1.1\r\nhost: pod\r\ncontent-length: 67108864\r\n\r\n")
            .await?;
        let block = "GET / HTTP/1.1\r\n".repeat(64 << 10 >> 4);
        for _ in 0..1024 {
            client.write(&block).await?;
        }
        client.reply(false).await?;
        client.exchange(post("/", "small")).await?;
        Ok(())
    })?;
    scene.exact(2)
}

fn chunked_upload(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    scene.client(async |address, clock| {
        let mut client = Http1::connect(address, clock).await?;
        client
            .send("POST / HTTP/1.1\r\nhost: pod\r\ntransfer-encoding: chunked\r\n\r\n")
            .await?;
        let block = format!(
            "FFF0\r\n{}\r\n",
            "0\r\n\r\nGET / HTT".repeat(0xfff0 / 14 + 1).split_at(0xfff0).0
        );
        for _ in 0..1024 {
            client.write(&block).await?;
        }
        client.write("0\r\n\r\n").await?;
        client.reply(false).await?;
        client.exchange(get("/")).await?;
        Ok(())
    })?;
    scene.exact(2)
}
