// SPDX-License-Identifier: Apache-2.0
//! From zero, and back to it.
//!
//! Depends on: stage.

use super::stage::{Manifest, Stage, host};
use super::tell;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// Those that have no clients at the end.
const ALL: [&str; 6] = ["hello", "one", "ten", "shop", "burst", "random"];
/// Six seconds' window, the grace and the last pod's end.
const LONGEST: Duration = Duration::from_secs(40);

/// Nothing runs; the first request brings a pod.
pub(super) fn hello(stage: &Stage<'_>) -> Result<()> {
    let manifest = Manifest {
        name: "hello",
        annotations: "",
        scaling: r#"autoscaling.knative.dev/initial-scale: "0", autoscaling.knative.dev/window: 6s"#,
        image: "sluice.dev/sample",
        target: "World",
    };
    for line in manifest.text().lines() {
        tell::line(&format!("  {line}"));
    }
    stage.apply(&manifest)?;
    let pods = stage.api.pods("hello")?.len();
    tell::line(&format!(
        "Ready with {pods} pods. The first request is held until one answers:"
    ));
    ensure!(pods == 0, "a service with initial-scale 0 has {pods} pods");
    let (said, _) = stage.ask(&host("hello"))?;
    ensure!(said == "hello World", "the answer is {said:?}");
    stage.ask(&host("hello"))?;
    let ready = || Ok(stage.api.ready("hello")? == 1);
    stage.wait("service hello has one ready pod", ready)?;
    tell::line("1 pod now.");
    Ok(())
}

/// Nobody asks any more: pods go, and the next request finds its way.
pub(super) fn rest(stage: &Stage<'_>) -> Result<()> {
    tell::line("No clients; every revision has a window of 6 s:");
    let begun = Instant::now();
    let mut told = usize::MAX;
    loop {
        let mut pods = 0;
        for service in ALL {
            pods += stage.api.pods(service)?.len();
        }
        if pods != told {
            tell::line(&format!(
                "{:>5.1} s  {pods:>2} pods  {}",
                begun.elapsed().as_secs_f64(),
                tell::bar(pods)
            ));
            told = pods;
        }
        if pods == 0 {
            break;
        }
        ensure!(
            begun.elapsed() < LONGEST,
            "{pods} pods are left after {} s",
            LONGEST.as_secs()
        );
        stage.interrupt.sleep(Duration::from_millis(200))?;
    }
    let (said, _) = stage.ask(&host("hello"))?;
    ensure!(said == "hello World", "the answer is {said:?}");
    Ok(())
}
