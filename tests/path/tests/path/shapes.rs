// SPDX-License-Identifier: Apache-2.0
//! Every shape of traffic between Node's clients and Node's servers, HTTP/1.1 and HTTP/2 on either side.
//!
//! Depends on: gateway, program; node.

use crate::gateway::{Gateway, Service};
use crate::program::{Pod, run, script};

/// Streams both ways, trailers both ways, 103, 100, 64 MiB, server-sent events, tunnels.
async fn all(version: &str, protocol: &str) {
    let pod = Pod::start("node", &[&script("shapes_pod.mjs"), version]);
    let settings = format!("protocol: {protocol}");
    let gateway = Gateway::start(&[
        Service::with("app.test", &[pod.address], &settings),
        Service::with("127.0.0.1", &[pod.address], &settings),
    ]);
    let said = run("node", &[&script("shapes.mjs"), &gateway.address.to_string(), version]).await;
    assert_eq!(said, "ok\n", "pod of HTTP/{version}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_shape_reaches_a_pod_of_http1() {
    all("1", "http1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_shape_reaches_a_pod_of_http2() {
    all("2", "h2c").await;
}
