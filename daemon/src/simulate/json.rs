// SPDX-License-Identifier: Apache-2.0
//! One JSON object a variant.
//!
//! Invariants: names and meanings stand in docs/simulate.md and change only with `schema`.
//! Depends on: played, logic.

use std::{collections::BTreeMap, time::Duration};

use logic::replay::{Format, Point};
use serde_json::{Value, json};

use super::played::Played;

const SCHEMA: u32 = 1;

/// The line, without its end.
pub(super) fn line(trace: &str, format: Format, played: &Played<'_>) -> String {
    let outcome = &played.outcome;
    let set: BTreeMap<_, _> = played.variant.pairs.iter().cloned().collect();
    let column = |value: fn(&Point) -> Value| outcome.points.iter().map(value).collect::<Vec<_>>();
    json!({
        "schema": SCHEMA,
        "trace": trace,
        "format": format.name(),
        "settings": set,
        "seconds": round(outcome.time.as_secs_f64()),
        "requests": {
            "total": outcome.requests,
            "answered": outcome.answered,
            "refused": outcome.refused,
            "running": outcome.running,
            "waiting": outcome.waiting,
        },
        "wait_seconds": {
            "p50": seconds(outcome.waits.quantile(0.5)),
            "p99": seconds(outcome.waits.quantile(0.99)),
            "max": seconds(outcome.waits.longest()),
            "total": seconds(outcome.waits.total()),
        },
        "cold_starts": outcome.cold_starts,
        "cold_requests": outcome.cold_requests,
        "pod_seconds": round(outcome.pod_seconds),
        "pods": {"mean": round(outcome.mean_pods()), "most_ready": outcome.most_ready},
        "panic_seconds": outcome.panic_seconds,
        "capped": outcome.is_capped,
        "timeline": {
            "width_seconds": outcome.width,
            "load": column(|point| round(point.load).into()),
            "waiting": column(|point| round(point.waiting).into()),
            "desired": column(|point| round(point.desired).into()),
            "ready": column(|point| round(point.ready).into()),
            "starting": column(|point| round(point.starting).into()),
            "panic": column(|point| point.panic.into()),
            "cold_starts": column(|point| point.cold_starts.into()),
        },
    })
    .to_string()
}

fn seconds(time: Duration) -> f64 {
    round(time.as_secs_f64())
}

fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
