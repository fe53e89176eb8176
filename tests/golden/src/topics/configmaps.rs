// SPDX-License-Identifier: Apache-2.0
//! configmaps.jsonl: each map is read as Knative reads it, or refused in its words.
//!
//! Mechanism: our settings are written out under Knative's names (`configmaps/shown`); texts of errors are compared
//! exactly, but for what a YAML, JSON, template or number parser says after the last colon.
//! Depends on: compare, data, report, logic::settings.

mod shown;

use crate::compare;
use crate::data::Case;
use crate::report::Verdict;
use logic::settings::Data;
use serde_json::Value;

/// Judges a case.
pub(crate) fn judge(case: &Case) -> Verdict {
    let map = case.value["config_map"].as_str().unwrap_or_default();
    let data: Data = serde_json::from_value(case.value["data"].clone()).map_err(|error| format!("data: {error}"))?;
    let read = shown::shown(map, &data).ok_or_else(|| format!("no such ConfigMap: {map}"))?;
    match (read, &case.value["error"]) {
        (Ok(settings), Value::Null) => match compare::difference(&case.value["parsed"], &settings) {
            None => Ok(()),
            Some(difference) => Err(difference),
        },
        (Ok(_), error) => Err(format!("accepted, expected {error}")),
        (Err(problems), Value::String(expected)) if is_same(expected, problems.as_knative()) => Ok(()),
        (Err(problems), expected) => Err(format!("expected {expected}, got {:?}", problems.as_knative())),
    }
}

/// What a parser of another language says, stands after one of these.
const PARSERS: [&str; 5] = ["template: ", "yaml: ", "json: ", "strconv.", "time: "];

fn is_same(expected: &str, actual: &str) -> bool {
    let is_from_parser = PARSERS.iter().any(|parser| expected.contains(parser));
    let start = |text: &str| text.rsplit_once(':').map(|(start, _)| start.to_owned());
    expected == actual || is_from_parser && start(expected).is_some() && start(expected) == start(actual)
}
