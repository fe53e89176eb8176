// SPDX-License-Identifier: Apache-2.0
//! What to write instead.
//!
//! Invariants: nothing is said where it would be a guess.
//! Depends on: logic (YAML).

use logic::go::yaml::Node;
use serde_json::{Map, Value};

/// For a finding of the webhook.
pub(super) fn of(message: &str, path: &str, node: &Node) -> String {
    if let Some((name, prefix)) = wanted_prefix(message) {
        return format!("write {:?}, and in `traffic` the same", format!("{prefix}{name}"));
    }
    if message.starts_with("invalid key name \"autoscaling.knative.dev/") && path == "metadata.annotations" {
        return "move it to spec.template.metadata.annotations".to_owned();
    }
    if message.starts_with("Traffic targets sum to") {
        return "let the percentages of all targets add up to 100".to_owned();
    }
    if message.starts_with("not a DNS 1035 label") && path.ends_with("name") {
        return suggestion(node).unwrap_or_default();
    }
    if message.starts_with("name or generateName is required") {
        return "give it a name under metadata".to_owned();
    }
    if let Some(feature) = feature(message, path) {
        return format!(
            "to allow it, write `{feature}: enabled` into the ConfigMap config-features of knative-serving"
        );
    }
    match path.rsplit('.').next() {
        Some("image") if message.starts_with("missing") => "name the image of the container".to_owned(),
        _ => String::new(),
    }
}

/// The two names of `"NAME" must have prefix "PREFIX"`.
fn wanted_prefix(message: &str) -> Option<(&str, &str)> {
    let (name, prefix) = message
        .strip_prefix("invalid value: ")?
        .split_once(" must have prefix ")?;
    Some((name.trim_matches('"'), prefix.trim_matches('"')))
}

/// Fields of a pod that a feature allows which is called after them.
const BEHIND_FEATURES: [&str; 15] = [
    "affinity",
    "dnsConfig",
    "dnsPolicy",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "nodeSelector",
    "priorityClassName",
    "runtimeClassName",
    "schedulerName",
    "securityContext",
    "shareProcessNamespace",
    "tolerations",
    "topologySpreadConstraints",
];

/// The feature that is off, where that is what is wrong.
fn feature(message: &str, path: &str) -> Option<String> {
    if message.starts_with("multi-container is off") {
        return Some("multi-container".to_owned());
    }
    if message.starts_with("pod spec support for init-containers is off") {
        return Some("kubernetes.podspec-init-containers".to_owned());
    }
    let (pod, field) = path.rsplit_once('.')?;
    let is_behind = pod.ends_with("spec") && BEHIND_FEATURES.contains(&field);
    (is_behind && message.starts_with("must not set the field"))
        .then(|| format!("kubernetes.podspec-{}", field.to_lowercase()))
}

/// The name with what is allowed in it.
fn suggestion(node: &Node) -> Option<String> {
    let name = node.get("metadata")?.text("name")?;
    let better: String = name
        .chars()
        .map(|char| {
            if char.is_ascii_alphanumeric() {
                char.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    let better = better.trim_matches('-');
    let better = better.trim_start_matches(|first: char| !first.is_ascii_lowercase());
    (!better.is_empty() && better.len() <= 63).then(|| format!("for example {better:?}"))
}

/// For a value of a wrong type.
pub(super) fn of_type(value: &Value, wanted: &str) -> String {
    match (wanted, value) {
        ("string", Value::Bool(_) | Value::Number(_)) => format!("put it in quotes: \"{value}\""),
        ("integer" | "boolean" | "number", Value::String(text)) => format!("write it without quotes: {text}"),
        ("array", Value::Object(_)) => "begin it with `- `: it is a list".to_owned(),
        ("object", Value::Array(_)) => "leave the `- ` out: it is no list".to_owned(),
        _ => String::new(),
    }
}

/// For a field that does not exist: one that looks like it, or where it does exist.
pub(super) fn of_unknown(key: &str, known: &Map<String, Value>, root: &Value) -> String {
    let alike = known
        .keys()
        .map(|name| (distance(&name.to_lowercase(), &key.to_lowercase()), name));
    if let Some((_, name)) = alike
        .filter(|(distance, _)| *distance <= 2 && *distance < key.len())
        .min()
    {
        return format!("did you mean {name:?}?");
    }
    let mut places = Vec::new();
    elsewhere(key, root, "", 0, &mut places);
    match places.as_slice() {
        [] => String::new(),
        [first, ..] => format!("it belongs under {first}"),
    }
}

/// Where a field of that name exists, the shallowest first.
fn elsewhere(key: &str, schema: &Value, path: &str, depth: usize, places: &mut Vec<String>) {
    if depth > 8 || path == "status" {
        return;
    }
    let properties = schema["properties"].as_object();
    if properties.is_some_and(|properties| properties.contains_key(key)) && !path.is_empty() {
        places.push(path.to_owned());
    }
    for (name, inner) in properties.into_iter().flatten() {
        let (inner, suffix) = match inner["items"].is_object() {
            true => (&inner["items"], "[]"),
            false => (inner, ""),
        };
        elsewhere(
            key,
            inner,
            format!("{path}.{name}{suffix}").trim_start_matches('.'),
            depth + 1,
            places,
        );
    }
    places.sort_by_key(|place| place.matches('.').count());
}

/// How many letters must be changed, added or left out.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, left) in left.chars().take(64).enumerate() {
        let mut above_left = index;
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
        for (column, right) in right.iter().enumerate() {
            let above = row.get(column + 1).copied().unwrap_or_default();
            let before = row.get(column).copied().unwrap_or_default();
            let best = (above_left + usize::from(left != *right))
                .min(above + 1)
                .min(before + 1);
            if let Some(cell) = row.get_mut(column + 1) {
                *cell = best;
            }
            above_left = above;
        }
    }
    row.last().copied().unwrap_or_default()
}
