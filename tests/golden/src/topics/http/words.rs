// SPDX-License-Identifier: Apache-2.0
//! Messages in the words of the data: heads taken apart, times rounded, chance masked.
//!
//! Depends on: bytes.

use super::bytes::{bytes, text, told};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// A head and what is left after it.
pub(super) struct Head {
    pub(super) first: String,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) length: usize,
}

impl Head {
    /// The head at the beginning, if all of it is there.
    pub(super) fn read(raw: &[u8]) -> Option<Self> {
        let end = end_of_lines(raw)?;
        let mut lines = raw.get(..end)?.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        let first = text(lines.next()?);
        let headers = lines
            .filter_map(|line| {
                let colon = line.iter().position(|byte| *byte == b':')?;
                Some((text(line.get(..colon)?), line.get(colon + 1..)?.trim_ascii().to_vec()))
            })
            .collect();
        Some(Self {
            first,
            headers,
            length: end + 4,
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| text(value))
    }

    pub(super) fn told(&self) -> Value {
        headers(
            self.headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_slice())),
        )
    }
}

/// Where the empty line begins.
fn end_of_lines(raw: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        from += raw.get(from..)?.iter().position(|byte| *byte == b'\n')? + 1;
        if raw.get(from..)?.starts_with(b"\r\n") {
            return from.checked_sub(2);
        }
    }
}

/// Headers, sorted by name, equal lines counted.
pub(super) fn headers<'a>(all: impl Iterator<Item = (&'a str, &'a [u8])>) -> Value {
    let mut lines: Vec<(String, Value)> = all.map(|(name, value)| (name.to_owned(), told(value))).collect();
    lines.sort_by_key(|(name, _)| name.to_ascii_lowercase());
    let mut out: Vec<(Value, u64)> = Vec::new();
    for (name, value) in lines {
        let value = match name.eq_ignore_ascii_case("date") {
            true => "DATE".into(),
            false => value,
        };
        let line = json!([name, value]);
        match out.last_mut() {
            Some((last, count)) if *last == line => *count += 1,
            _ => out.push((line, 1)),
        }
    }
    let repeated = |(line, count): (Value, u64)| match (line, count) {
        (Value::Array(mut parts), 101..) => {
            parts.push(json!({"times": count}));
            vec![Value::Array(parts)]
        }
        (line, count) => vec![line; usize::try_from(count).unwrap_or(1)],
    };
    out.into_iter().flat_map(repeated).collect()
}

/// The body of a message.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Body {
    pub(super) content: Vec<u8>,
    pub(super) trailers: Vec<(String, Vec<u8>)>,
    pub(super) is_complete: bool,
    /// Bytes it took.
    pub(super) length: usize,
}

/// How a body is delimited, in the words of the data.
pub(super) fn framing(head: &Head) -> &'static str {
    match (head.get("transfer-encoding"), head.get("content-length")) {
        (Some(_), _) => "chunked",
        (None, Some(_)) => "content-length",
        (None, None) => "none",
    }
}

/// As much of a body as is there.
pub(super) fn body(framing: &str, head: &Head, raw: &[u8], has_ended: bool) -> Body {
    match framing {
        "content-length" => {
            let length = head
                .get("content-length")
                .and_then(|text| text.parse().ok())
                .unwrap_or(0);
            let content = raw.get(..length).unwrap_or(raw).to_vec();
            Body {
                is_complete: content.len() == length,
                length: content.len(),
                content,
                trailers: Vec::new(),
            }
        }
        "chunked" => chunked(raw),
        "until-close" => Body {
            content: raw.to_vec(),
            is_complete: has_ended,
            length: raw.len(),
            trailers: Vec::new(),
        },
        _ => Body {
            is_complete: true,
            ..Body::default()
        },
    }
}

fn chunked(raw: &[u8]) -> Body {
    let mut body = Body::default();
    let mut rest = raw;
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = rest.get(..end).map(text).unwrap_or_default();
        let Ok(size) = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16) else {
            return body;
        };
        rest = rest.get(end + 2..).unwrap_or_default();
        if size == 0 {
            let block = [b"x\r\n", rest].concat();
            if let Some(head) = Head::read(&block) {
                body.trailers = head.headers;
                body.is_complete = true;
                body.length = raw.len() - rest.len() + head.length - 3;
            }
            return body;
        }
        body.content.extend_from_slice(rest.get(..size).unwrap_or(rest));
        match rest.get(size + 2..) {
            Some(after) => rest = after,
            None => return body,
        }
    }
    body
}

/// Adds what is told of a body.
pub(super) fn put_body(entry: &mut Map<String, Value>, framing: &str, body: &Body) {
    entry.insert("framing".to_owned(), framing.into());
    entry.insert("body".to_owned(), told(&body.content));
    if !body.trailers.is_empty() {
        let trailers = body
            .trailers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()));
        entry.insert("trailers".to_owned(), headers(trailers));
    }
}

/// A time, rounded.
pub(super) fn about(time: Duration) -> String {
    let ms = time.as_millis();
    match ms {
        0..250 => "immediate".to_owned(),
        _ => format!("about {} ms", (ms + 250) / 500 * 500),
    }
}

/// Without what is chance: ports.
pub(super) fn masked(value: Value, port: u16) -> Value {
    let pod = format!(":{port}");
    match value {
        Value::String(text) => text.replace(&pod, ":BACKEND_PORT").into(),
        Value::Array(values) => values.into_iter().map(|value| masked(value, port)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (key, masked(value, port)))
            .collect(),
        other => other,
    }
}

/// Text of the data with the port in its place, as bytes.
pub(super) fn bytes_of(value: &Value) -> Vec<u8> {
    bytes(value)
}
