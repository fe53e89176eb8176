// SPDX-License-Identifier: Apache-2.0
//! `throttle.jsonl`: limiters, capacities, subsets; and the conditions of every kind.
//!
//! Depends on: data, report, compare, conditions, breaker, throttler.

mod breaker;
mod throttler;

use super::conditions;
use crate::compare::difference;
use crate::data::Case;
use crate::report::Verdict;
use logic::limiter::arithmetic::{assign_slice, calculate_capacity, infer_index, num_activators};
use logic::limiter::subset::choose_subset;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) fn judge(case: &Case) -> Verdict {
    let answer = match case.kind() {
        "conditions" => return conditions::judge(case),
        "assign_slice" => slice(input(case)?),
        "calculate_capacity" => capacity(&input(case)?),
        "infer_index" => index(&input(case)?),
        "num_activators" => activators(&input(case)?),
        "choose_subset" => subset(&input(case)?),
        "breaker" => breaker::play(input(case)?),
        "throttler" => throttler::play(input(case)?),
        kind => return Err(format!("nobody judges the kind `{kind}`")),
    };
    match difference(&case.value["expect"], &answer) {
        None => Ok(()),
        Some(difference) => Err(difference),
    }
}

fn input<T: DeserializeOwned>(case: &Case) -> Result<T, String> {
    serde_json::from_value(case.value["input"].clone()).map_err(|error| format!("unknown shape of input: {error}"))
}

#[derive(Deserialize)]
struct OfSlice {
    dests: Vec<String>,
    activator_index: i32,
    num_activators: u32,
}

fn slice(input: OfSlice) -> Value {
    let index = u32::try_from(input.activator_index).ok();
    json!(assign_slice(&input.dests, index, input.num_activators))
}

#[derive(Deserialize)]
struct OfCapacity {
    container_concurrency: u32,
    backend_count: u32,
    num_trackers: u32,
    num_activators: u32,
}

fn capacity(input: &OfCapacity) -> Value {
    json!(calculate_capacity(
        input.container_concurrency,
        input.backend_count,
        input.num_trackers,
        input.num_activators
    ))
}

#[derive(Deserialize)]
struct OfIndex {
    sorted_activators: Vec<String>,
    self_ip: String,
}

fn index(input: &OfIndex) -> Value {
    infer_index(&input.sorted_activators, &input.self_ip).map_or(json!(-1), |index| json!(index))
}

#[derive(Deserialize)]
struct OfActivators {
    ready_pods: u32,
    target_burst_capacity: f64,
    total_value: f64,
    activator_capacity: f64,
}

fn activators(input: &OfActivators) -> Value {
    json!(num_activators(
        input.ready_pods,
        input.target_burst_capacity,
        input.total_value,
        input.activator_capacity
    ))
}

#[derive(Deserialize)]
struct OfSubset {
    from: Vec<String>,
    n: usize,
    target: String,
}

fn subset(input: &OfSubset) -> Value {
    json!(choose_subset(&input.from, input.n, &input.target))
}
