// SPDX-License-Identifier: Apache-2.0
//! What Kubernetes takes for names and labels, and what it says about the rest.
//!
//! Depends on: nothing.

use std::collections::BTreeMap;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
    and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const PART: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and \
    must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
    validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const KEY: &str = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with \
    an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. \
    'example.com/MyName')";

/// Why it is no DNS subdomain.
pub(super) fn not_a_subdomain(name: &str) -> Vec<String> {
    let mut reasons = Vec::new();
    if name.len() > 253 {
        reasons.push("must be no more than 253 characters".to_owned());
    }
    let is_label = |label: &str| {
        let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        is_framed(label, is_part, |byte| byte == b'-')
    };
    if !name.split('.').all(is_label) {
        reasons.push(SUBDOMAIN.to_owned());
    }
    reasons
}

/// The first reason why these are no labels to select by, as Kubernetes says it.
pub(super) fn not_labels(labels: &BTreeMap<String, String>) -> Option<String> {
    labels.iter().find_map(|(key, value)| {
        let key_reasons = not_a_label_key(key);
        if !key_reasons.is_empty() {
            return Some(format!("key: Invalid value: {key:?}: {}", key_reasons.join("; ")));
        }
        let value_reasons = not_a_label_value(value);
        (!value_reasons.is_empty()).then(|| {
            format!(
                "values[0][{key}]: Invalid value: {value:?}: {}",
                value_reasons.join("; ")
            )
        })
    })
}

fn not_a_label_key(key: &str) -> Vec<String> {
    let mut reasons = Vec::new();
    let parts: Vec<_> = key.split('/').collect();
    let name = match parts.as_slice() {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                reasons.push("prefix part must be non-empty".to_owned());
            } else {
                reasons.extend(
                    not_a_subdomain(prefix)
                        .into_iter()
                        .map(|reason| format!("prefix part {reason}")),
                );
            }
            name
        }
        _ => return vec![KEY.to_owned()],
    };
    if name.is_empty() {
        reasons.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        reasons.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_label_text(name) {
        reasons.push(format!("name part {PART}"));
    }
    reasons
}

fn not_a_label_value(value: &str) -> Vec<String> {
    let mut reasons = Vec::new();
    if value.len() > 63 {
        reasons.push("must be no more than 63 bytes".to_owned());
    }
    if !value.is_empty() && !is_label_text(value) {
        reasons.push(VALUE.to_owned());
    }
    reasons
}

fn is_label_text(text: &str) -> bool {
    is_framed(text, |byte| byte.is_ascii_alphanumeric(), |byte| b"-_.".contains(&byte))
}

/// Of these bytes, the `inner` ones neither first nor last.
fn is_framed(text: &str, outer: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| outer(*byte))
        && bytes.last().is_some_and(|byte| outer(*byte))
        && bytes.iter().all(|byte| outer(*byte) || inner(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subdomains_are_lower_case_parts() {
        assert!(not_a_subdomain("a-1.example").is_empty());
        for wrong in ["", "-a", "a..b", "A", "a_b", "a-.b"] {
            assert_eq!(not_a_subdomain(wrong), [SUBDOMAIN], "{wrong}");
        }
    }

    #[test]
    fn labels_may_have_a_prefix() {
        let labels = |key: &str, value: &str| not_labels(&BTreeMap::from([(key.to_owned(), value.to_owned())]));
        assert_eq!(labels("example.com/App_1", ""), None);
        for (key, value) in [("/a", ""), ("a/b/c", ""), ("", ""), ("a", "-"), ("a", "b c")] {
            assert!(labels(key, value).is_some(), "{key}={value}");
        }
    }
}
