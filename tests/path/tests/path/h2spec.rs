// SPDX-License-Identifier: Apache-2.0
//! h2spec, by plain text and by TLS.
//!
//! Depends on: gateway, pods; h2spec, where SLUICE_H2SPEC says (`cargo xtask setup --for clients`).

use crate::gateway::{Gateway, Service};
use crate::{pods, program};
use std::net::SocketAddr;

/// The names of what failed, and how many there were.
async fn failed(h2spec: &str, gateway: SocketAddr, own: &[&str]) -> (Vec<String>, usize) {
    let report = std::env::temp_dir().join(format!("sluice-h2spec-{}-{}.xml", std::process::id(), gateway.port()));
    let (port, report_name) = (gateway.port().to_string(), report.to_str().unwrap());
    let arguments = [&["-h", "127.0.0.1", "-p", &port, "-o", "5", "-j", report_name], own].concat();
    // It ends with 1 if anything failed.
    let shell = [&["-c", "\"$0\" \"$@\" || [ $? = 1 ]", h2spec], &arguments[..]].concat();
    program::run("sh", &shell).await;
    let text = std::fs::read_to_string(&report).unwrap();
    std::fs::remove_file(&report).unwrap();
    let cases = text.split("<testcase ").skip(1);
    let bad = cases.clone().filter(|case| !case.contains("></testcase>"));
    let named = bad.map(|case| case.split("\" time").next().unwrap().replace("\" classname=\"", ": "));
    (
        named.map(|name| name.replace("package=\"", "")).collect(),
        cases.count(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_of_h2spec_passes_but_one() {
    let Ok(h2spec) = std::env::var("SLUICE_H2SPEC") else {
        assert!(
            std::env::var_os("CI").is_none(),
            "SLUICE_H2SPEC does not say where h2spec is"
        );
        return println!("skipped: SLUICE_H2SPEC does not say where h2spec is");
    };
    let (pod, _) = pods::hyper().await;
    // It asks for the address and its port.
    let gateway = Gateway::start(&[Service::new("127.0.0.1", &[pod])]);
    let (plain, count) = failed(&h2spec, gateway.address, &[]).await;
    // docs/compatibility.md says why.
    assert_eq!(plain, ["http2/3.5: Sends invalid connection preface"]);
    assert!(count >= 145, "{count} cases");
    let (tls, count) = failed(&h2spec, gateway.tls, &["-t", "-k"]).await;
    assert_eq!(tls, [""; 0]);
    assert!(count >= 145, "{count} cases");
}
