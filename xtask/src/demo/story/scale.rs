// SPDX-License-Identifier: Apache-2.0
//! As many pods as the requests in flight want.
//!
//! Depends on: stage.

use super::stage::{Manifest, Stage};
use super::tell;
use anyhow::{Result, ensure};
use std::ops::ControlFlow;

/// An answer takes so long that a client has a request in flight nearly always.
const PATH: &str = "/sleep/100";
/// At least so long, as the window is; then until the pods are there, at most twice as long.
const SECONDS: u32 = 6;

/// 4 clients, one request each at a time.
pub(super) fn target_of_one(stage: &Stage<'_>) -> Result<()> {
    tell::line("One request in flight a pod is the target, and 70 % of it are used: 4 / 0.7 = 5.7, so 6 pods.");
    let scaling = r#"autoscaling.knative.dev/target: "1", autoscaling.knative.dev/window: 6s"#;
    play(stage, "one", scaling, 4, 6)
}

/// 28 clients.
pub(super) fn target_of_ten(stage: &Stage<'_>) -> Result<()> {
    tell::line("10 x 70 % = 7 requests in flight a pod: 28 / 7 = 4 pods.");
    let scaling = r#"autoscaling.knative.dev/target: "10", autoscaling.knative.dev/target-utilization-percentage: "70", autoscaling.knative.dev/window: 6s"#;
    play(stage, "ten", scaling, 28, 4)
}

fn play(stage: &Stage<'_>, name: &str, scaling: &str, clients: usize, wanted: usize) -> Result<()> {
    stage.apply(&Manifest {
        name,
        annotations: "",
        scaling,
        image: "sluice.dev/sample",
        target: name,
    })?;
    tell::line(&format!("{clients} clients ask for GET {PATH}, at least {SECONDS} s:"));
    let crowd = stage.crowd(name, PATH, clients);
    let mut pods = 0;
    stage.each_second(&crowd, 2 * SECONDS, |second, news| {
        pods = stage.api.ready(name)?;
        tell::line(&format!(
            "{second:>3} s  {:>4} answers  p50 {:>8}  {pods:>2} pods  {}",
            news.count(),
            tell::time(news.quantile(50)),
            tell::bar(pods)
        ));
        let is_there = second >= SECONDS && pods == wanted;
        Ok(if is_there {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    let tally = crowd.stop()?;
    tell::line(&format!("{} answers, none failed.", tally.count()));
    ensure!(
        pods == wanted,
        "{pods} pods are ready after {} s, not {wanted}",
        2 * SECONDS
    );
    Ok(())
}
