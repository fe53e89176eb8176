// SPDX-License-Identifier: Apache-2.0
//! Tables, as `kubectl get` asks for them.
//!
//! Depends on: resource, made.

mod made;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::resource::{Column, Resource, Source};

/// A table of objects at a time (seconds).
pub(super) fn of(resource: &Resource, objects: &[&Value], version: &Value, now: i64) -> Value {
    let name = json!({
        "name": "Name", "type": "string", "format": "name", "description": "Name must be unique.", "priority": 0,
    });
    let headings = resource.columns.iter().map(|column| {
        let description = match &column.source {
            Source::Path(path) => format!("Custom resource definition column (in JSONPath format): {path}"),
            Source::Made(_) => String::new(),
        };
        json!({
            "name": column.name, "type": column.form, "format": "", "priority": column.priority,
            "description": description,
        })
    });
    let headings: Vec<Value> = std::iter::once(name).chain(headings).collect();
    let rows: Vec<Value> = objects.iter().map(|object| row(resource, object, now)).collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": version},
        "columnDefinitions": headings, "rows": rows,
    })
}

fn row(resource: &Resource, object: &Value, now: i64) -> Value {
    let name = object["metadata"]["name"].clone();
    let cells = resource.columns.iter().map(|column| cell(column, object, now));
    let cells: Vec<Value> = std::iter::once(name).chain(cells).collect();
    let metadata = json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
    });
    json!({"cells": cells, "object": metadata})
}

fn cell(column: &Column, object: &Value, now: i64) -> Value {
    let path = match &column.source {
        Source::Path(path) => path,
        Source::Made(made) => return made::value(*made, object),
    };
    let found = at(object, path);
    match (column.form.as_str(), found) {
        ("date", Some(Value::String(text))) => text.parse::<Timestamp>().map_or("<invalid>".into(), |time| {
            age(now.saturating_sub(time.as_second())).into()
        }),
        ("date", _) => "<unknown>".into(),
        ("string", Some(value @ (Value::Number(_) | Value::Bool(_)))) => value.to_string().into(),
        (_, Some(value)) => value.clone(),
        (_, None) => Value::Null,
    }
}

/// The value at a JSONPath of the few forms that definitions use.
fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut value = object;
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix("['") {
            let (key, tail) = tail.split_once("']")?;
            value = value.get(key.replace("\\.", "."))?;
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix("[?(@.") {
            let (filter, tail) = tail.split_once(")]")?;
            let (key, wanted) = filter.split_once("==")?;
            let wanted = wanted.trim_matches('"');
            value = value.as_array()?.iter().find(|item| item[key] == wanted)?;
            rest = tail;
        } else {
            let tail = rest.strip_prefix('.')?;
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            let (key, tail) = tail.split_at_checked(end)?;
            value = value.get(key)?;
            rest = tail;
        }
    }
    Some(value)
}

/// How long ago, as kubectl writes it.
fn age(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let with = |count: i64, unit: char, rest: i64, small: char| {
        if rest == 0 {
            format!("{count}{unit}")
        } else {
            format!("{count}{unit}{rest}{small}")
        }
    };
    match seconds {
        ..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => with(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => with(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => with(days, 'd', hours % 24, 'h'),
        _ => format!("{days}d"),
    }
}
