// SPDX-License-Identifier: Apache-2.0
//! One JSON object a line.
//!
//! Invariants: names and meanings stand in `sluice top --help` and change only with `schema`; what is not known is null.
//! Depends on: `reading`.

use serde::Serialize;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::top::reading::Reading;

const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    time: f64,
    target: &'a str,
    cgroup: &'a str,
    netns: Option<String>,
    port: u16,
    tier: &'a str,
    counted_as: &'a str,
    in_flight: u64,
    started: u64,
    ended: u64,
    concurrency: Value,
    observed_seconds: f64,
    requests_per_second: Option<f64>,
    latency_ms: Value,
    status: Value,
    status_per_second: Option<Value>,
    connections: Value,
    probes: u64,
    bytes: Value,
    bytes_per_second: Option<Value>,
    listening: Option<bool>,
    attached: Option<bool>,
    read_only: bool,
}

/// The line, without its end.
pub(crate) fn line(reading: &Reading, wall: SystemTime) -> String {
    let figures = &reading.figures;
    let now = &figures.now;
    let [one, ten, sixty] = figures.means.map(|mean| mean.map(round));
    let [p50, p90, p99] = figures.latency.map(|time| time.map(milliseconds));
    let line = Line {
        schema: SCHEMA,
        time: wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        target: &reading.name,
        cgroup: &reading.cgroup,
        // As text: JSON numbers lose bits.
        netns: reading.netns.map(|cookie| cookie.to_string()),
        port: reading.port,
        tier: &reading.tier,
        counted_as: if reading.tier == "exact" {
            "requests"
        } else {
            "connections"
        },
        in_flight: now.in_flight,
        started: now.started,
        ended: now.ended,
        concurrency: json!({"1s": one, "10s": ten, "60s": sixty}),
        observed_seconds: round(figures.observed.as_secs_f64()),
        requests_per_second: figures.requests_per_second.map(round),
        latency_ms: json!({"p50": p50, "p90": p90, "p99": p99}),
        status: classes(now.status.map(Value::from)),
        status_per_second: figures
            .status_per_second
            .map(|rates| classes(rates.map(|rate| Value::from(round(rate))))),
        connections: json!({
            "open": now.open, "total": now.connections, "opaque": now.opaque, "http2": now.http2,
            "tunnels": now.tunnels, "uncertain": now.uncertain, "unaccounted": reading.unaccounted,
            "aborted": now.aborted, "not_counted": now.not_counted,
        }),
        probes: now.probes,
        bytes: json!({"in": now.bytes_in, "out": now.bytes_out}),
        bytes_per_second: figures
            .bytes_per_second
            .map(|(into, out)| json!({"in": round(into), "out": round(out)})),
        listening: reading.is_listening,
        attached: reading.lost.as_ref().map(Vec::is_empty),
        read_only: reading.is_read_only,
    };
    // Only maps with keys that are no text could fail.
    serde_json::to_string(&line).unwrap_or_default()
}

fn classes(values: [Value; abi::STATUS_CLASSES]) -> Value {
    let [unknown, one, two, three, four, five] = values;
    json!({"1xx": one, "2xx": two, "3xx": three, "4xx": four, "5xx": five, "unknown": unknown})
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn milliseconds(time: Duration) -> f64 {
    round(time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::{
        figures::{Figures, tests::nothing},
        history::History,
    };

    #[test]
    fn what_is_not_known_is_null_and_names_are_as_documented() {
        let history = History::new(Duration::from_secs(60), 0, nothing());
        let reading = Reading {
            name: "a:80".to_owned(),
            cgroup: "/c/a".to_owned(),
            netns: Some(u64::MAX),
            port: 80,
            tier: "exact".to_owned(),
            figures: Figures::of(&history, &nothing()),
            unaccounted: None,
            is_listening: Some(true),
            is_there: true,
            lost: None,
            is_read_only: false,
        };
        let text = line(&reading, UNIX_EPOCH);
        assert!(!text.contains('\n'));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert!(value["latency_ms"]["p99"].is_null());
        assert!(value["concurrency"]["60s"].is_null());
        assert!(value["attached"].is_null());
        assert!(value["connections"]["unaccounted"].is_null());
        assert_eq!(value["netns"], "18446744073709551615");
        let help = crate::cli::top_help();
        for name in value.as_object().unwrap().keys() {
            assert!(help.contains(name), "{name} is not documented");
        }
    }
}
