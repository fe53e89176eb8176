// SPDX-License-Identifier: Apache-2.0
//! What routes and the gateway do to requests, asked by curl: hosts, paths, headers, weights, what a pod is told.
//!
//! Depends on: gateway, pods, program; curl.

use crate::gateway::Gateway;
use crate::pods;
use crate::program::{curl_by_tls, run};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;

/// Says its name, then what it was asked for, a header a line.
async fn pod(name: &'static str) -> SocketAddr {
    pods::listen(move |stream| async move {
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| async move {
            let mut text = format!("{name} {} {}\n", request.method(), request.uri());
            for (name, value) in request.headers() {
                text += &format!("{name}: {}\n", value.to_str().unwrap());
            }
            hyper::Response::builder()
                .header("connection", "x-inner")
                .header("x-inner", "1")
                .header("keep-alive", "timeout=5")
                .header("x-outer", "2")
                .body(Full::new(Bytes::from(text)))
        });
        let server = hyper::server::conn::http1::Builder::new();
        drop(server.serve_connection(TokioIo::new(stream), service).await);
    })
    .await
}

async fn gateway() -> Gateway {
    let (blue, green) = (pod("blue").await, pod("green").await);
    Gateway::run(&format!(
        "revisions:
  blue: {{pods: ['{blue}']}}
  green: {{pods: ['{green}']}}
routes:
  - hosts: [app.test]
    path: /v2
    headers: {{X-Beta: 'yes'}}
    to: {{green: 100}}
    set_headers: {{X-From: edge}}
    rewrite_host: inner.test
  - {{hosts: [app.test], path: /v2, to: {{blue: 100}}}}
  - {{hosts: [app.test], headers: {{Knative-Serving-Tag: next}}, to: {{green: 100}}}}
  - {{hosts: [app.test], to: {{blue: 80, green: 20}}}}
  - {{hosts: [next-app.test], to: {{green: 100}}}}
  - {{hosts: [secure.test], to: {{blue: 100}}, http_option: Redirected}}
  - {{hosts: [inner.test], to: {{blue: 100}}, visibility: cluster-local}}
"
    ))
}

/// The answer to a request for this host and path; `-i` for its head.
async fn ask(gateway: &Gateway, host: &str, path: &str, own: &[&str]) -> String {
    let (host, url) = (format!("Host: {host}"), format!("http://{}{path}", gateway.address));
    let common = ["-sS", "--max-time", "20", "-H", &host];
    run("curl", &[&common[..], own, &[&url]].concat()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_paths_and_headers_lead_to_revisions() {
    let gateway = gateway().await;
    let beta = ask(&gateway, "app.test", "/v2/x?y=1", &["-H", "X-Beta: yes"]).await;
    assert!(beta.starts_with("green GET /v2/x?y=1\n"), "{beta}");
    assert!(
        beta.contains("\nx-from: edge\n") && beta.contains("\nhost: inner.test\n"),
        "{beta}"
    );
    for (host, path, header, name) in [
        ("app.test", "/v2/x", "X-Beta: no", "blue"),
        ("app.test", "/v2", "X-Other: 1", "blue"),
        ("app.test", "/", "Knative-Serving-Tag: next", "green"),
        ("next-app.test", "/v2", "X-Beta: yes", "green"),
        ("NEXT-APP.test:80", "/", "X-Other: 1", "green"),
    ] {
        let said = ask(&gateway, host, path, &["-H", header]).await;
        let due = format!("{name} GET {path}\n");
        assert!(said.starts_with(&due), "{host} {path} {header}: {said}");
    }
    for host in ["unknown.test", "inner.test"] {
        let said = ask(&gateway, host, "/", &["-w", "|%{http_code}"]).await;
        assert!(said.ends_with("|404"), "{host}: {said}");
    }
    let moved = ask(&gateway, "secure.test", "/a?b", &["-w", "%{http_code} %{redirect_url}"]).await;
    assert_eq!(moved, "301 https://secure.test/a?b");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_are_shares_of_requests() {
    let gateway = gateway().await;
    let said = ask(&gateway, "app.test", "/split?[1-400]", &[]).await;
    let count = |name: &str| said.matches(&format!("{name} GET /split?")).count();
    assert_eq!(count("blue") + count("green"), 400);
    // 80 of 400, six standard deviations either way.
    assert!((32..=128).contains(&count("green")), "{} of 400", count("green"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_for_one_connection_stays_on_it_and_who_asks_is_told() {
    let gateway = gateway().await;
    let own = [
        "-i",
        "-H",
        "Connection: X-Secret, keep-alive",
        "-H",
        "X-Secret: 1",
        "-H",
        "Keep-Alive: 5",
        "-H",
        "Proxy-Connection: close",
        "-H",
        "TE: gzip",
        "-H",
        "X-Forwarded-For: 10.0.0.1",
        "-H",
        "X-Kept: 3",
    ];
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let said = ask(&gateway, "next-app.test", "/", &[&own[..], &[version]].concat()).await;
        let said = said.to_ascii_lowercase();
        // curl knows that HTTP/2 has no `Connection`, which named it.
        assert_eq!(said.contains("x-secret"), version != "--http1.1");
        for gone in ["keep-alive: 5", "proxy-connection", "te: gzip", "x-inner", "timeout=5"] {
            assert!(!said.contains(gone), "{version} {gone}: {said}");
        }
        for there in [
            "x-outer: 2",
            "x-kept: 3",
            "host: next-app.test\n",
            "x-forwarded-for: 10.0.0.1, 127.0.0.1\n",
            "x-forwarded-proto: http\n",
            "forwarded: for=10.0.0.1;proto=http, for=127.0.0.1\n",
        ] {
            assert!(said.contains(there), "{version} {there}: {said}");
        }
    }
    let said = curl_by_tls(&gateway, &["https://app.test/"]).await;
    assert!(said.contains("\nx-forwarded-proto: https\n"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_cannot_take_away_what_the_gateway_says() {
    let gateway = gateway().await;
    let own = [
        "--http1.1",
        "-H",
        "X-Beta: yes",
        "-H",
        "Connection: close, X-From, X-Mine, X-Forwarded-For, X-Forwarded-Proto, Forwarded, Host",
        "-H",
        "X-From: me",
        "-H",
        "X-Mine: 1",
        "-H",
        "X-Forwarded-For: 10.0.0.1",
        "-H",
        "Forwarded: for=10.0.0.1",
    ];
    let said = ask(&gateway, "app.test", "/v2", &own).await;
    for there in [
        "green GET /v2\n",
        "host: inner.test\n",
        "x-from: edge\n",
        "x-forwarded-for: 127.0.0.1\n",
        "x-forwarded-proto: http\n",
        "forwarded: for=127.0.0.1;proto=http\n",
    ] {
        assert!(said.contains(there), "{there}: {said}");
    }
    assert!(!said.contains("x-mine"), "{said}");
}
