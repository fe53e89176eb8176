// SPDX-License-Identifier: Apache-2.0
//! 500 requests at once for what has no pod.
//!
//! Depends on: stage, crowd.

use super::crowd::{Crowd, Orders};
use super::stage::{Manifest, Stage, host};
use super::tell;
use anyhow::{Result, ensure};
use std::time::Instant;

const REQUESTS: usize = 500;

/// All are held, none is lost.
pub(super) fn burst(stage: &Stage<'_>) -> Result<()> {
    stage.apply(&Manifest {
        name: "burst",
        annotations: "",
        scaling: r#"autoscaling.knative.dev/initial-scale: "0", autoscaling.knative.dev/window: 6s, autoscaling.knative.dev/target: "50""#,
        image: "sluice.dev/sample",
        target: "burst",
    })?;
    let before = stage.api.pods("burst")?.len();
    ensure!(before == 0, "the service has {before} pods");
    tell::line(&format!(
        "0 pods. {REQUESTS} clients ask for GET /sleep/200, once, at the same time:"
    ));
    let orders = Orders::new(stage.gateway, &host("burst"), "/sleep/200").once();
    let begun = Instant::now();
    let crowd = Crowd::start(orders, REQUESTS);
    let mut most = 0;
    stage.wait("all are answered", || {
        most = most.max(stage.api.ready("burst")?);
        Ok(crowd.is_over())
    })?;
    let tally = crowd.stop()?;
    let times = tally.times.iter().map(|(_, came)| *came - begun);
    let (first, last) = (times.clone().min().unwrap_or_default(), times.max().unwrap_or_default());
    tell::line(&format!(
        "{} answers, none failed; the first after {}, the last after {}; p50 {}, p99 {}; {most} pods at most",
        tally.count(),
        tell::time(first),
        tell::time(last),
        tell::time(tally.quantile(50)),
        tell::time(tally.quantile(99))
    ));
    ensure!(
        tally.count() == REQUESTS,
        "{} of {REQUESTS} were answered",
        tally.count()
    );
    Ok(())
}
