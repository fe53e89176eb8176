// SPDX-License-Identifier: Apache-2.0
//! The conditions in `throttle.jsonl`: operations on a fresh status, and the whole list after each one.
//!
//! Invariants: an operation or a transition that nobody knows is an error, never skipped.
//! Depends on: api, compare, data, report; calls.

mod calls;

use crate::compare;
use crate::data::Case;
use crate::report::Verdict;
use api::condition::{Condition, Observed};
use api::conditions::{Conditioned, Marks};
use api::{certificate, configuration, domain_mapping, ingress, metric, pod_autoscaler};
use api::{revision, route, serverless_service, service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

/// A named transition of one kind's status.
type Call<T> = fn(&mut T, &Arguments<'_>) -> Verdict;

/// What a transition is given.
struct Arguments<'a> {
    method: &'a str,
    values: &'a [Value],
    now: &'a Time,
}

pub(super) fn judge(case: &Case) -> Verdict {
    match case.value["input"]["kind"].as_str().unwrap_or_default() {
        "Service" => play(case, service::ServiceStatus::default(), calls::service),
        "Configuration" => play(
            case,
            configuration::ConfigurationStatus::default(),
            calls::configuration,
        ),
        "Revision" => play(case, revision::RevisionStatus::default(), calls::revision),
        "Route" => play(case, route::RouteStatus::default(), calls::route),
        "DomainMapping" => play(
            case,
            domain_mapping::DomainMappingStatus::default(),
            calls::domain_mapping,
        ),
        "PodAutoscaler" => play(
            case,
            pod_autoscaler::PodAutoscalerStatus::default(),
            calls::pod_autoscaler,
        ),
        "Metric" => play(case, metric::MetricStatus::default(), calls::metric),
        "ServerlessService" => play(
            case,
            serverless_service::ServerlessServiceStatus::default(),
            calls::serverless_service,
        ),
        "Ingress" => play(case, ingress::IngressStatus::default(), calls::ingress),
        "Certificate" => play(case, certificate::CertificateStatus::default(), calls::certificate),
        kind => Err(format!("no conditions for the kind `{kind}`")),
    }
}

/// Plays the operations on a status of one kind.
fn play<T: Conditioned>(case: &Case, mut status: T, call: Call<T>) -> Verdict {
    let operations = case.value["input"]["ops"].as_array().ok_or("no operations")?;
    let expected = case.value["expect"].as_array().ok_or("no expectations")?;
    if operations.len() != expected.len() {
        return Err("as many expectations as operations are needed".to_owned());
    }
    for (index, (operation, expected)) in operations.iter().zip(expected).enumerate() {
        let seconds = i64::try_from(index).unwrap_or_default();
        let now = Time(Timestamp::from_second(seconds).unwrap_or_default());
        let error = apply(&mut status, operation, &now, call).map_err(|error| format!("operation {index}: {error}"))?;
        let actual = json!({"conditions": shown(status.observed()), "happy": status.is_happy(), "error": error});
        if let Some(difference) = compare::difference(expected, &actual) {
            return Err(format!("after operation {index} ({operation}): {difference}"));
        }
    }
    Ok(())
}

/// Plays one operation; what it refuses is part of the case.
fn apply<T: Conditioned>(
    status: &mut T,
    operation: &Value,
    now: &Time,
    call: Call<T>,
) -> Result<Option<String>, String> {
    let text = |key: &str| operation[key].as_str().unwrap_or_default();
    if text("op") == "call" {
        let arguments = Arguments {
            method: text("method"),
            values: operation["args"].as_array().map_or(&[], Vec::as_slice),
            now,
        };
        return call(status, &arguments).map(|()| None);
    }
    let mut marks: Marks<'_> = status.marks(now);
    let (kind, reason, message) = (text("type"), text("reason"), text("message"));
    match text("op") {
        "initialize" => marks.initialize(),
        "mark_true" => marks.mark_true(kind),
        "mark_true_with_reason" => marks.mark_true_with_reason(kind, reason, message),
        "mark_false" => marks.mark_false(kind, reason, message),
        "mark_unknown" => marks.mark_unknown(kind, reason, message),
        "clear" => return Ok(marks.clear(kind).err().map(|error| error.to_string())),
        "set" => marks.set(serde_json::from_value(operation.clone()).map_err(|error| error.to_string())?),
        other => return Err(format!("no operation `{other}`")),
    }
    Ok(None)
}

/// The list without the times.
fn shown(observed: &Observed) -> Vec<Value> {
    let without_time = |condition: &Condition| Condition {
        last_transition_time: None,
        ..condition.clone()
    };
    observed
        .conditions
        .iter()
        .map(|condition| serde_json::to_value(without_time(condition)).unwrap_or_default())
        .collect()
}

impl Arguments<'_> {
    /// An argument that is text.
    fn text(&self, index: usize) -> &str {
        self.values.get(index).and_then(Value::as_str).unwrap_or_default()
    }

    /// An argument that is an object.
    fn object<T: serde::de::DeserializeOwned>(&self, index: usize) -> Result<T, String> {
        let value = self.values.get(index).cloned().unwrap_or_default();
        serde_json::from_value(value).map_err(|error| format!("argument {index}: {error}"))
    }

    fn unknown(&self) -> Verdict {
        Err(format!("no transition `{}`", self.method))
    }
}
