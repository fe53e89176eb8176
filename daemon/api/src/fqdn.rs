// SPDX-License-Identifier: Apache-2.0
//! Whether a text is a fully qualified domain name, as Kubernetes judges it.
//!
//! Invariants: the texts are those of the API machinery.
//! Depends on: `logic::settings` for the way Go quotes.

use logic::settings::go::print::quoted;

const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
    and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// What is wrong with `name` at the field `path`: at least two labels are needed, and a dot may end it.
#[must_use]
pub fn problem(path: &str, name: &str) -> Option<String> {
    if name.is_empty() {
        return Some(format!("{path}: Required value"));
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let invalid = |value: &str, problems: &str| Some(format!("{path}: Invalid value: {}: {problems}", quoted(value)));
    let mut problems = Vec::new();
    if name.len() > LONGEST_NAME {
        problems.push(too_long(LONGEST_NAME));
    }
    if !name.split('.').all(is_label) {
        problems.push(SUBDOMAIN.to_owned());
    }
    if !problems.is_empty() {
        return invalid(name, &problems.join(","));
    }
    if !name.contains('.') {
        return invalid(name, "should be a domain with at least two segments separated by dots");
    }
    let mut long: Vec<String> = Vec::new();
    for label in name.split('.').filter(|label| label.len() > LONGEST_LABEL) {
        long.extend(invalid(label, &too_long(LONGEST_LABEL)).filter(|text| !long.contains(text)));
    }
    match long.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        several => Some(format!("[{}]", several.join(", "))),
    }
}

fn too_long(most: usize) -> String {
    format!("must be no more than {most} characters")
}

fn is_label(label: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !label.is_empty() && label.bytes().all(is_inner) && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_fine_with_and_without_its_dot() {
        assert_eq!(problem("url", "a.example.com"), None);
        assert_eq!(problem("url", "a.example.com."), None);
    }

    #[test]
    fn a_label_too_long_is_named_alone() {
        let label = "a".repeat(64);
        assert_eq!(
            problem("url", &format!("{label}.com")),
            Some(format!(
                "url: Invalid value: \"{label}\": must be no more than 63 characters"
            ))
        );
    }

    #[test]
    fn one_label_and_an_empty_one_are_refused() {
        assert!(problem("url", "com").is_some_and(|text| text.ends_with("separated by dots")));
        assert!(problem("url", "a..com").is_some_and(|text| text.contains("RFC 1123 subdomain")));
        assert!(problem("url", "").is_some());
    }
}
