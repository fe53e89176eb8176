// SPDX-License-Identifier: Apache-2.0
//! `http`: what Knative's queue-proxy and activator do to traffic, seen from both sides.
//!
//! Problem: the facts are bytes on two connections and the time between them.
//! Mechanism: each case gets its own request path (`product`), scripted pods (`backend`, `backend_two`) and clients
//! (`client`, `client_two`) on loopback; what both saw is put down as the data put it (`words`) and compared (`verdict`).
//! Cases run side by side, since most of their time is waiting. A few that differ are played again with less beside them:
//! times and orders are part of the facts, and a busy machine changes both. That is said, and what differs always fails.
//! Depends on: proxy, data.

mod backend;
mod backend_two;
mod bytes;
mod client;
mod client_two;
mod pod;
mod product;
mod verdict;
mod words;

use crate::data::Case;
use crate::report::Verdict;
use anyhow::{Context as _, Result};
use life::Tasks;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

/// Cases at a time.
const AT_ONCE: usize = 32;
/// Those that are played again: so many at a time, so often, and no more than that.
const AGAIN: (usize, usize, usize) = (2, 2, 20);
/// Until the pods listed before the clients start are known to be good.
const SETTLED_BEFORE: Duration = Duration::from_millis(150);
/// Until pods have seen what clients did last.
const SETTLED_AFTER: Duration = Duration::from_millis(100);

/// Judges one alone.
pub(super) fn judge_one(case: &Case) -> Verdict {
    judge(&[case]).pop().unwrap_or_else(|| Err("was not judged".to_owned()))
}

/// Judges all of them, in their order.
pub(super) fn judge(cases: &[&Case]) -> Vec<Verdict> {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(fault) => return cases.iter().map(|_| Err(format!("no runtime: {fault}"))).collect(),
    };
    let values: Vec<Value> = cases.iter().map(|case| case.value.clone()).collect();
    let verdicts = runtime.block_on(judge_patiently(&values));
    runtime.shutdown_timeout(Duration::from_millis(200));
    verdicts
}

/// Judges all, and again those that differ and are no quirk, if they are few.
async fn judge_patiently(cases: &[Value]) -> Vec<Verdict> {
    let (at_once, times, most) = AGAIN;
    let mut verdicts = judge_all(cases.to_vec(), AT_ONCE).await;
    for _ in 0..times {
        let differ: Vec<_> = cases
            .iter()
            .zip(&mut verdicts)
            .filter(|(case, verdict)| verdict.is_err() && case["quirk"] != true)
            .collect();
        if differ.is_empty() || differ.len() > most {
            break;
        }
        eprintln!("golden http: {} cases differ and are played again", differ.len());
        let again = differ.iter().map(|(case, _)| (*case).clone()).collect();
        for ((_, verdict), new) in differ.into_iter().zip(judge_all(again, at_once).await) {
            *verdict = new;
        }
    }
    verdicts
}

async fn judge_all(cases: Vec<Value>, at_once: usize) -> Vec<Verdict> {
    let tasks = Tasks::new();
    let places = Arc::new(Semaphore::new(at_once));
    let verdicts = Arc::new(Mutex::new(vec![Err("did not end".to_owned()); cases.len()]));
    for (index, case) in cases.into_iter().enumerate() {
        let (places, verdicts) = (Arc::clone(&places), Arc::clone(&verdicts));
        tasks.spawn("case", async move {
            let _place = places.acquire().await;
            let verdict = match observe(&case).await {
                Ok(seen) => verdict::compare(&case["expect"], &seen),
                Err(fault) => Err(format!("{fault:#}")),
            };
            if let Some(slot) = verdicts.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index) {
                *slot = verdict;
            }
        });
    }
    tasks.gone().await;
    let mut verdicts = verdicts.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::take(&mut *verdicts)
}

/// Plays one case; what was seen, in the words of `expect`.
async fn observe(case: &Value) -> Result<Value> {
    let tasks = Tasks::new();
    let scripts: Vec<Value> = match &case["backends"] {
        Value::Array(backends) => backends.clone(),
        _ => vec![case["backend"].clone()],
    };
    let pods = backend::Pods::start(&scripts, case["component"] == "activator", &tasks)?;
    let product = product::Product::start(case, pods.port, &tasks).await?;
    if let Value::Array(before) = &case["config"]["before"] {
        for event in before {
            product.happen(event)?;
        }
        sleep(SETTLED_BEFORE).await;
    }
    let begin = Instant::now();
    pods.begin(begin);
    let clients = play(case, &product, pods.port, begin, &tasks).await?;
    sleep(Duration::from_millis(case["settle_ms"].as_u64().unwrap_or(0)) + SETTLED_AFTER).await;
    let seen = json!({
        "to_backend": pods.seen(),
        "to_client": clients,
        "log_lines": product.log_lines(),
        "activator_probe_of_pod": pods.probe(),
    });
    tasks.stop().await;
    Ok(seen)
}

/// Runs clients and events beside each other.
async fn play(
    case: &Value,
    product: &product::Product,
    port: u16,
    begin: Instant,
    tasks: &Tasks,
) -> Result<Vec<Value>> {
    let specs = case["clients"].as_array().context("no clients")?;
    let results = Arc::new(Mutex::new(vec![Value::Null; specs.len()]));
    let playing = Tasks::new();
    for (index, spec) in specs.iter().enumerate() {
        let address = product.address(spec["port"].as_str().unwrap_or("main"))?;
        let (spec, results, inner) = (spec.clone(), Arc::clone(&results), tasks.clone());
        playing.spawn("client", async move {
            sleep_until(begin + Duration::from_millis(spec["at_ms"].as_u64().unwrap_or(0))).await;
            let seen = match spec["protocol"].as_str() {
                Some("h2c") => client_two::play(&spec, address, &inner).await,
                _ => client::play(&spec, address, &inner).await,
            };
            let seen = seen.unwrap_or_else(|fault| json!({"fault": format!("{fault:#}")}));
            let seen = words::masked(seen, port);
            if let Some(slot) = results.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index) {
                *slot = seen;
            }
        });
    }
    if let Value::Array(events) = &case["events"] {
        for event in events {
            sleep_until(begin + Duration::from_millis(event["at_ms"].as_u64().unwrap_or(0))).await;
            product.happen(event)?;
        }
    }
    playing.gone().await;
    let results = results.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(results.clone())
}
