// SPDX-License-Identifier: Apache-2.0
//! Clients that everybody knows: whatever they write, it is counted.

use anyhow::{Result, ensure};
use tests::scene::Scene;
use tests::suite::{Case, case};
use tests::truth::{Protocol, Server};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("tools::curl_over_http_1_is_exact", curl),
        case("tools::curl_over_http_2_is_exact", curl2),
        case("tools::nghttp_is_exact", nghttp),
        case("tools::h2load_over_http_2_is_exact", |scene| {
            h2load(scene, Protocol::H2, &["-m", "20"])
        }),
        case("tools::h2load_over_http_1_is_exact", |scene| {
            h2load(scene, Protocol::Raw, &["--h1"])
        }),
        case("tools::h2load_pipelines_are_exact", |scene| {
            h2load(scene, Protocol::Hyper1, &["--h1", "-m", "8"])
        }),
    ]
}

fn url(scene: &Scene<'_>, path: &str) -> String {
    format!("http://{}{path}", scene.address())
}

fn curl(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    let upload = "GET / HTTP/1.1\r\n\r\n".repeat(200_000);
    let run = |arguments: &[&str], path: &str| {
        let url = url(scene, path);
        let all = [
            &["-sS", "--max-time", "30", "-o", "/dev/null"],
            arguments,
            &[url.as_str()],
        ]
        .concat();
        scene.field.client.tool("curl", &all, &upload)
    };
    run(&[], "/")?;
    run(&[], "/bytes/5000000")?;
    run(&["-0"], "/http10/5000")?;
    run(&["-I"], "/bytes/100")?;
    run(&["-d", "a=b"], "/")?;
    run(&["-d", "a=b"], "/chunked/50000/777")?;
    // Waits for 100 Continue; chunked, because the length of a pipe is not known.
    run(&["-T", "-", "-H", "expect: 100-continue"], "/")?;
    run(&["--data-binary", "@-"], "/continue")?;
    run(&["-X", "DELETE"], "/status/204")?;
    // Kept alive: three times one connection.
    let again = [url(scene, "/a"), url(scene, "/chunked/10/3")];
    run(&["-o", "/dev/null", &again[0], "-o", "/dev/null", &again[1]], "/c")?;
    scene.exact(12)
}

fn curl2(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::H2))?;
    let upload = "GET / HTTP/1.1\r\n\r\n".repeat(20_000);
    for (arguments, path) in [
        (vec![], "/"),
        (vec![], "/bytes/3000000"),
        (vec!["--data-binary", "@-"], "/"),
        (vec!["-I"], "/"),
        (vec![], "/trailers/500"),
    ] {
        let url = url(scene, path);
        let mut all = vec!["-sS", "--max-time", "30", "--http2-prior-knowledge", "-o", "/dev/null"];
        all.extend(arguments);
        all.push(&url);
        scene.field.client.tool("curl", &all, &upload)?;
    }
    scene.exact(5)
}

fn nghttp(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::H2))?;
    let (small, slow, large) = (url(scene, "/"), url(scene, "/sleep/20"), url(scene, "/bytes/200000"));
    scene
        .field
        .client
        .tool("nghttp", &["-n", "-m", "10", &small, &slow, &large], "")?;
    scene
        .field
        .client
        .tool("nghttp", &["-n", "-m", "5", "--padding=200", &small], "")?;
    scene
        .field
        .client
        .tool("nghttp", &["-n", "--continuation", "-H", "x: y", &small], "")?;
    scene.exact(36)
}

fn h2load(scene: &mut Scene<'_>, protocol: Protocol, arguments: &[&str]) -> Result<()> {
    scene.serve(Server::of(protocol))?;
    let (small, large) = (url(scene, "/"), url(scene, "/bytes/20000"));
    let all = [&["-n", "3000", "-c", "20", "-t", "1"], arguments, &[&small, &large]].concat();
    let said = scene.field.client.tool("h2load", &all, "")?;
    ensure!(said.contains("3000 succeeded"), "the case itself: {said}");
    scene.exact(3000)
}
