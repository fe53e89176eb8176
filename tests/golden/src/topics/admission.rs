// SPDX-License-Identifier: Apache-2.0
//! `admission`: one request through both webhooks.
//!
//! Depends on: compare, data, report.

use crate::compare::difference;
use crate::data::Case;
use crate::report::Verdict;
use api::admission::{Operation, Outcome, Refusal, Request, review};
use api::context::Settings;
use api::kind::Kind;
use logic::settings::{Autoscaler, Data, Defaults, Features};
use serde_json::{Value, json};

/// Errors whose next lines print Knative's own struct paths.
const FIRST_LINE_ONLY: [&str; 2] = [
    "Immutable fields changed",
    "Saw the following changes without a name change",
];

/// Whether the object is changed, refused and warned of as by Knative.
pub(crate) fn judge(case: &Case) -> Verdict {
    let case = &case.value;
    let text = |key: &str| case[key].as_str().unwrap_or_default();
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == text("kind"));
    let request = Request {
        kind: kind.ok_or("no such kind")?,
        operation: match text("operation") {
            "create" => Operation::Create,
            "update" => Operation::Update,
            "delete" => Operation::Delete,
            other => return Err(format!("no such operation: {other}")),
        },
        sub_resource: text("sub_resource"),
        user: text("user"),
        object: &case["object"],
        old_object: &case["old_object"],
    };
    let outcome = review(&request, &settings(&case["configmaps"])?);
    let expected = json!({
        "allowed": case["allowed"],
        "defaulted": case["defaulted_object"],
        "error": expected_error(case),
        "warnings": case["warnings"].as_array().cloned().unwrap_or_default(),
    });
    match difference(&expected, &shown(outcome)) {
        None => Ok(()),
        Some(difference) => Err(difference),
    }
}

fn shown(outcome: Outcome) -> Value {
    let error = match &outcome.refusal {
        Some(refusal @ Refusal::Validation(_)) => comparable(&refusal.to_string()),
        _ => Value::Null,
    };
    json!({
        "allowed": outcome.is_allowed(),
        "defaulted": outcome.defaulted,
        "error": error,
        "warnings": outcome.warnings,
    })
}

fn expected_error(case: &Value) -> Value {
    match case["error_phase"].as_str() {
        Some("validation") => comparable(case["error"].as_str().unwrap_or_default()),
        _ => Value::Null,
    }
}

fn comparable(error: &str) -> Value {
    let is_diff = FIRST_LINE_ONLY.iter().any(|words| error.contains(words));
    match error.split_once('\n') {
        Some((first, _)) if is_diff => first.into(),
        _ => error.into(),
    }
}

/// The maps that decide; one that is not named is empty.
pub(crate) fn settings(maps: &Value) -> Result<Settings, String> {
    let data = |name: &str| -> Data {
        let entries = maps[name].as_object().into_iter().flatten();
        entries
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect()
    };
    Ok(Settings {
        defaults: Defaults::parse(&data("config-defaults")).map_err(|error| error.to_string())?,
        features: Features::parse(&data("config-features")).map_err(|error| error.to_string())?,
        autoscaler: Autoscaler::parse(&data("config-autoscaler")).map_err(|error| error.to_string())?,
        ..Settings::default()
    })
}
