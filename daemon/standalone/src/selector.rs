// SPDX-License-Identifier: Apache-2.0
//! Label and field selectors.
//!
//! Invariants: the label grammar is Kubernetes' (`a=b,c!=d,e in (f,g),h notin (i),j,!k`); a field that is absent is
//! empty; an absent label satisfies `!=` and `notin`.
//! Depends on: refusal.

use serde_json::Value;

use crate::refusal::Refusal;
use crate::resource::Resource;

/// What must hold of one label.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

/// A selector of objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    labels: Vec<(String, Condition)>,
    fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    path: String,
    value: String,
    is_equal: bool,
}

impl Selector {
    /// Reads both selectors of a list or watch.
    ///
    /// # Errors
    /// 400 for what cannot be read and for fields that the resource is not selected by.
    pub fn read(resource: &'static Resource, labels: &str, fields: &str) -> Result<Self, Refusal> {
        let labels = split(labels)
            .map(|part| requirement(part).ok_or_else(|| unreadable(labels, part)))
            .collect::<Result<_, _>>()?;
        let fields = fields
            .split(',')
            .filter(|part| !part.is_empty())
            .map(|part| field(resource, part))
            .collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// Whether an object is meant.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"][key].as_str();
        let has = |(key, condition): &(String, Condition)| match condition {
            Condition::In(values) => label(key).is_some_and(|value| values.iter().any(|one| one == value)),
            Condition::NotIn(values) => label(key).is_none_or(|value| values.iter().all(|one| one != value)),
            Condition::Exists => label(key).is_some(),
            Condition::Absent => label(key).is_none(),
        };
        self.labels.iter().all(has) && self.fields.iter().all(|field| field.holds(object))
    }

    /// Whether it takes every object.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

impl Field {
    fn holds(&self, object: &Value) -> bool {
        let found = self.path.split('.').fold(object, |value, key| &value[key]);
        let is_same = match found {
            Value::String(text) => *text == self.value,
            Value::Null => self.value.is_empty(),
            other => format!("{other}") == self.value,
        };
        is_same == self.is_equal
    }
}

/// At commas outside of parentheses.
fn split(selector: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    selector
        .split(move |letter| {
            match letter {
                '(' => depth = depth.saturating_add(1),
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            letter == ',' && depth == 0
        })
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

fn requirement(part: &str) -> Option<(String, Condition)> {
    if let Some(key) = part.strip_prefix('!') {
        return Some((key_of(key)?, Condition::Absent));
    }
    if let Some((head, values)) = part.split_once('(') {
        let values = values.strip_suffix(')')?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let mut words = head.split_whitespace();
        let key = key_of(words.next()?)?;
        let condition = match words.next()? {
            "in" => Condition::In(values),
            "notin" => Condition::NotIn(values),
            _ => return None,
        };
        return words.next().is_none().then_some((key, condition));
    }
    for (sign, is_in) in [("!=", false), ("==", true), ("=", true)] {
        if let Some((key, value)) = part.split_once(sign) {
            let values = vec![value.trim().to_owned()];
            let condition = if is_in {
                Condition::In(values)
            } else {
                Condition::NotIn(values)
            };
            return Some((key_of(key)?, condition));
        }
    }
    Some((key_of(part)?, Condition::Exists))
}

fn key_of(text: &str) -> Option<String> {
    let text = text.trim();
    let is_fine = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    (!text.is_empty() && text.chars().all(is_fine)).then(|| text.to_owned())
}

fn unreadable(selector: &str, part: &str) -> Refusal {
    Refusal::bad_request(format!(
        "unable to parse requirement: {part:?} of the label selector {selector:?}"
    ))
}

fn field(resource: &'static Resource, part: &str) -> Result<Field, Refusal> {
    let (path, value, is_equal) = if let Some((path, value)) = part.split_once("!=") {
        (path, value, false)
    } else if let Some((path, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        (path, value, true)
    } else {
        return Err(Refusal::bad_request(format!(
            "invalid selector: '{part}'; can't understand '{part}'"
        )));
    };
    if !is_selectable(resource, path) {
        return Err(Refusal::bad_request(format!("field label not supported: {path}")));
    }
    Ok(Field {
        path: path.to_owned(),
        value: value.to_owned(),
        is_equal,
    })
}

fn is_selectable(resource: &Resource, path: &str) -> bool {
    let own: &[&str] = match (resource.group, resource.kind) {
        ("", "Pod") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
        ],
        ("", "Event") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "type",
        ],
        ("", "Secret") => &["type"],
        ("", "Namespace") => &["status.phase"],
        ("", "Service") => &["spec.clusterIP", "spec.type"],
        ("apps", "ReplicaSet") => &["status.replicas"],
        _ => &[],
    };
    path == "metadata.name" || path == "metadata.namespace" || own.contains(&path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource;

    fn chosen(labels: &str, object: &Value) -> bool {
        Selector::read(&resource::all()[0], labels, "").unwrap().matches(object)
    }

    #[test]
    fn every_form_of_a_label_requirement_is_read() {
        let object = json!({"metadata": {"labels": {"a": "b", "x.y/z": "1"}}});
        for holds in [
            "",
            "a=b",
            "a==b",
            "a",
            "!c",
            "c!=d",
            "a in (b, c)",
            "a notin (c),x.y/z",
            "c notin (d)",
        ] {
            assert!(chosen(holds, &object), "{holds}");
        }
        for fails in ["a=c", "!a", "a!=b", "a in (c)", "c in (d)", "a notin (b)", "c"] {
            assert!(!chosen(fails, &object), "{fails}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let resource = resource::find("", "v1", "configmaps").unwrap();
        for (labels, fields) in [("a in b", ""), ("a=b,c d", ""), ("", "data.x=1"), ("", "metadata.name")] {
            assert_eq!(
                Selector::read(resource, labels, fields).unwrap_err().code(),
                400,
                "{labels} {fields}"
            );
        }
    }
}
