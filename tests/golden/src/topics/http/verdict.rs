// SPDX-License-Identifier: Apache-2.0
//! Whether what was seen is what Knative does, by the rules of the data's README.
//!
//! Mechanism: both sides are brought into one form (names in lower case, what is left open left out), then compared.
//! Depends on: compare.

use crate::compare::difference;
use crate::report::Verdict;
use serde_json::{Value, json};

/// A body whose content is left open.
const VOLATILE: &str = "VOLATILE";

/// Compares.
pub(super) fn compare(expected: &Value, seen: &Value) -> Verdict {
    let is_unordered = expected["unordered"] == true;
    let mut expected_pods = normal_list(&expected["to_backend"]);
    let mut seen_pods = normal_list(&seen["to_backend"]);
    let mut expected_clients = normal_list(&expected["to_client"]);
    let mut seen_clients = normal_list(&seen["to_client"]);
    if is_unordered {
        for list in [&mut expected_pods, &mut seen_pods] {
            list.sort_by_key(|entry| entry["request_line"].to_string());
        }
        for list in [&mut expected_clients, &mut seen_clients] {
            list.sort_by_key(|entry| entry["first_byte"].as_str().map(ms));
        }
    }
    for (expected, seen) in expected_pods.iter().zip(&mut seen_pods) {
        if expected["connection"].is_null() {
            seen["connection"] = Value::Null;
        }
    }
    lists("to_backend", &expected_pods, &seen_pods)?;
    lists("to_client", &expected_clients, &seen_clients)?;
    if let Value::Array(lines) = &expected["log_lines"] {
        let seen = seen["log_lines"].as_array().cloned().unwrap_or_default();
        let is_same = lines.len() == seen.len() && lines.iter().zip(&seen).all(|(line, seen)| is_line(line, seen));
        if !is_same {
            return Err(format!("log_lines: expected {lines:?}, got {seen:?}"));
        }
    }
    if expected["activator_probe_of_pod"].is_object() {
        let (expected, seen) = (
            normal(&expected["activator_probe_of_pod"]),
            normal(&seen["activator_probe_of_pod"]),
        );
        if let Some(found) = difference(&expected, &seen) {
            return Err(format!("activator_probe_of_pod{found}"));
        }
    }
    Ok(())
}

fn lists(what: &str, expected: &[Value], seen: &[Value]) -> Verdict {
    if expected.len() != seen.len() {
        let seen = Value::from(seen.to_vec());
        return Err(format!("{what}: expected {} entries, got {seen}", expected.len()));
    }
    for (index, (expected, seen)) in expected.iter().zip(seen).enumerate() {
        if let Some(found) = difference(expected, &timed(expected, seen)) {
            return Err(format!("{what}[{index}]{found}"));
        }
    }
    Ok(())
}

fn normal_list(list: &Value) -> Vec<Value> {
    list.as_array().into_iter().flatten().map(normal).collect()
}

/// In one form: header names in lower case and sorted, the texts of a 502 left out.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut out: serde_json::Map<String, Value> =
                fields.iter().map(|(key, value)| (key.clone(), normal(value))).collect();
            for key in ["headers", "trailers"] {
                if let Some(lines) = out.get_mut(key) {
                    *lines = sorted(lines);
                }
            }
            if is_bad_gateway(&out) {
                mask_body(&mut out, "TEXT");
            }
            Value::Object(out)
        }
        Value::Array(values) => values.iter().map(normal).collect(),
        other => other.clone(),
    }
}

fn sorted(lines: &Value) -> Value {
    let mut lines: Vec<Value> = lines.as_array().cloned().unwrap_or_default();
    for line in &mut lines {
        line[0] = line[0].as_str().unwrap_or_default().to_ascii_lowercase().into();
    }
    lines.sort_by_key(|line| line[0].to_string());
    lines.into()
}

fn is_bad_gateway(response: &serde_json::Map<String, Value>) -> bool {
    let is_status = |line: &Value| *line == json!([":status", "502"]);
    response.get("status") == Some(&json!(502))
        || response
            .get("headers")
            .and_then(Value::as_array)
            .is_some_and(|lines| lines.iter().any(is_status))
}

/// A body, if there is one, becomes that word, and its length any length.
fn mask_body(response: &mut serde_json::Map<String, Value>, word: &str) {
    if let Some(body) = response.get_mut("body")
        && *body != ""
    {
        *body = word.into();
    }
    for line in response
        .get_mut("headers")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if line[0] == "content-length" {
            line[1] = "LENGTH".into();
        }
    }
}

/// What was seen, with each time that is near enough set to the expected one, and bodies that are left open masked.
fn timed(expected: &Value, seen: &Value) -> Value {
    match (expected, seen) {
        (Value::Object(expected), Value::Object(seen)) => {
            let mut out: serde_json::Map<_, _> = seen
                .iter()
                .map(|(key, seen)| (key.clone(), timed(expected.get(key).unwrap_or(&Value::Null), seen)))
                .collect();
            if expected.get("body").is_some_and(|body| body == VOLATILE) {
                mask_body(&mut out, VOLATILE);
            }
            Value::Object(out)
        }
        (Value::Array(expected), Value::Array(seen)) => seen
            .iter()
            .enumerate()
            .map(|(index, seen)| timed(expected.get(index).unwrap_or(&Value::Null), seen))
            .collect(),
        (Value::String(wanted), Value::String(time)) if is_time(wanted) && is_time(time) => {
            match ms(wanted).abs_diff(ms(time)) <= 500 {
                true => expected.clone(),
                false => seen.clone(),
            }
        }
        _ => seen.clone(),
    }
}

fn is_time(text: &str) -> bool {
    text == "immediate" || (text.starts_with("about ") && text.ends_with(" ms"))
}

fn ms(text: &str) -> u64 {
    text.split(' ')
        .nth(1)
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// Whether a log line is the expected one, numbers where the data leave them open.
fn is_line(expected: &Value, seen: &Value) -> bool {
    let (Some(expected), Some(seen)) = (expected.as_str(), seen.as_str()) else {
        return false;
    };
    let expected = expected
        .replace("LATENCY", "\0")
        .replace("EPHEMERAL", "\0")
        .replace("BACKEND_PORT", "\0");
    let mut rest = seen;
    for (index, piece) in expected.split('\0').enumerate() {
        if index > 0 {
            let number = rest.trim_start_matches(|char: char| char.is_ascii_digit() || ".e-+".contains(char));
            if number.len() == rest.len() {
                return false;
            }
            rest = number;
        }
        let Some(after) = rest.strip_prefix(piece) else {
            return false;
        };
        rest = after;
    }
    rest.is_empty()
}
