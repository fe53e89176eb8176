// SPDX-License-Identifier: Apache-2.0
//! JSON values as YAML text that reads well and never changes by itself.
//!
//! Invariants: keys are sorted; a text that YAML could take for something else is quoted as JSON quotes it.
//! Depends on: nothing.

use std::fmt::Write;

use serde_json::{Map, Value};

/// Words that YAML 1.1 takes for something else.
const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

/// The value as a document.
pub(super) fn text(value: &Value) -> String {
    let mut out = String::new();
    write_block(&mut out, value, 0);
    out
}

fn write_block(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => write_fields(out, fields, depth, false),
        Value::Array(items) if !items.is_empty() => items.iter().for_each(|item| write_item(out, item, depth)),
        leaf => {
            out.push_str(&scalar(leaf));
            out.push('\n');
        }
    }
}

/// `is_begun`: the first line already has its indentation.
fn write_fields(out: &mut String, fields: &Map<String, Value>, depth: usize, is_begun: bool) {
    let mut sorted: Vec<_> = fields.iter().collect();
    sorted.sort_by_key(|(key, _)| key.as_str());
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        if index > 0 || !is_begun {
            indent(out, depth);
        }
        out.push_str(&plain_or_quoted(key));
        out.push(':');
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                out.push('\n');
                write_block(out, value, depth + 1);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                write_block(out, value, depth);
            }
            leaf => {
                out.push(' ');
                write_block(out, leaf, depth);
            }
        }
    }
}

fn write_item(out: &mut String, item: &Value, depth: usize) {
    indent(out, depth);
    out.push_str("- ");
    match item {
        Value::Object(fields) if !fields.is_empty() => write_fields(out, fields, depth + 1, true),
        leaf => {
            out.push_str(&scalar(leaf));
            out.push('\n');
        }
    }
}

fn indent(out: &mut String, depth: usize) {
    let _ = write!(out, "{:1$}", "", depth * 2);
}

/// Also lists inside lists, in JSON, which is YAML too.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => plain_or_quoted(text),
        other => other.to_string(),
    }
}

fn plain_or_quoted(text: &str) -> String {
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic() || "./".contains(first))
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || " ./_-(),;'".contains(letter))
        && !text.ends_with(' ')
        && !WORDS.contains(&text.to_lowercase().as_str());
    if is_plain {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_reads_as_one_would_write_it() {
        let value = json!({
            "b": [{"x": 1, "a": "true"}, "plain text."],
            "a": {"empty": {}, "none": [], "text": "with: colon"},
        });
        let expected =
            "a:\n  empty: {}\n  none: []\n  text: \"with: colon\"\nb:\n- a: \"true\"\n  x: 1\n- plain text.\n";
        assert_eq!(text(&value), expected);
    }
}
