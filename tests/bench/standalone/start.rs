// SPDX-License-Identifier: Apache-2.0
//! From zero to the first answer; a burst at zero.
//!
//! Mechanism: services start one at a time while others go back to zero, so that two hundred starts take two minutes. What
//! the app needs by itself, from exec to listening, is measured between them.
//! Depends on: instance, crowd, api, image.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ::tests::rig::Rig;
use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::crowd::{self, Question};
use super::instance::{FAST, Instance, sluice};
use super::{BUILT_IN, MS, api, image, milliseconds, rounds, share, spread};
use crate::limit::at_most;
use crate::report::Report;
use crate::sample::{Estimate, median};

/// Services that take turns.
const TURNS: usize = 50;
const IMAGE: &str = "bench.example.com/app";
/// Requests of a burst.
const BURST: usize = 500;
const AT_ZERO: &str = r#""autoscaling.knative.dev/initial-scale":"0""#;

/// Measures and reports.
pub(super) fn measure(rig: &Rig, quick: bool, report: &mut Report) -> Result<()> {
    cold(rig, quick, report)?;
    burst(rig, quick, report)
}

fn cold(rig: &Rig, quick: bool, report: &mut Report) -> Result<()> {
    eprintln!("standalone: cold starts");
    let folder = std::env::temp_dir().join(format!("sluice-bench-image-{}", std::process::id()));
    let _kept = rig.register().keep(::tests::rig::Undo::Folder(folder.clone()));
    let layout = image::layout(&folder, &sluice()?)?;
    let instance = Instance::start(rig, FAST, &[(IMAGE, &layout)])?;
    let (turns, rounds) = if quick { (5, 1) } else { (TURNS, 200 / TURNS) };
    let own: Result<Vec<f64>> = (0..20).map(|_| own_start().map(milliseconds)).collect();
    let own = own?;
    let mut rows = vec![row("the app alone, exec to listening", &own)];
    let mut declared = 0;
    for (kind, container) in [("program", BUILT_IN), ("image", &format!(r#""image":"{IMAGE}""#))] {
        let names: Vec<String> = (0..turns).map(|number| format!("{kind}{number}")).collect();
        instance.declare(&names, AT_ZERO, container)?;
        declared += names.len();
        instance.wait_ready(declared, Duration::from_secs(60))?;
        // Unpacks the image.
        api::timed(instance.gateway, &host(&names[0]), "/")?;
        let mut taken = Vec::new();
        for _ in 0..rounds {
            instance.wait_zero()?;
            for name in &names {
                taken.push(milliseconds(api::timed(instance.gateway, &host(name), "/")?));
                // The next does not begin while places are made anew.
                thread::sleep(Duration::from_millis(50));
            }
        }
        instance.wait_zero()?;
        let above = share(&taken, 90) - median(&own);
        let [name, whole] = match kind {
            "program" => ["T8 cold start, P90 above the app's own", "cold start, P90 in all"],
            _ => [
                "T8 cold start of an image, P90 above the app's own",
                "cold start of an image, P90 in all",
            ],
        };
        at_most(report, name, [30.0, 10.0], MS, above);
        at_most(report, whole, [200.0, 100.0], MS, share(&taken, 90));
        rows.push(row(
            &format!("{kind}: first byte of the request to last of the answer"),
            &taken,
        ));
    }
    report.table(
        "Standalone: from zero",
        "One service at a time starts, a request each; the app is `sluice sample`.",
        &["what", "P50 ms", "P90 ms", "P99 ms", "starts"],
        rows,
    );
    Ok(())
}

fn row(what: &str, values: &[f64]) -> Vec<String> {
    let at = |percent| format!("{:.1}", share(values, percent));
    vec![what.to_owned(), at(50), at(90), at(99), values.len().to_string()]
}

/// What the app needs by itself.
fn own_start() -> Result<Duration> {
    let begun = Instant::now();
    let mut child = Command::new(sluice()?)
        .args(["sample", "--port", "0"])
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().context("its output")?;
    let said = BufReader::new(stdout).lines().next();
    let taken = begun.elapsed();
    child.kill()?;
    child.wait()?;
    said.context("it ended")??;
    Ok(taken)
}

fn burst(rig: &Rig, quick: bool, report: &mut Report) -> Result<()> {
    eprintln!("standalone: bursts at zero");
    let instance = Instance::start(rig, FAST, &[])?;
    instance.declare(&["burst".to_owned()], AT_ZERO, BUILT_IN)?;
    instance.wait_ready(1, Duration::from_secs(30))?;
    let (mut decided, mut placed, mut all) = (Vec::new(), Vec::new(), Vec::new());
    let question = Question {
        gateway: instance.gateway,
        host: "burst.default.localhost",
        path: "/sleep/10",
        body: "hello\n",
    };
    for _ in 0..rounds(quick) {
        instance.wait_zero()?;
        let (deployments, pods) = (
            api::watch(instance.api, api::DEPLOYMENTS)?,
            api::watch(instance.api, api::PODS)?,
        );
        // The watches begin with what is there.
        thread::sleep(Duration::from_millis(300));
        let asked = crowd::ask_once(BURST, question)?;
        ensure!(asked.answers == BURST, "{} of {BURST} were answered", asked.answers);
        let since = |at: Instant| milliseconds(at.saturating_duration_since(asked.begun));
        all.push(since(asked.ended));
        let wanted = |object: &Value| object["spec"]["replicas"].as_u64() > Some(0);
        decided.push(since(api::first(&deployments, "a deployment with replicas", wanted)?));
        let runs = |pod: &Value| pod["status"]["phase"] == "Running";
        placed.push(since(api::first(&pods, "a pod that runs", runs)?));
    }
    at_most(
        report,
        "T7 burst at zero → scale decision",
        [20.0, 5.0],
        MS,
        Estimate::of(&decided),
    );
    at_most(
        report,
        "burst at zero → first pod started",
        [20.0, 20.0],
        MS,
        Estimate::of(&placed),
    );
    report.table(
        "Standalone: 500 requests at zero",
        "From the first byte that a client writes to what a watch of the API is told, or to the last answer. 500 clients begin \
         together, one after the other as fast as they can connect and write, each on a connection of its own, on the same \
         CPUs. All were answered, with 200 and the right body. Medians with the interval that holds the true one with 95 %.",
        &["until", "median ms", "worst ms", "bursts"],
        [
            ("replicas are written", &decided),
            ("a pod runs", &placed),
            ("all 500 are answered", &all),
        ]
        .into_iter()
        .map(|(until, taken)| spread(until, taken))
        .collect(),
    );
    Ok(())
}

fn host(name: &str) -> String {
    format!("{name}.default.localhost")
}
