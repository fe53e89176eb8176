// SPDX-License-Identifier: Apache-2.0
//! A step of load: how long until there are pods for all of it.
//!
//! Mechanism: ten clients go on all the time; 190 more come and go, again when the pods of the time before have gone.
//! Depends on: instance, api.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ::tests::rig::Rig;
use anyhow::{Result, bail, ensure};
use serde_json::Value;

use super::instance::{FAST, Instance};
use super::{BUILT_IN, api, at_most, milliseconds, spread};
use crate::report::Report;
use crate::sample::median;

/// Steps of load that are measured.
const STEPS: usize = 5;

/// Measures and reports: 10 clients, then 200, each with a request that takes 200 ms; a pod takes 10 at a time.
pub(super) fn measure(rig: &Rig, quick: bool, report: &mut Report) -> Result<()> {
    eprintln!("standalone: steps from 10 to 200");
    let instance = Instance::start(rig, FAST, &[])?;
    let ten = r#""autoscaling.knative.dev/target":"10","autoscaling.knative.dev/target-utilization-percentage":"100""#;
    instance.declare(&["step".to_owned()], ten, BUILT_IN)?;
    instance.wait_ready(1, Duration::from_secs(30))?;
    let over = AtomicBool::new(false);
    let steps: Result<Vec<Step>> = thread::scope(|scope| {
        let few: Vec<_> = (0..10).map(|_| scope.spawn(|| client(&instance, &over))).collect();
        let count = if quick { 1 } else { STEPS };
        let steps = (0..count).map(|_| one_step(&instance)).collect();
        over.store(true, Ordering::Relaxed);
        all_answered(few)?;
        steps
    });
    let steps = steps?;
    let of = |figure: fn(&Step) -> f64| steps.iter().map(figure).collect::<Vec<_>>();
    let (decided, enough) = (of(|step| step.decided), of(|step| step.enough));
    at_most(report, "T7 step → scale decision", [20.0, 5.0], "ms", median(&decided));
    at_most(
        report,
        "step 10 → 200 concurrent, pods for all",
        [1000.0, 500.0],
        "ms",
        median(&enough),
    );
    report.table(
        "Standalone: a step from 10 to 200 concurrent requests",
        "A pod takes 10 at a time, so 20 are enough; requests take 200 ms, one after the other on each client's connection. \
         190 clients begin together, on the same CPUs; until a watch of the API is told.",
        &["until", "median ms", "worst ms", "steps"],
        [
            ("more pods are decided", &decided),
            ("20 are decided", &of(|step| step.all_decided)),
            ("20 are ready", &enough),
        ]
        .into_iter()
        .map(|(until, taken)| spread(until, taken))
        .collect(),
    );
    Ok(())
}

/// How long a step took, in milliseconds.
struct Step {
    decided: f64,
    all_decided: f64,
    enough: f64,
}

/// Asks again and again until it is `over`: one request is in flight all the time, but for the moment between two.
fn client(instance: &Instance, over: &AtomicBool) -> Result<()> {
    let mut connection = api::Connection::open(instance.gateway)?;
    while !over.load(Ordering::Relaxed) {
        let (status, answer) = connection.ask("GET", "step.default.localhost", "/?sleep=200", "")?;
        ensure!(status == 200, "a step: {status} {answer}");
    }
    Ok(())
}

/// What went wrong with a client, if anything did.
fn all_answered(clients: Vec<thread::ScopedJoinHandle<'_, Result<()>>>) -> Result<()> {
    for client in clients {
        match client.join() {
            Ok(done) => done?,
            Err(_) => bail!("a client ended early"),
        }
    }
    Ok(())
}

/// 190 more clients, once the few have had the pods that they need for some seconds.
fn one_step(instance: &Instance) -> Result<Step> {
    const ENOUGH: usize = 20;
    let pods = || Ok::<_, anyhow::Error>(api::list(instance.api, api::PODS)?.len());
    instance.wait("the step before to pass", Duration::from_secs(60), || Ok(pods()? <= 2))?;
    thread::sleep(Duration::from_secs(6));
    let before = pods()?;
    let (deployments, changes) = (
        api::watch(instance.api, api::DEPLOYMENTS)?,
        api::watch(instance.api, api::PODS)?,
    );
    // The watches begin with what is there.
    thread::sleep(Duration::from_millis(300));
    let replicas = |object: &Value| {
        let count = object["spec"]["replicas"]
            .as_u64()
            .and_then(|count| usize::try_from(count).ok());
        count.unwrap_or_default()
    };
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let begun = Instant::now();
        let since = |at: Instant| milliseconds(at.saturating_duration_since(begun));
        let many: Vec<_> = (0..190).map(|_| scope.spawn(|| client(instance, &over))).collect();
        let measured = || -> Result<Step> {
            // The first write may ask for all of them.
            let mut asked = 0;
            let decided = api::first(&deployments, "more replicas", |object| {
                asked = replicas(object);
                asked > before
            })?;
            let all_decided = match asked >= ENOUGH {
                true => decided,
                false => api::first(&deployments, "20 replicas", |object| replicas(object) >= ENOUGH)?,
            };
            let mut ready = BTreeSet::new();
            let enough = api::first(&changes, "20 ready pods", |pod| {
                let name = pod["metadata"]["name"].to_string();
                if api::is_ready(pod) && pod["metadata"]["deletionTimestamp"].is_null() {
                    ready.insert(name);
                } else {
                    ready.remove(&name);
                }
                ready.len() >= ENOUGH
            })?;
            Ok(Step {
                decided: since(decided),
                all_decided: since(all_decided),
                enough: since(enough),
            })
        };
        let measured = measured();
        over.store(true, Ordering::Relaxed);
        all_answered(many)?;
        measured
    })
}
