// SPDX-License-Identifier: Apache-2.0
//! Heads as they occur: huge, odd, refused.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::client::{Http1, get};
use tests::scene::Scene;
use tests::suite::{Case, case};
use tests::truth::{Protocol, Server};

use super::exchange_all;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("http1::huge_request_heads_are_one_request", huge),
        case("http1::heads_of_1_kb_with_many_headers_are_one_request", kilobyte),
        case("http1::huge_answer_heads_are_one_answer", |scene| {
            exchange_all(
                scene,
                [100, 1400, 5000, 60_000]
                    .map(|size| get(&format!("/huge-head/{size}")))
                    .to_vec(),
            )
        }),
        case("http1::folded_and_bare_lf_answers_end_where_they_should", |scene| {
            exchange_all(scene, vec![get("/folded"), get("/lf"), get("/"), get("/lf")])
        }),
        case("http1::bare_lf_requests_are_requests", |scene| {
            exchange_all(
                scene,
                vec![
                    "GET / HTTP/1.1\nhost: pod\n\n".into(),
                    get("/"),
                    "POST / HTTP/1.1\ncontent-length: 3\n\nabc".into(),
                    get("/"),
                ],
            )
        }),
        case("http1::empty_lines_before_a_request_are_skipped", |scene| {
            exchange_all(
                scene,
                vec![
                    "\r\n\r\nGET / HTTP/1.1\r\nhost: pod\r\n\r\n".into(),
                    "\r\nGET / HTTP/1.1\r\nhost: pod\r\n\r\n".into(),
                ],
            )
        }),
        case(
            "http1::headers_that_only_look_like_lengths_are_not_lengths",
            not_lengths,
        ),
        case("http1::unusual_methods_are_requests", methods),
        case("http1::a_malformed_head_is_refused_and_counted_once", malformed),
        case("http1::a_head_that_is_too_large_is_refused_and_counted_once", too_large),
        case("http1::a_partial_head_that_times_out_is_counted_once", timed_out),
        case("http1::an_idle_connection_that_is_told_408_counts_nothing", idle_408),
        case("http1::a_partial_head_then_close_counts_nothing", partial),
    ];
    for (name, form) in LENGTHS {
        let request = format!("POST / HTTP/1.1\r\n{form}\r\n\r\nGET ");
        cases.push(case(format!("http1::a_length_{name}_is_understood"), move |scene| {
            exchange_all(scene, vec![request.clone(), get("/")])
        }));
    }
    for (name, form) in CODINGS {
        let request = format!("POST / HTTP/1.1\r\n{form}\r\n\r\n4\r\nGET \r\n0\r\n\r\n");
        cases.push(case(format!("http1::chunked_{name}_is_understood"), move |scene| {
            exchange_all(scene, vec![request.clone(), get("/")])
        }));
    }
    cases
}

const LENGTHS: &[(&str, &str)] = &[
    ("as_browsers_write_it", "Content-Length: 4"),
    ("in_capitals_without_a_space", "CONTENT-LENGTH:4"),
    ("between_spaces_and_tabs", "content-length:   \t4  "),
    ("in_mixed_case_between_tabs", "cOnTeNt-LeNgTh:\t4\t"),
    ("with_leading_zeros", "content-length: 0004"),
];

const CODINGS: &[(&str, &str)] = &[
    ("as_browsers_write_it", "Transfer-Encoding: chunked"),
    ("in_capitals_without_a_space", "TRANSFER-ENCODING:CHUNKED"),
    ("after_a_tab_and_before_spaces", "transfer-encoding:\tChunked  "),
];

fn huge(scene: &mut Scene<'_>) -> Result<()> {
    let sizes = [500, 1400, 1500, 4096, 16_000, 65_000, 200_000];
    exchange_all(
        scene,
        sizes
            .map(|size| format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "h".repeat(size)))
            .to_vec(),
    )
}

fn kilobyte(scene: &mut Scene<'_>) -> Result<()> {
    let headers: String = (0..14)
        .map(|number| format!("x-header-{number}: {}\r\n", "v".repeat(55)))
        .collect();
    exchange_all(
        scene,
        vec![format!("GET / HTTP/1.1\r\nhost: pod\r\n{headers}\r\n"); 100],
    )
}

fn not_lengths(scene: &mut Scene<'_>) -> Result<()> {
    let headers = [
        "x-content-length: 5000",
        "content-length-x: 5000",
        "content-lengt: 5000",
        "x: content-length: 5000",
        "x-transfer-encoding: chunked",
        "te: trailers, chunked",
        "upgrade: h2c",
    ];
    exchange_all(
        scene,
        headers
            .map(|header| format!("GET / HTTP/1.1\r\n{header}\r\n\r\n"))
            .to_vec(),
    )
}

fn methods(scene: &mut Scene<'_>) -> Result<()> {
    let methods = [
        "OPTIONS",
        "DELETE",
        "PATCH",
        "PROPFIND",
        "M-SEARCH",
        "X",
        "VERY-LONG-METHOD-NAME-OF-SOMEBODY",
    ];
    let mut requests: Vec<_> = methods
        .map(|method| format!("{method} / HTTP/1.1\r\nhost: pod\r\n\r\n"))
        .to_vec();
    requests.push("OPTIONS * HTTP/1.1\r\nhost: pod\r\n\r\n".into());
    requests.push("GET http://pod/absolute HTTP/1.1\r\nhost: pod\r\n\r\n".into());
    requests.push("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n".into());
    exchange_all(scene, requests)
}

/// Each on a connection of its own; the server refuses and closes.
fn refused(scene: &mut Scene<'_>, server: Server, requests: &[String], status: u16) -> Result<()> {
    scene.serve(server)?;
    scene.client(async |address, clock| {
        for request in requests {
            let mut client = Http1::connect(address, clock).await?;
            client.write(request).await?;
            let reply = client.reply(false).await?;
            ensure!(reply.status == status, "{reply:?} to {:?}", request.get(..80));
            client.rest().await;
        }
        Ok(())
    })?;
    scene.exact(requests.len() as u64)
}

fn malformed(scene: &mut Scene<'_>) -> Result<()> {
    let requests = [
        "GET / HTTP/1.1\r\nbad header\r\n\r\n",
        "GET / HTTP/1.1\r\nna me: x\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
    ];
    refused(scene, Server::of(Protocol::Raw), &requests.map(str::to_owned), 400)
}

fn too_large(scene: &mut Scene<'_>) -> Result<()> {
    let request = format!("GET / HTTP/1.1\r\nx: {}", "h".repeat(300_000));
    refused(scene, Server::of(Protocol::Raw), &[request], 431)
}

fn timed_out(scene: &mut Scene<'_>) -> Result<()> {
    let server = Server::of(Protocol::Raw).idle(Duration::from_millis(50));
    refused(
        scene,
        server,
        &["GET / HTTP/1.1\r\nx: not the end\r\n".into(), "GE".into()],
        408,
    )
}

fn idle_408(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw).idle(Duration::from_millis(50)))?;
    scene.client(async |address, clock| {
        let mut silent = Http1::connect(address, clock).await?;
        ensure!(silent.rest().await > 0, "the case itself: no 408");
        let mut client = Http1::connect(address, clock).await?;
        client.exchange(get("/")).await?;
        ensure!(client.rest().await > 0, "the case itself: no 408 after a request");
        Ok(())
    })?;
    let rest = scene.rest()?;
    ensure!(rest.counted.started == 1, "the unasked 408 was counted");
    scene.balanced()?;
    Ok(())
}

fn partial(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    scene.client(async |address, clock| {
        for head in [
            "G",
            "GET / HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\nx: y\r\n",
            "GET / HTTP/1.1\r\nx: y\r\n\r",
        ] {
            let mut client = Http1::connect(address, clock).await?;
            client.write(head).await?;
            client.half_close().await?;
            client.rest().await;
        }
        Ok(())
    })?;
    scene.wait(|truth| truth.connections == 4)?;
    scene.exact(0)
}
