// SPDX-License-Identifier: Apache-2.0
//! gRPC's own client and server, in Python: every kind of call, errors, deadlines, by plain text and by TLS.
//!
//! Depends on: gateway, program; Debian's python3-grpcio (`cargo xtask setup --for clients`).

use crate::gateway::{Gateway, Service};
use crate::program::{self, Pod};
use std::sync::mpsc;
use std::time::Duration;

/// Debian's, which has the package.
const PYTHON: &str = "/usr/bin/python3";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_call_passes_and_those_given_up_end_at_the_pod() {
    let mut pod = Pod::start(PYTHON, &[&program::script("grpc_pod.py")]);
    let lines = pod.lines.take().unwrap();
    let gateway = Gateway::start(&[Service::with("grpc.test", &[pod.address], "protocol: h2c")]);
    let client = program::script("grpc_client.py");
    let (plain, tls) = (gateway.address.to_string(), gateway.tls.to_string());
    assert_eq!(program::run(PYTHON, &[&client, &plain]).await, "ok\n");
    let by_tls = [&client, &tls, program::authority(&gateway)];
    assert_eq!(program::run(PYTHON, &by_tls).await, "ok\n");
    let (send, over) = mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| send.send(line)));
    let mut ended: Vec<_> = (0..4)
        .map_while(|_| over.recv_timeout(Duration::from_secs(10)).ok())
        .collect();
    ended.sort();
    assert_eq!(ended, ["over cancelled", "over cancelled", "over late", "over late"]);
}
