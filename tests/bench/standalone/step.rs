// SPDX-License-Identifier: Apache-2.0
//! A step of load: how long until there are pods for all of it.
//!
//! Mechanism: ten clients go on all the time; 190 more come and go, again when the pods of the time before have gone.
//! Depends on: instance, crowd, api.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ::tests::rig::Rig;
use anyhow::{Result, anyhow};
use serde_json::Value;

use super::crowd::{self, Asked, Question};
use super::instance::{FAST, Instance};
use super::{BUILT_IN, MS, api, milliseconds, rounds, spread};
use crate::limit::at_most;
use crate::report::Report;
use crate::sample::Estimate;

/// Measures and reports: 10 clients, then 200, each with a request that takes 200 ms; a pod takes 10 at a time.
pub(super) fn measure(rig: &Rig, quick: bool, report: &mut Report) -> Result<()> {
    eprintln!("standalone: steps from 10 to 200");
    let instance = Instance::start(rig, FAST, &[])?;
    let ten = r#""autoscaling.knative.dev/target":"10","autoscaling.knative.dev/target-utilization-percentage":"100""#;
    instance.declare(&["step".to_owned()], ten, BUILT_IN)?;
    instance.wait_ready(1, Duration::from_secs(30))?;
    let question = Question {
        gateway: instance.gateway,
        host: "step.default.localhost",
        path: "/sleep/200",
        body: "hello\n",
    };
    let (steps, _) = meanwhile(10, question, || {
        (0..rounds(quick))
            .map(|_| one_step(&instance, question))
            .collect::<Result<Vec<Step>>>()
    })?;
    let of = |figure: fn(&Step) -> f64| steps.iter().map(figure).collect::<Vec<_>>();
    let (decided, enough) = (of(|step| step.decided), of(|step| step.enough));
    at_most(
        report,
        "T7 step → scale decision",
        [20.0, 5.0],
        MS,
        Estimate::of(&decided),
    );
    at_most(
        report,
        "step 10 → 200 concurrent, pods for all",
        [1000.0, 500.0],
        MS,
        Estimate::of(&enough),
    );
    report.table(
        "Standalone: a step from 10 to 200 concurrent requests",
        "A pod takes 10 at a time, so 20 are enough; requests take 200 ms, one after the other on each client's connection. \
         190 clients begin together, on the same CPUs; from the first byte that one of them writes until a watch of the API is \
         told. All were answered, with 200 and the right body. Medians with the interval that holds the true one with 95 %.",
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

/// So many clients ask again and again while something is done; what came of both.
fn meanwhile<T>(clients: usize, question: Question, done: impl FnOnce() -> Result<T>) -> Result<(T, Asked)> {
    let over = Arc::new(AtomicBool::new(false));
    thread::scope(|scope| {
        let asking = scope.spawn(|| crowd::ask(clients, question, &over));
        let done = done();
        over.store(true, Ordering::Relaxed);
        let asked = asking.join().map_err(|_| anyhow!("the clients ended early"))?;
        // What the clients met explains why something was not done.
        let asked = asked?;
        Ok((done?, asked))
    })
}

/// 190 more clients, once the few have had the pods that they need for some seconds.
fn one_step(instance: &Instance, question: Question) -> Result<Step> {
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
    let measured = || -> Result<[Instant; 3]> {
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
        Ok([decided, all_decided, enough])
    };
    let (measured, many) = meanwhile(190, question, measured)?;
    let [decided, all_decided, enough] = measured.map(|at| milliseconds(at.saturating_duration_since(many.begun)));
    Ok(Step {
        decided,
        all_decided,
        enough,
    })
}
