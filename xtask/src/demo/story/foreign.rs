// SPDX-License-Identifier: Apache-2.0
//! A Flask app that knows nothing of us.
//!
//! Depends on: stage, random.

use super::random;
use super::stage::{Manifest, Stage, host};
use super::tell;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;

/// It answers a random number.
pub(super) fn app(stage: &Stage<'_>) -> Result<()> {
    let body = random::SCRIPT.lines().skip_while(|line| line.starts_with('#'));
    for line in body.filter(|line| !line.is_empty()) {
        tell::line(&format!("  {line}"));
    }
    stage.apply(&Manifest {
        name: "random",
        annotations: "",
        scaling: r#"autoscaling.knative.dev/initial-scale: "0", autoscaling.knative.dev/window: 6s"#,
        image: random::IMAGE,
        target: "nobody",
    })?;
    let mut numbers = BTreeSet::new();
    for _ in 0..3 {
        let (said, _) = stage.ask(&host("random"))?;
        numbers.insert(said.parse::<u32>().with_context(|| format!("{said:?} is no number"))?);
    }
    // All the same by chance: once in 10^12 demos.
    ensure!(numbers.len() > 1, "three random numbers are the same");
    Ok(())
}
