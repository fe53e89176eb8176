// SPDX-License-Identifier: Apache-2.0
//! Requests of one pod, and which share of requests inside the cluster goes straight to the pods.
//!
//! Mechanism: wrk at the gateway; then wrk in a pod of its own that calls the service by its name. What the gateway did not
//! count went straight.
//! Depends on: instance, api, wrk.

use std::path::Path;
use std::time::Duration;

use ::tests::rig::{Rig, run};
use anyhow::{Context, Result, ensure};

use super::instance::{Instance, USUAL};
use super::{BUILT_IN, api};
use crate::limit::{Unit, at_least};
use crate::report::Report;

const WRK: &str = "bench.example.com/wrk";

/// Measures and reports.
pub(super) fn measure(rig: &Rig, quick: bool, report: &mut Report) -> Result<()> {
    let wrk = run("sh", &["-c", "command -v wrk"])?;
    let instance = Instance::start(rig, USUAL, &[(WRK, Path::new(wrk.trim()))])?;
    let sizes: &[usize] = if quick { &[1, 3] } else { &[1, 3, 8, 20] };
    let seconds = if quick { "1" } else { "5" };
    let mut rows = Vec::new();
    for (number, &pods) in sizes.iter().enumerate() {
        eprintln!("standalone: {pods} pods");
        let name = format!("p{pods}");
        let scale =
            format!(r#""autoscaling.knative.dev/min-scale":"{pods}","autoscaling.knative.dev/max-scale":"{pods}""#);
        instance.declare(std::slice::from_ref(&name), &scale, BUILT_IN)?;
        instance.wait_ready(number + 1, Duration::from_secs(60))?;
        // The first decision on what is spare comes with the next tick.
        std::thread::sleep(Duration::from_secs(4));
        let host = format!("Host: {name}.default.localhost");
        let url = format!("http://{}/", instance.gateway);
        let outside = run("wrk", &["-t1", "-c32", "-H", &host, &format!("-d{seconds}s"), &url])?;
        let outside = Told::read(&outside)?;
        if pods == 1 {
            at_least(
                report,
                "requests of one pod, through the gateway",
                [1000.0, 10_000.0],
                Unit("requests/s", 0),
                outside.rate,
            );
        }
        let before = counted(&instance, &name)?;
        let inside = Told::read(&in_a_pod(&instance, &name, seconds)?)?;
        let through = counted(&instance, &name)? - before;
        let direct = 100.0 * (1.0 - through / inside.requests).max(0.0);
        rows.push(vec![
            pods.to_string(),
            format!("{:.0}", outside.rate),
            format!("{:.0}", inside.rate),
            format!("{direct:.1}"),
        ]);
    }
    report.table(
        "Standalone: requests under default settings",
        "wrk with 32 connections, on the same CPUs as all else: from outside at the gateway, and in a pod that calls \
         `http://NAME.default.svc.cluster.local`. Direct: the share of the latter that no gateway has seen. With the default \
         target-burst-capacity of 211 the first pods are always behind the gateway.",
        &["pods", "from outside, requests/s", "from a pod, requests/s", "direct %"],
        rows,
    );
    Ok(())
}

/// What wrk says.
struct Told {
    requests: f64,
    rate: f64,
}

impl Told {
    fn read(text: &str) -> Result<Self> {
        ensure!(
            !text.contains("Non-2xx") && !text.contains("Socket errors"),
            "requests failed: {text}"
        );
        let number = |line: Option<&str>| -> Result<f64> {
            let word = line.and_then(|line| {
                line.split_whitespace()
                    .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
            });
            word.and_then(|word| word.parse().ok()).with_context(|| text.to_owned())
        };
        Ok(Self {
            requests: number(text.lines().find(|line| line.contains(" requests in ")))?,
            rate: number(text.lines().find(|line| line.starts_with("Requests/sec:")))?,
        })
    }
}

/// Requests of a service's revision that the gateway has counted.
fn counted(instance: &Instance, service: &str) -> Result<f64> {
    let (_, page) = api::get(instance.metrics, "metrics", "/metrics")?;
    let name = format!("\"{service}-00001\"");
    let lines = page
        .lines()
        .filter(|line| line.starts_with("kn_revision_request_count_total{") && line.contains(&name));
    let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    Ok(counts.sum())
}

/// Runs wrk as a pod and reads what it wrote.
fn in_a_pod(instance: &Instance, service: &str, seconds: &str) -> Result<String> {
    let pod = format!("wrk-{service}");
    let body = format!(
        r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{pod}"}},"spec":{{"restartPolicy":"Never","containers":[
        {{"name":"wrk","image":"{WRK}","args":["-t1","-c32","-d{seconds}s","http://{service}.default.svc.cluster.local/"]}}]}}}}"#
    );
    let (status, answer) = api::Connection::open(instance.api)?.ask("POST", "api", api::PODS, &body)?;
    ensure!(status == 201, "{status} {answer}");
    let path = format!("{}/{pod}", api::PODS);
    let mut phase = String::new();
    let ended = instance.wait("wrk in a pod", Duration::from_secs(30), || {
        let (_, body) = api::get(instance.api, "api", &path)?;
        let pod: serde_json::Value = serde_json::from_str(&body)?;
        Ok(matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")))
    });
    phase.push_str(&api::get(instance.api, "api", &format!("{path}/log"))?.1);
    ended.with_context(|| phase.clone())?;
    Ok(phase)
}
