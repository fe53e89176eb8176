// SPDX-License-Identifier: Apache-2.0
//! What names may look like, with the words of Kubernetes for those that do not.
//!
//! Invariants: lengths are in bytes; every problem is listed, in the order in which Kubernetes lists them.
//! Depends on: go (quoting).

use crate::go::print::quoted;

const DNS1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
    alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
    validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const DNS1123_LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and \
    must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const DNS1123_SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' \
    or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED_PART: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const QUALIFIED: &str = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and \
    end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. \
    'example.com/MyName')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
    and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
    validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const C_IDENTIFIER: &str = "a valid C identifier must start with alphabetic character or '_', followed by a string of \
    alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is \
    '[A-Za-z_][A-Za-z0-9_]*')";

const LABEL_LENGTH: usize = 63;
const SUBDOMAIN_LENGTH: usize = 253;

/// What keeps `name` from being a DNS-1035 label.
#[must_use]
pub fn dns1035_label(name: &str) -> Vec<String> {
    label(name, DNS1035, |first| first.is_ascii_lowercase())
}

/// What keeps `prefix` from beginning a DNS-1035 label: a last `-` is no matter.
#[must_use]
pub fn dns1035_prefix(prefix: &str) -> Vec<String> {
    dns1035_label(&without_last_dash(prefix))
}

/// What keeps `name` from being a DNS-1123 label.
#[must_use]
pub fn dns1123_label(name: &str) -> Vec<String> {
    label(name, DNS1123_LABEL, is_lower_alphanumeric)
}

/// What keeps `name` from being a DNS-1123 subdomain.
#[must_use]
pub fn dns1123_subdomain(name: &str) -> Vec<String> {
    let mut problems = too_long(name, SUBDOMAIN_LENGTH);
    if !is_subdomain(name) {
        problems.push(DNS1123_SUBDOMAIN.to_owned());
    }
    problems
}

/// What keeps `name` from being a qualified name, which is also what the key of a label is: a name, perhaps after a
/// domain and a `/`. Kubernetes counts bytes here, where it counts characters elsewhere.
#[must_use]
pub fn qualified_name(name: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let local = match name.split('/').collect::<Vec<_>>().as_slice() {
        [local] => *local,
        [prefix, local] => {
            problems.extend(prefix_problems(prefix));
            *local
        }
        _ => return vec![QUALIFIED.to_owned()],
    };
    if local.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    } else if local.len() > LABEL_LENGTH {
        problems.push(format!("name part must be no more than {LABEL_LENGTH} bytes"));
    }
    if !is_name_part(local) {
        problems.push(format!("name part {QUALIFIED_PART}"));
    }
    problems
}

/// What keeps `value` from being the value of a label.
#[must_use]
pub fn label_value(value: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if value.len() > LABEL_LENGTH {
        problems.push(format!("must be no more than {LABEL_LENGTH} bytes"));
    }
    if !value.is_empty() && !is_name_part(value) {
        problems.push(LABEL_VALUE.to_owned());
    }
    problems
}

/// What keeps `name` from being an identifier of C.
#[must_use]
pub fn c_identifier(name: &str) -> Vec<String> {
    let starts_well = name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_');
    if starts_well && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_') {
        return Vec::new();
    }
    vec![C_IDENTIFIER.to_owned()]
}

/// What keeps `name` from being a fully qualified domain name, in Kubernetes' words for a field.
#[must_use]
pub fn domain_name(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("Required value".to_owned());
    }
    let invalid = |value: &str, why: &str| Some(format!("Invalid value: {}: {why}", quoted(value)));
    let name = name.strip_suffix('.').unwrap_or(name);
    let problems = dns1123_subdomain(name);
    if !problems.is_empty() {
        return invalid(name, &problems.join(","));
    }
    if !name.contains('.') {
        return invalid(name, "should be a domain with at least two segments separated by dots");
    }
    let wrong = name.split('.').map(|label| (label, dns1123_label(label)));
    wrong
        .filter(|(_, problems)| !problems.is_empty())
        .find_map(|(label, problems)| invalid(label, &problems.join(",")))
}

/// Problems as Go prints a list of texts.
#[must_use]
pub fn listed(problems: &[String]) -> String {
    format!("[{}]", problems.join(" "))
}

fn label(name: &str, words: &str, may_begin: fn(char) -> bool) -> Vec<String> {
    let mut problems = too_long(name, LABEL_LENGTH);
    if !is_label(name, may_begin) {
        problems.push(words.to_owned());
    }
    problems
}

fn prefix_problems(prefix: &str) -> Vec<String> {
    if prefix.is_empty() {
        return vec!["prefix part must be non-empty".to_owned()];
    }
    let mut problems = Vec::new();
    if prefix.len() > SUBDOMAIN_LENGTH {
        problems.push(format!("prefix part must be no more than {SUBDOMAIN_LENGTH} bytes"));
    }
    if !is_subdomain(prefix) {
        problems.push(format!("prefix part {DNS1123_SUBDOMAIN}"));
    }
    problems
}

fn is_subdomain(name: &str) -> bool {
    name.split('.').all(|part| is_label(part, is_lower_alphanumeric))
}

fn is_name_part(text: &str) -> bool {
    text.starts_with(|char: char| char.is_ascii_alphanumeric())
        && text.ends_with(|char: char| char.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || "-_.".contains(char))
}

fn too_long(name: &str, limit: usize) -> Vec<String> {
    match name.len() > limit {
        true => vec![format!("must be no more than {limit} characters")],
        false => Vec::new(),
    }
}

fn is_label(name: &str, may_begin: fn(char) -> bool) -> bool {
    name.starts_with(may_begin)
        && name.ends_with(is_lower_alphanumeric)
        && name.chars().all(|char| is_lower_alphanumeric(char) || char == '-')
}

fn is_lower_alphanumeric(char: char) -> bool {
    char.is_ascii_lowercase() || char.is_ascii_digit()
}

/// What ends with a dash is judged without its last two characters: a name will follow.
fn without_last_dash(prefix: &str) -> String {
    match prefix.len().checked_sub(2).and_then(|end| prefix.get(..end)) {
        Some(rest) if prefix.ends_with('-') => format!("{rest}a"),
        _ => prefix.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_may_not_be_empty_long_or_begin_with_a_digit() {
        assert!(dns1035_label("a-1").is_empty());
        for wrong in ["", "1a", "A", "a-", "a.b", "ä"] {
            assert_eq!(dns1035_label(wrong), [DNS1035], "{wrong}");
        }
        assert_eq!(dns1035_label(&"a".repeat(64)), ["must be no more than 63 characters"]);
        assert!(dns1123_label("1a").is_empty());
    }

    #[test]
    fn a_prefix_may_end_with_a_dash() {
        assert!(dns1035_prefix("hello-").is_empty());
        assert!(!dns1035_prefix("Hello-").is_empty());
        assert!(!dns1035_prefix("-").is_empty());
    }

    #[test]
    fn a_qualified_name_has_at_most_one_slash() {
        assert!(qualified_name("apps/v1").is_empty());
        assert_eq!(qualified_name("a/b/c"), [QUALIFIED]);
        assert_eq!(qualified_name("/x"), ["prefix part must be non-empty"]);
        assert_eq!(qualified_name("x/").len(), 2);
        let long = format!("{}/x", "a".repeat(254));
        assert_eq!(qualified_name(&long), ["prefix part must be no more than 253 bytes"]);
    }

    #[test]
    fn the_value_of_a_label_may_be_empty() {
        assert!(label_value("").is_empty());
        assert_eq!(label_value(&"a".repeat(64)), ["must be no more than 63 bytes"]);
        for wrong in ["-", "b c"] {
            assert_eq!(label_value(wrong), [LABEL_VALUE], "{wrong}");
        }
    }

    #[test]
    fn a_subdomain_is_lower_case_labels() {
        assert!(dns1123_subdomain("a-1.example").is_empty());
        for wrong in ["", "-a", "a..b", "A", "a_b", "a-.b"] {
            assert_eq!(dns1123_subdomain(wrong), [DNS1123_SUBDOMAIN], "{wrong}");
        }
    }

    #[test]
    fn a_domain_has_two_labels_of_at_most_63_bytes() {
        assert_eq!(domain_name("a.b."), None);
        assert_eq!(domain_name("").as_deref(), Some("Required value"));
        assert!(domain_name("a").is_some_and(|why| why.contains("two segments")));
        let long = "a".repeat(64);
        let why = format!("Invalid value: \"{long}\": must be no more than 63 characters");
        assert_eq!(domain_name(&format!("{long}.com")), Some(why));
    }
}
